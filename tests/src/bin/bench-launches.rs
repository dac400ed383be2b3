//! `cargo bench-launches [LAUNCHES]`: what two rounds of real launches cost the vault. Exact counts, no clocks.

use std::process::ExitCode;

use keyward_tests::launches::{self, REFERENCES, SECRETS};

#[tokio::main]
async fn main() -> ExitCode {
    // The first provider wins; there is no other in this process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let launches = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(1_000);
    match measure(launches).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

#[allow(clippy::print_stdout, reason = "this is a program for people")]
async fn measure(launches: usize) -> anyhow::Result<()> {
    let stand = launches::stand().await?;
    println!("{launches} launches × {REFERENCES} references over {SECRETS} secrets, twice");
    println!("{:<8} {:>12} {:>18} {:>8}", "round", "object reads", "challenge probes", "others");
    for round in ["cold", "warm"] {
        let cost = launches::round(&stand, launches).await?;
        println!("{round:<8} {:>12} {:>18} {:>8}", cost.reads, cost.challenges, cost.others);
    }
    stand.broker.stop().await?;
    Ok(())
}

#[allow(clippy::print_stderr, reason = "this is a program for people")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("bench-launches: {error:#}");
    ExitCode::FAILURE
}

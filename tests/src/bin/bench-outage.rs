//! `cargo bench-outage [LAUNCHES]`: real launches from a warm cache while every vault and Entra are away. Exact counts, no
//! clocks.

use std::process::ExitCode;

use keyward_tests::{launches::REFERENCES, resilience::launches::during_an_outage};

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
    let cost = during_an_outage(launches).await?;
    println!("{launches} of {launches} launches × {REFERENCES} references succeeded while vault and Entra were away");
    println!("object reads {}, challenge probes {}, other calls {}", cost.reads, cost.challenges, cost.others);
    Ok(())
}

#[allow(clippy::print_stderr, reason = "this is a program for people")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("bench-outage: {error:#}");
    ExitCode::FAILURE
}

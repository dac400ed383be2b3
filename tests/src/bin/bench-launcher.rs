//! What the launcher costs a container at its start, against the least that could do the same job.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use keyward_stand_in::{Authority, StandIn};

const MAX_RATIO: f64 = 1.3;
const MAX_RSS_KIB: u64 = 3 * 1024;
const MAX_SIZE: u64 = 2_306_867;

/// Starts the launcher and a bare tonic client in turn, each making the same call and then becoming /bin/true, and
/// compares the medians. Also prints the launcher's size and the most memory it held. Exits with 1 over a bar.
///
/// Build first:
/// cargo build -p keyward-launcher --bins --examples --profile launcher --target x86_64-unknown-linux-musl
#[derive(Parser)]
#[command(version, about, verbatim_doc_comment)]
struct Args {
    /// Starts of each.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Where the launcher and its examples were built.
    #[arg(long, default_value = "target/x86_64-unknown-linux-musl/launcher")]
    built: PathBuf,
    /// A broker to ask instead of a stand-in in this process: `https://HOST:PORT`.
    #[arg(long, requires_all = ["ca", "token"])]
    broker: Option<String>,
    /// Its authority.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// A token that it accepts as often as asked.
    #[arg(long)]
    token: Option<PathBuf>,
    /// The `AzureKeyVaultSecret` to ask for.
    #[arg(long, default_value = "bench")]
    name: String,
}

/// Whom both ask, and how.
struct Target {
    broker: String,
    ca: PathBuf,
    token: PathBuf,
    name: String,
    built: PathBuf,
}

impl Target {
    fn launcher(&self) -> Command {
        let mut command = Command::new(self.built.join("keyward-launcher"));
        command.args(["exec", "--", "/bin/true"]);
        self.variables(&mut command);
        command
    }

    fn bare(&self) -> Command {
        let mut command = Command::new(self.built.join("examples/bare_client"));
        command.arg(&self.broker).args([&self.ca, &self.token]).arg(&self.name).arg("/bin/true").env_clear();
        command
    }

    fn variables(&self, command: &mut Command) {
        command.env_clear().env("KEYWARD_BROKER", &self.broker).env("SECRET", format!("{}@azurekeyvault", self.name));
        command.env("KEYWARD_CA_FILE", &self.ca).env("KEYWARD_TOKEN_FILE", &self.token);
    }

    /// The most memory held by the launcher, or by /bin/true alone, in KiB.
    fn peak(&self, launcher: bool) -> anyhow::Result<u64> {
        let mut command = Command::new(self.built.join("examples/peak_rss"));
        if launcher {
            self.variables(&mut command);
            command.arg(self.built.join("keyward-launcher")).args(["exec", "--"]);
        }
        let output = command.arg("/bin/true").stderr(Stdio::inherit()).output().context("cannot run peak_rss")?;
        ensure!(output.status.success(), "peak_rss ended with {}", output.status);
        Ok(String::from_utf8(output.stdout)?.trim().parse()?)
    }
}

#[allow(clippy::print_stdout, reason = "the figures are this program's output")]
fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let files = tempfile::tempdir()?;
    // Serves until it is dropped at the end.
    let (_stand_in, target) = target(&args, files.path())?;

    let (mut launcher, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..args.runs {
        launcher.push(timed(&mut target.launcher())?);
        bare.push(timed(&mut target.bare())?);
    }
    let (launcher, bare) = (median(&mut launcher), median(&mut bare));
    let ratio = launcher.as_secs_f64() / bare.as_secs_f64();
    let rss = (0..5).map(|_| target.peak(true)).collect::<anyhow::Result<Vec<u64>>>()?.into_iter().max().unwrap_or(0);
    let size = std::fs::metadata(target.built.join("keyward-launcher"))?.len();

    println!("start to the end of /bin/true, median of {} alternating runs", args.runs);
    println!("  launcher      {:>9.3} ms", launcher.as_secs_f64() * 1_000.0);
    println!("  bare client   {:>9.3} ms", bare.as_secs_f64() * 1_000.0);
    println!("  ratio         {ratio:>9.2}      bar {MAX_RATIO}");
    println!("peak memory     {rss:>9} KiB  bar {MAX_RSS_KIB} ({} KiB without the launcher)", target.peak(false)?);
    println!("binary          {size:>9} B    bar {MAX_SIZE}");
    let within = ratio <= MAX_RATIO && rss <= MAX_RSS_KIB && size <= MAX_SIZE;
    println!("{}", if within { "within every bar" } else { "OVER A BAR" });
    Ok(if within { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn target(args: &Args, files: &Path) -> anyhow::Result<(Option<StandIn>, Target)> {
    let (name, built) = (args.name.clone(), args.built.clone());
    if let (Some(broker), Some(ca), Some(token)) = (&args.broker, &args.ca, &args.token) {
        return Ok((None, Target { broker: broker.clone(), ca: ca.clone(), token: token.clone(), name, built }));
    }
    let authority = Authority::new()?;
    let (ca, token) = (files.join("ca.crt"), files.join("token"));
    std::fs::write(&ca, authority.pem())?;
    std::fs::write(&token, "a.benchmark.token")?;
    let any_port = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let server = StandIn::start(any_port, &authority.issue(&["127.0.0.1"])?, |_| Ok(vec![b"x".repeat(256)]))?;
    let broker = format!("https://{}", server.address());
    Ok((Some(server), Target { broker, ca, token, name, built }))
}

fn timed(command: &mut Command) -> anyhow::Result<Duration> {
    let start = Instant::now();
    let status = command.status().with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let took = start.elapsed();
    ensure!(status.success(), "{} ended with {status}", command.get_program().display());
    Ok(took)
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

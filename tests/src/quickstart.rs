//! `cargo quickstart`: the whole chain on one machine, step by step, for people.

pub mod by_hand;
pub mod deployment;

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Instant,
};

use anyhow::Context as _;

use crate::{
    programs::Programs,
    stand::{Plan, Stand},
    vault::ProjectedToken,
};
use deployment::Deployment;

/// What is to be shown.
#[derive(Debug, Default)]
pub struct Options {
    /// Leave everything running until interrupted.
    pub keep: bool,
    /// The program to launch; empty for one that shows its environment.
    pub command: Vec<String>,
}

/// The argument by which this program, launched, shows its environment.
pub const SHOW: &str = "show-environment";

/// Runs all steps. Returns how the launched program ended.
pub async fn run(options: Options) -> anyhow::Result<ExitStatus> {
    let mut steps = Steps { next: 1, out: io::stdout() };
    let started = Instant::now();
    steps.begin("building the broker and the launcher (the first time takes minutes)")?;
    Programs::build()?;
    steps.note(&format!("ready after {:.1} s", started.elapsed().as_secs_f32()))?;

    let deployment = Deployment::read(&examples().join("manifests/deployment.yaml"))?;
    steps.begin("Key Vault emulator with examples/vault.yaml, broker on examples/manifests")?;
    let stand = Stand::start(plan()?).await?;
    describe(&stand, &mut steps)?;

    let pod = format!("{}-1", deployment.name);
    steps.begin(&format!("a projected token for pod {}/{pod}", deployment.namespace))?;
    let token = ProjectedToken::for_pod(&deployment.namespace, &deployment.service_account, &pod);
    let token = stand.write_token(&token)?;
    steps.note("audience keyward-broker, bound to the pod, an hour; only its namespace counts")?;

    let status = launch(&stand, &deployment, &token, &options, &mut steps).await?;

    steps.begin("keyward-broker status")?;
    let shown = stand.status(&[])?.output().await?;
    steps.block(&String::from_utf8_lossy(if shown.status.success() { &shown.stdout } else { &shown.stderr }))?;
    if options.keep {
        by_hand::write(&stand, &deployment, &token, &mut io::stdout())?;
        tokio::signal::ctrl_c().await?;
    }
    stand.broker.stop().await?;
    Ok(status)
}

async fn launch(
    stand: &Stand,
    deployment: &Deployment,
    token: &Path,
    options: &Options,
    steps: &mut Steps,
) -> anyhow::Result<ExitStatus> {
    // Not this process's own file: the build of step 1 may just have replaced it.
    let this = stand.programs.path("quickstart")?.display().to_string();
    let names = deployment.environment.iter().map(|(name, _)| name.clone());
    let command: Vec<String> = match options.command.as_slice() {
        [] => [this, SHOW.to_owned()].into_iter().chain(names).collect(),
        command => command.to_vec(),
    };
    let shown =
        if options.command.is_empty() { "a program that shows its environment".to_owned() } else { command.join(" ") };
    steps.begin(&format!("keyward-launcher exec -- {shown}"))?;
    for (name, value) in &deployment.environment {
        steps.note(&format!("{name}={value}"))?;
    }
    let environment: Vec<(&str, &str)> =
        deployment.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    steps.note("becomes:")?;
    let started = Instant::now();
    let mut launcher = stand.launcher(token, &environment, &command)?;
    let status = launcher.stdin(Stdio::inherit()).status().await.context("the launcher does not start")?;
    steps.note(&format!("{status} after {} ms", started.elapsed().as_millis()))?;
    Ok(status)
}

fn describe(stand: &Stand, steps: &mut Steps) -> io::Result<()> {
    for name in stand.emulator.vault_names() {
        steps.note(&format!("vault {name:<8} {}", stand.emulator.vault_url(&name)))?;
    }
    steps.note(&format!("Entra          {}", stand.emulator.authority()))?;
    steps.note(&format!(
        "broker         {} (gRPC), http://{} (/livez /readyz /metrics)",
        stand.broker_url(),
        stand.admin
    ))
}

fn plan() -> anyhow::Result<Plan> {
    let read = |path: &Path| fs::read_to_string(path).with_context(|| path.display().to_string());
    let mut plan = Plan { objects: read(&examples().join("vault.yaml"))?, ..Plan::default() };
    for file in fs::read_dir(examples().join("manifests"))? {
        let path = file?.path();
        // The examples stand as one would apply them beside an emulator on its usual ports; here ports are free ones.
        let text = read(&path)?
            .replace("https://localhost:9443", "https://acme.emulated")
            .replace("https://localhost:9444", "https://partner.emulated");
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        plan.manifests.insert(name, text);
    }
    Ok(plan)
}

/// The repository's examples.
fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// Prints `names` of this process's environment, each value shortened. What the launched program does by default.
pub fn show_environment(names: &[String], out: &mut impl io::Write) -> io::Result<()> {
    for name in names {
        let value = std::env::var(name).unwrap_or_default();
        writeln!(out, "      {name}={}", shortened(&value))?;
    }
    Ok(())
}

fn shortened(value: &str) -> String {
    let first: String = value.lines().next().unwrap_or_default().chars().take(28).collect();
    if first.len() == value.len() { first } else { format!("{first}… ({} bytes)", value.len()) }
}

/// Numbered headings with notes under them.
struct Steps {
    next: usize,
    out: io::Stdout,
}

impl Steps {
    fn begin(&mut self, what: &str) -> io::Result<()> {
        writeln!(self.out, "\n[{}] {what}", self.next)?;
        self.next += 1;
        self.out.flush()
    }

    fn note(&mut self, what: &str) -> io::Result<()> {
        writeln!(self.out, "    {what}")
    }

    fn block(&mut self, text: &str) -> io::Result<()> {
        text.lines().try_for_each(|line| self.note(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_multi_line_values_are_shortened() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened("a\nb"), "a… (3 bytes)");
        assert_eq!(shortened(&"x".repeat(40)), format!("{}… (40 bytes)", "x".repeat(28)));
    }
}

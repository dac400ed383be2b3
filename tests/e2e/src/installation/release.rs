//! The release `keyward`: its values, and what helm does with it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::emulator::{self, EXAMPLE_VAULT, VAULT};
use crate::{cluster::repository, helm::helm, images::REGISTRY, kubectl::kubectl, stand::NAMESPACE};

/// Its name.
pub const NAME: &str = "keyward";

/// The release of the definitions.
pub const DEFINITIONS: &str = "keyward-crds";

/// The chart of this working tree.
pub const CHART: &str = "charts/keyward";

/// Values for everybody who has no Azure at hand.
const EMULATOR: &str = "examples/values/emulator.yaml";

/// What all of its pods carry.
const SELECTOR: &str = "app.kubernetes.io/name=keyward";

/// How long helm waits for pods.
const PATIENCE: &str = "--timeout=300s";

/// What binds tokens to what their pods carry.
const POD_BINDING: &str = "KEYWARD_POD_BINDING";

/// The values, in a file of their own each.
pub struct Values {
    directory: TempDir,
}

impl Values {
    /// Writes them.
    pub fn write() -> anyhow::Result<Self> {
        let values = Self { directory: tempfile::tempdir()? };
        fs::write(values.path("own"), own().to_string())?;
        Ok(values)
    }

    /// Writes more of them, to be named after the others.
    pub fn more(&self, name: &str, values: &Value) -> anyhow::Result<String> {
        fs::write(self.path(name), values.to_string())?;
        Ok(self.path(name).display().to_string())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("{name}.json"))
    }

    /// What the documentation says to helm, and then this suite's own, and then more.
    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let own = self.path("own").display().to_string();
        let set = format!("images.registry={REGISTRY}");
        let mut arguments = vec!["--set".to_owned(), set];
        for file in [EMULATOR, own.as_str()].into_iter().chain(more.iter().copied()) {
            arguments.extend(["--values".to_owned(), file.to_owned()]);
        }
        arguments
    }
}

/// The vaults that this suite's pods may read, and requests that fit a small node. Everything else is as the chart has it,
/// but for how long a new authority is known before it is used: above a kubelet's refresh, and short enough to wait for.
fn own() -> Value {
    let vault = |name: &str| json!({"name": name, "spec": {"vaultName": name, "namespaces": {"names": ["*"]}, "pollInterval": "1s"}});
    let resources = json!({"requests": {"cpu": "10m", "memory": "16Mi"}});
    json!({
        "vaults": [vault(VAULT), vault(EXAMPLE_VAULT)],
        "emulator": {"objects": emulator::objects().to_string(), "resources": resources},
        "canary": {"vault": VAULT, "object": "canary"},
        "certificates": {"overlap": "30s"},
        "broker": {"resources": resources},
        "controller": {"resources": resources},
        "webhook": {"resources": resources, "plainHttpRegistries": [REGISTRY]},
    })
}

/// `helm install`, which does not wait, with more files of values.
pub async fn install(values: &Values, chart: &Path, more: &[&str]) -> anyhow::Result<()> {
    act(&["install", NAME], chart, &["--create-namespace"], &values.arguments(more)).await
}

/// `helm upgrade`, until all pods are ready, with more files of values.
pub async fn upgrade(values: &Values, chart: &Path, more: &[&str]) -> anyhow::Result<()> {
    act(&["upgrade", NAME], chart, &["--wait", PATIENCE], &values.arguments(more)).await
}

/// `helm rollback` to the revision before, until all pods are ready.
pub async fn roll_back() -> anyhow::Result<()> {
    helm(&["rollback", NAME, "--namespace", NAMESPACE, "--wait", PATIENCE]).await.map(drop)
}

/// Has the emulated vault become what a chart makes of it, before anything else does: it forgets what was written when it
/// starts anew, and a vault that is upgraded is not what is looked at.
pub async fn vault_first(values: &Values, chart: &Path, more: &[&str]) -> anyhow::Result<()> {
    let (chart, values) = (chart.to_str().context("a chart's folder")?, values.arguments(more));
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    // With a look at the cluster: what was made up when it was installed stays.
    let only = ["--show-only", "templates/emulator/deployment.yaml", "--dry-run=server", "--is-upgrade"];
    let rendered = rendered(chart, &[only.as_slice(), &values].concat()).await?;
    // As helm's own, so that the two do not contend.
    kubectl(&["apply", "--server-side", "--force-conflicts", "--field-manager=helm", "-f", "-"], &rendered).await?;
    until_ready().await
}

/// Until everything that the release runs is ready.
pub async fn until_ready() -> anyhow::Result<()> {
    let arguments = ["rollout", "status", "--namespace", NAMESPACE, PATIENCE, "deployment", "--selector", SELECTOR];
    kubectl(&arguments, "").await.map(drop)
}

/// `helm uninstall`, until everything is gone.
pub async fn uninstall(name: &str) -> anyhow::Result<()> {
    helm(&["uninstall", name, "--namespace", NAMESPACE, "--wait", PATIENCE]).await.map(drop)
}

async fn act(verb: &[&str], chart: &Path, flags: &[&str], values: &[String]) -> anyhow::Result<()> {
    let chart = chart.to_str().context("a chart's folder")?;
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    helm(&[verb, &[chart, "--namespace", NAMESPACE], flags, &values].concat()).await.map(drop)
}

/// `helm template`, which never asks the cluster for its version.
async fn rendered(chart: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let template = ["template", NAME, chart, "--namespace", NAMESPACE, "--kube-version=1.30.0"];
    helm(&[&template, arguments].concat()).await
}

/// What the present chart replaces: the newest committed one that is another and runs with these values; where it came from.
pub struct Previous {
    directory: TempDir,
    /// The commit.
    pub commit: String,
}

impl Previous {
    /// The chart.
    pub fn chart(&self) -> PathBuf {
        self.directory.path().join(CHART)
    }

    /// What it needs to run the present programs: one from before pods were bound gives the broker no right to read them.
    pub fn values(&self, values: &Values) -> anyhow::Result<Option<String>> {
        let environment = fs::read_to_string(self.chart().join("templates/broker/_env.tpl"))?;
        if environment.contains(POD_BINDING) {
            return Ok(None);
        }
        let off = json!({"broker": {"extraEnv": [{"name": POD_BINDING, "value": "off"}]}});
        values.more("unbound", &off).map(Some)
    }

    /// Takes it out of git; none where there is no history, or nothing that runs Keyward's programs.
    pub async fn find(values: &Values) -> anyhow::Result<Option<Self>> {
        let Ok(commits) = git(&["log", "--max-count=20", "--format=%H", "--", CHART]).await else { return Ok(None) };
        for commit in commits.lines() {
            if git(&["diff", "--quiet", commit, "--", CHART]).await.is_ok() {
                continue;
            }
            let previous = Self { directory: tempfile::tempdir()?, commit: commit.to_owned() };
            previous.take_out().await?;
            return Ok(previous.runs(values).await.then_some(previous));
        }
        Ok(None)
    }

    async fn take_out(&self) -> anyhow::Result<()> {
        let archive = self.directory.path().join("chart.tar");
        let (file, directory) = (archive.display().to_string(), self.directory.path().display().to_string());
        git(&["archive", "--output", &file, &self.commit, CHART]).await?;
        ran("tar", &["--extract", "--file", &file, "--directory", &directory]).await.map(drop)
    }

    /// Whether it takes these values and makes a broker of them.
    async fn runs(&self, values: &Values) -> bool {
        let (chart, values) = (self.chart().display().to_string(), values.arguments(&[]));
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        rendered(&chart, &values).await.is_ok_and(|rendered| rendered.contains("kind: Deployment"))
    }
}

async fn git(arguments: &[&str]) -> anyhow::Result<String> {
    ran("git", arguments).await
}

async fn ran(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(repository()).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.with_context(|| format!("{program} does not start"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), "{program} {}: {said}", arguments.join(" "));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

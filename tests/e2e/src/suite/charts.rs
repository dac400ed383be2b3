//! The chart before the real API server: what it renders for every example of values, and for those of its own tests, is
//! accepted in a dry run on the server's side, with strict validation of fields; so are third parties' kinds by their own
//! definitions. `cluster definitions` fetches these.

mod rendered;

use std::{collections::BTreeSet, fs, process::Stdio};

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use self::rendered::Rendered;
use crate::{cluster::repository, helm::helm, kubectl::kubectl, scene::Scene};

tests![
    whatever_values_an_example_has_the_api_server_accepts_every_object,
    a_misspelt_field_of_any_kind_is_refused_with_its_file_and_object,
    helm_would_install_every_example,
];

/// Folders of values, and what their files' names end with.
const VALUES: [(&str, &str); 2] = [("examples/values", ".yaml"), ("charts/tests/rendered", ".values.yaml")];

/// In which file and object, what is written wrongly how, and the field that the API server does not know then.
const MISSPELT: [(&str, &str, &str, &str, &str); 8] = [
    (MINIMAL, "Deployment keyward-broker", "\n  replicas: ", "\n  replica: ", ".spec.replica"),
    (MINIMAL, "Deployment keyward-broker", "RootFilesystem", "RootFileSystem", ".readOnlyRootFileSystem"),
    (MINIMAL, "NetworkPolicy keyward-broker", "policyTypes", "policyType", ".spec.policyType"),
    (MINIMAL, "AzureKeyVault acme", "vaultName", "vaultname", ".spec.vaultname"),
    (MINIMAL, "Pod keyward-test-status", "restartPolicy", "restartPolicies", ".spec.restartPolicies"),
    (CERT_MANAGER, "Certificate keyward-ca", "secretName", "secret", ".spec.secret"),
    (MONITORING, "PodMonitor keyward", "interval", "intervall", ".spec.podMetricsEndpoints[0].intervall"),
    (MONITORING, "PrometheusRule keyward", "annotations", "annotation", ".rules[0].annotation"),
];

const MINIMAL: &str = "examples/values/minimal.yaml";
const CERT_MANAGER: &str = "examples/values/cert-manager.yaml";
const MONITORING: &str = "charts/tests/rendered/monitoring.values.yaml";

async fn whatever_values_an_example_has_the_api_server_accepts_every_object(scene: &Scene) -> anyhow::Result<()> {
    let (namespace, version) = dry_run_namespace(scene).await?;
    // A name of an earlier test's may be among those that values name.
    scene.until_no_namespace_ends().await?;
    let mut kinds = BTreeSet::new();
    for values in files()? {
        let rendered = Rendered::of(&values, &namespace, &version).await?;
        namespaces_of(scene, &rendered).await?;
        rendered.accepted().await?;
        kinds.extend(rendered.kinds());
    }
    for kind in
        ["Deployment", "NetworkPolicy", "AzureKeyVault", "Certificate", "Issuer", "PodMonitor", "PrometheusRule"]
    {
        ensure!(kinds.contains(kind), "no values render a {kind}: {kinds:?}");
    }
    Ok(())
}

async fn a_misspelt_field_of_any_kind_is_refused_with_its_file_and_object(scene: &Scene) -> anyhow::Result<()> {
    let (namespace, version) = dry_run_namespace(scene).await?;
    for (values, object, right, wrong, field) in MISSPELT {
        let misspelt = Rendered::of(values, &namespace, &version).await?.misspelt(object, right, wrong)?;
        let refused = misspelt.accepted().await.err().with_context(|| format!("{wrong} was accepted"))?;
        let refused = format!("{refused:#}");
        let is_named = refused.starts_with(&format!("{values}: {object}: "))
            && refused.contains(&format!("{field}: field not declared"));
        ensure!(is_named, "{wrong}: {refused}");
    }
    Ok(())
}

async fn helm_would_install_every_example(scene: &Scene) -> anyhow::Result<()> {
    let namespace = release_namespace(scene).await?;
    for values in files()? {
        let install = ["install", "keyward", "charts/keyward", "--namespace", &namespace, "--dry-run=server"];
        // Vaults that the stand declares have the same names.
        let printed = helm(&[&install, ["--take-ownership", "--values", &values].as_slice()].concat()).await?;
        ensure!(printed.contains("STATUS: pending-install"), "{values}: {printed}");
    }
    Ok(())
}

/// A namespace for a release, whose pods must be `restricted`. Definitions of all kinds are there then.
async fn release_namespace(scene: &Scene) -> anyhow::Result<String> {
    scene.stand().await?;
    define_others(scene).await?;
    let restricted = ["enforce", "warn"].map(|mode| format!("pod-security.kubernetes.io/{mode}"));
    let labels = restricted.each_ref().map(|label| (label.as_str(), "restricted"));
    scene.namespace_with("release", &[], &labels).await
}

/// The same with the one account that must be there before its pods, which a dry run does not make; and the version of the
/// API server, to render for.
async fn dry_run_namespace(scene: &Scene) -> anyhow::Result<(String, String)> {
    let namespace = release_namespace(scene).await?;
    let account =
        format!("apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: keyward-test, namespace: {namespace}}}\n");
    scene.apply_one(&account).await?;
    Ok((namespace, scene.client().apiserver_version().await?.git_version))
}

/// Third parties' definitions. They stay: nothing else in the suite is of these kinds.
async fn define_others(scene: &Scene) -> anyhow::Result<()> {
    let mut cluster = Command::from(scene.cluster().command(&["definitions"]));
    let fetched = cluster.stderr(Stdio::inherit()).output().await?;
    ensure!(fetched.status.success(), "tests/cluster/cluster definitions: {}", fetched.status);
    let folder = String::from_utf8(fetched.stdout)?;
    kubectl(&["apply", "--server-side", "--filename", folder.trim()], "").await?;
    let wait = ["wait", "--for=condition=Established", "--timeout=30s", "--filename", folder.trim()];
    kubectl(&wait, "").await.map(drop)
}

/// Namespaces that objects are in beside the release's own; a dry run does not make them.
async fn namespaces_of(scene: &Scene, rendered: &Rendered) -> anyhow::Result<()> {
    for namespace in rendered.other_namespaces() {
        let text = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n");
        scene.apply(&text).await?;
    }
    Ok(())
}

/// All files of values, by their path in the repository.
fn files() -> anyhow::Result<Vec<String>> {
    let mut files = Vec::new();
    for (folder, end) in VALUES {
        for entry in fs::read_dir(repository().join(folder)).with_context(|| folder.to_owned())? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.ends_with(end) {
                files.push(format!("{folder}/{name}"));
            }
        }
    }
    ensure!(files.len() >= 10, "{files:?}");
    files.sort();
    Ok(files)
}

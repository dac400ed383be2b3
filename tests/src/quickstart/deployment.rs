//! What the quickstart takes from a Deployment's manifest: who the pod is, and its first container's environment.

use std::{fs, path::Path};

use anyhow::Context as _;
use serde::Deserialize;

/// The parts of a Deployment that matter here.
#[derive(Debug, PartialEq, Eq)]
pub struct Deployment {
    /// `metadata.namespace`
    pub namespace: String,
    /// `metadata.name`
    pub name: String,
    /// `spec.template.spec.serviceAccountName`
    pub service_account: String,
    /// `env` of the first container.
    pub environment: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Manifest {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
struct Metadata {
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
struct Spec {
    template: Template,
}

#[derive(Deserialize)]
struct Template {
    spec: PodSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec {
    service_account_name: String,
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    #[serde(default)]
    env: Vec<Variable>,
}

#[derive(Deserialize)]
struct Variable {
    name: String,
    value: String,
}

impl Deployment {
    /// Reads it from a file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let manifest: Manifest = serde_saphyr::from_str(text)?;
        let pod = manifest.spec.template.spec;
        let container = pod.containers.into_iter().next().context("no container")?;
        Ok(Self {
            namespace: manifest.metadata.namespace,
            name: manifest.metadata.name,
            service_account: pod.service_account_name,
            environment: container.env.into_iter().map(|variable| (variable.name, variable.value)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_read() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/manifests/deployment.yaml");
        let deployment = Deployment::read(&path).unwrap();
        assert_eq!((deployment.namespace.as_str(), deployment.service_account.as_str()), ("shop", "checkout"));
        assert!(deployment.environment.contains(&("DB_PASSWORD".into(), "db-password@azurekeyvault".into())));
    }
}

//! The files of the charts: of `keyward-crds` a template, a definition with what its values decide; of `keyward` the definition
//! itself, which helm installs where there is none and never changes.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use super::{CrdError, azure_key_vault, azure_key_vault_secret};

const HEAD: &str = "\
# Generated from proto/crds: change its types and rules, then run
#   cargo run -p keyward-crds --bin crdgen
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
";

/// With the definition Kubernetes deletes every object of the kind.
const KEEP: &str = "  {{- if .Values.keep }}
  annotations:
    helm.sh/resource-policy: keep
  {{- end }}
";

/// One file.
#[derive(Debug)]
pub struct ChartFile {
    /// Below `charts/`.
    pub file: String,
    /// What it holds.
    pub text: String,
}

/// Every file.
pub fn chart_files() -> Result<Vec<ChartFile>, CrdError> {
    let secret = files(&azure_key_vault_secret()?, crate::akvs::KIND)?;
    let vault = files(&azure_key_vault()?, crate::azure_key_vault::KIND)?;
    Ok(secret.into_iter().chain(vault).collect())
}

fn files(crd: &CustomResourceDefinition, kind: &'static str) -> Result<[ChartFile; 2], CrdError> {
    let spec =
        serde_saphyr::to_string(&crd.spec).map_err(|error| CrdError::Yaml { kind, reason: error.to_string() })?;
    let spec: String = spec.lines().flat_map(|line| ["  ", line, "\n"]).collect();
    let name = crd.metadata.name.as_deref().unwrap_or_default();
    let plural = &crd.spec.names.plural;
    let file = |folder, keep| ChartFile {
        file: format!("{folder}/{plural}.yaml"),
        text: format!("{HEAD}  name: {name}\n{keep}spec:\n{spec}"),
    };
    Ok([file("keyward-crds/templates", KEEP), file("keyward/crds", "")])
}

//! The templates of `charts/keyward-crds`: a definition with what its values decide.

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
pub struct Template {
    /// Below `templates/`.
    pub file: String,
    /// What it holds.
    pub text: String,
}

/// Every file.
pub fn templates() -> Result<[Template; 2], CrdError> {
    Ok([
        template(&azure_key_vault_secret()?, crate::akvs::KIND)?,
        template(&azure_key_vault()?, crate::azure_key_vault::KIND)?,
    ])
}

fn template(crd: &CustomResourceDefinition, kind: &'static str) -> Result<Template, CrdError> {
    let spec =
        serde_saphyr::to_string(&crd.spec).map_err(|error| CrdError::Yaml { kind, reason: error.to_string() })?;
    let spec: String = spec.lines().flat_map(|line| ["  ", line, "\n"]).collect();
    let name = crd.metadata.name.as_deref().unwrap_or_default();
    let text = format!("{HEAD}  name: {name}\n{KEEP}spec:\n{spec}");
    Ok(Template { file: format!("{}.yaml", crd.spec.names.plural), text })
}

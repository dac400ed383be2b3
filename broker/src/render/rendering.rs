//! What of an `AzureKeyVaultSecret` rendering depends on.

use keyward_crds::{
    AzureKeyVaultSecretSpec,
    akvs::{ContentType, ObjectType, OutputSpec, Transform},
};

/// How an object is read and written. There is one for each `AzureKeyVaultSecret`: it holds no more than it must.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendering {
    /// `spec.vault.object.type`
    pub object_type: ObjectType,
    /// `spec.vault.object.contentType`
    pub content_type: Option<ContentType>,
    /// `spec.output`
    pub output: Option<Box<OutputSpec>>,
}

impl Rendering {
    /// The steps applied to a value, in order.
    pub fn transforms(&self) -> &[Transform] {
        self.output.as_ref().map_or(&[], |output| &output.transform)
    }

    /// Whether it asks for a Secret or a `ConfigMap`. Without either it serves references alone.
    pub fn has_output(&self) -> bool {
        self.output.as_ref().is_some_and(|output| output.secret.is_some() || output.config_map.is_some())
    }
}

impl From<AzureKeyVaultSecretSpec> for Rendering {
    fn from(spec: AzureKeyVaultSecretSpec) -> Self {
        let object = &spec.vault.object;
        Self { object_type: object.object_type, content_type: object.content_type, output: spec.output }
    }
}

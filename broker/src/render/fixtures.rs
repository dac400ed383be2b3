//! What the rendering tests start from: files made by `fixtures/make.sh`, and manifests.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keyward_crds::AzureKeyVaultSecretSpec;
use keyward_types::SecretBytes;

use super::Rendering;
use super::pem;
use crate::object::{Object, RawSecret};

/// A file in `fixtures/`.
macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/render/fixtures/", $name)).as_slice()
    };
}
pub(super) use fixture;

/// A text file as a string.
pub(super) fn text(file: &[u8]) -> &str {
    std::str::from_utf8(file).unwrap()
}

/// The certificate in a PEM file that holds but one.
pub(super) fn der(file: &[u8]) -> Vec<u8> {
    pem::blocks(text(file)).unwrap()[0].der().unwrap().to_vec()
}

/// A certificate's secret as Key Vault answers it for a PFX.
pub(super) fn pfx_twin(file: &[u8]) -> RawSecret {
    RawSecret { value: STANDARD.encode(file).into(), content_type: Some("application/x-pkcs12".to_owned()) }
}

/// A certificate's secret as Key Vault answers it for PEM.
pub(super) fn pem_twin(file: &[u8]) -> RawSecret {
    RawSecret { value: SecretBytes::new(file), content_type: Some("application/x-pem-file".to_owned()) }
}

/// A `spec` of an object type, with what else the YAML adds to `object` and after it.
pub(super) fn spec(object_type: &str, more_of_object: &str, output: &str) -> Rendering {
    let spec: AzureKeyVaultSecretSpec = serde_saphyr::from_str(&format!(
        "vault: {{name: acme, object: {{name: thing, type: {object_type}{more_of_object}}}}}\n{output}"
    ))
    .unwrap();
    spec.into()
}

/// A secret object.
pub(super) fn secret(value: &str) -> Object {
    Object::Secret(value.into())
}

//! An object as the data of the Secret and `ConfigMap` its `AzureKeyVaultSecret` asks for.

mod typed;

use std::collections::BTreeMap;

use keyward_crds::akvs::{ConfigMapOutput, SecretOutput};
use keyward_types::SecretBytes;

use self::typed::FixedType;
use super::{MAX_BYTES, RenderError, Rendering, content::Content, map::DataByKey};
use crate::object::{Certificate, Object};

const SECRET_DATA_KEY: &str = "output.secret.dataKey";
const CONFIG_MAP_DATA_KEY: &str = "output.configMap.dataKey";
const TLS_CRT: &str = "tls.crt";
const TLS_KEY: &str = "tls.key";
const CA_CRT: &str = "ca.crt";

/// What to write into the cluster; one of the two at least.
#[derive(Debug, PartialEq, Eq)]
pub struct DataMap {
    /// For `output.secret`.
    pub secret: Option<SecretData>,
    /// For `output.configMap`: UTF-8 text throughout, and never a certificate's private key.
    pub config_map: Option<BTreeMap<String, SecretBytes>>,
}

/// The data of a Secret.
#[derive(Debug, PartialEq, Eq)]
pub struct SecretData {
    /// The Secret's `type`.
    pub secret_type: String,
    /// Its `data`, not yet in base64.
    pub data: BTreeMap<String, SecretBytes>,
}

/// Everything that `spec.output` asks for, or the first thing that cannot be had.
pub fn output(object: &Object, rendering: &Rendering) -> Result<DataMap, RenderError> {
    let output = rendering.output.as_ref().filter(|_| rendering.has_output()).ok_or(RenderError::NoOutput)?;
    let content = Content::of(object, rendering)?;
    Ok(DataMap {
        secret: output.secret.as_ref().map(|output| secret(&content, output)).transpose()?,
        config_map: output.config_map.as_ref().map(|output| config_map(&content, output)).transpose()?,
    })
}

fn secret(content: &Content<'_>, output: &SecretOutput) -> Result<SecretData, RenderError> {
    let secret_type = output.secret_type.as_deref().filter(|name| !name.is_empty()).unwrap_or("Opaque");
    let fixed = FixedType::of(secret_type);
    let data_key = || data_key(output.data_key.as_deref(), SECRET_DATA_KEY);
    let data = match (content, fixed) {
        (Content::Map(map), _) => map_data(map)?,
        (Content::Value(value), Some(fixed)) => fixed.data_of(value)?,
        (Content::Certificate(certificate), Some(FixedType::Tls)) => tls_data(certificate)?,
        (Content::Value(value), None) => one(data_key()?, value.clone()),
        (Content::Key(key), _) => one(data_key()?, key.pem.as_str().into()),
        (Content::Certificate(certificate), _) => match data_key()? {
            TLS_KEY => one(TLS_KEY, certificate.key.clone().ok_or(RenderError::NoPrivateKey)?),
            key => one(key, certificate.chain.as_str().into()),
        },
    };
    if let Some(fixed) = fixed {
        fixed.check_keys(&data)?;
    }
    Ok(SecretData { secret_type: secret_type.to_owned(), data: checked(data)? })
}

fn config_map(content: &Content<'_>, output: &ConfigMapOutput) -> Result<DataByKey, RenderError> {
    let data_key = || data_key(output.data_key.as_deref(), CONFIG_MAP_DATA_KEY);
    let data = match content {
        Content::Map(map) => map_data(map)?,
        Content::Value(value) => one(data_key()?, value.clone()),
        Content::Key(key) => one(data_key()?, key.pem.as_str().into()),
        Content::Certificate(certificate) => match data_key()? {
            TLS_KEY => return Err(RenderError::PrivateKeyInConfigMap),
            key => one(key, certificate.chain.as_str().into()),
        },
    };
    if data.values().any(|value| value.expose_str().is_none()) {
        return Err(RenderError::NotText("a ConfigMap's must be, use `output.secret`"));
    }
    checked(data)
}

fn one(key: &str, value: SecretBytes) -> DataByKey {
    DataByKey::from([(key.to_owned(), value)])
}

fn tls_data(certificate: &Certificate) -> Result<DataByKey, RenderError> {
    let mut data = one(TLS_CRT, certificate.chain.as_str().into());
    data.insert(TLS_KEY.to_owned(), certificate.key.clone().ok_or(RenderError::NoPrivateKey)?);
    if let Some(root) = &certificate.root {
        data.insert(CA_CRT.to_owned(), root.as_str().into());
    }
    Ok(data)
}

fn map_data(map: &DataByKey) -> Result<DataByKey, RenderError> {
    if map.keys().all(|key| is_data_key(key)) {
        Ok(map.clone())
    } else {
        Err(RenderError::InvalidDataKey("a key of the multi-key-value-secret"))
    }
}

fn data_key<'a>(key: Option<&'a str>, field: &'static str) -> Result<&'a str, RenderError> {
    let key = key.filter(|key| !key.is_empty()).ok_or(RenderError::NoDataKey(field))?;
    if is_data_key(key) { Ok(key) } else { Err(RenderError::InvalidDataKey(field)) }
}

/// The rule of Kubernetes for keys of Secrets and `ConfigMap`s.
fn is_data_key(key: &str) -> bool {
    (1..=253).contains(&key.len())
        && key != "."
        && !key.starts_with("..")
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// No more in all than Kubernetes takes. A map's entry may be empty, where that is how it is written in the vault.
fn checked(data: DataByKey) -> Result<DataByKey, RenderError> {
    let size: usize = data.values().map(SecretBytes::len).sum();
    if size > MAX_BYTES { Err(RenderError::TooLarge) } else { Ok(data) }
}

#[cfg(test)]
mod tests;

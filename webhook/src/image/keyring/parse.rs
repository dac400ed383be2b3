//! A pull secret's text. Its errors tell where it is wrong, never what stands there.

use std::collections::BTreeMap;

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::{
    super::{
        error::line,
        secrets::{DockerConfig, Shape},
    },
    Credential,
};

/// With or without padding: both are found.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a pull secret cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in super::super) enum KeyringError {
    /// Its JSON.
    #[error("it is no Docker configuration (line {line}, column {column})")]
    Json { line: usize, column: usize },
    /// An entry's `auth`.
    #[error("its entry for {0} has an `auth` that is no base64 of USER:PASSWORD")]
    Auth(String),
}

#[derive(Deserialize)]
struct File {
    auths: Option<BTreeMap<String, Option<Entry>>>,
}

#[derive(Default, Deserialize)]
struct Entry {
    username: Option<String>,
    password: Option<Text>,
    auth: Option<Text>,
    identitytoken: Option<Text>,
}

/// A string that is wiped when dropped.
struct Text(Zeroizing<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// Registries and what to show them. Entries without a credential are none.
pub(super) fn entries(config: &DockerConfig) -> Result<Vec<(String, Credential)>, KeyringError> {
    let bytes = config.bytes.as_slice();
    let entries = match config.shape {
        Shape::DockerConfigJson => serde_json::from_slice::<File>(bytes).map(|file| file.auths.unwrap_or_default()),
        Shape::DockerCfg => serde_json::from_slice(bytes),
    };
    // serde's own words quote what they stumbled over.
    let entries = entries.map_err(|error| KeyringError::Json { line: error.line(), column: error.column() })?;
    let mut found = Vec::with_capacity(entries.len());
    for (registry, entry) in entries {
        if let Some(credential) = credential(&registry, entry.unwrap_or_default())? {
            found.push((registry, credential));
        }
    }
    Ok(found)
}

fn credential(registry: &str, entry: Entry) -> Result<Option<Credential>, KeyringError> {
    let filled = |text: Option<Text>| text.map(|text| text.0).filter(|text| !text.is_empty());
    if let Some(token) = filled(entry.identitytoken) {
        return Ok(Some(Credential::IdentityToken(token)));
    }
    if let Some(auth) = filled(entry.auth) {
        let pair = decoded(&auth).ok_or_else(|| KeyringError::Auth(line(registry, 80)))?;
        return Ok(Some(pair));
    }
    let user = entry.username.unwrap_or_default();
    let password = filled(entry.password).unwrap_or_default();
    let empty = user.is_empty() && password.is_empty();
    Ok((!empty).then_some(Credential::Password { user, password }))
}

fn decoded(auth: &str) -> Option<Credential> {
    let bytes = Zeroizing::new(BASE64.decode(auth.trim()).ok()?);
    let (user, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    Some(Credential::Password { user: user.to_owned(), password: Zeroizing::new(password.to_owned()) })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(value: &Value) -> Result<Vec<(String, Credential)>, KeyringError> {
        let bytes = Zeroizing::new(value.to_string().into_bytes());
        entries(&DockerConfig { shape: Shape::DockerCfg, bytes })
    }

    fn only(value: &Value) -> Option<String> {
        let mut entries = parse(&json!({ "r": value })).unwrap();
        assert!(entries.len() <= 1);
        entries.pop().map(|(_, credential)| match credential {
            Credential::Password { user, password } => format!("{user}/{}", password.as_str()),
            Credential::IdentityToken(token) => format!("token {}", token.as_str()),
        })
    }

    #[test]
    fn an_entry_holds_a_pair_or_a_token() {
        for (entry, expected) in [
            (json!({"auth": "YTpi"}), Some("a/b")),
            (json!({"auth": "YTpiOmM="}), Some("a/b:c")),
            (json!({"auth": "YTpiOmM"}), Some("a/b:c")),
            (json!({"auth": "YTpi", "username": "x", "password": "y"}), Some("a/b")),
            (json!({"auth": "", "username": "x", "password": "y", "email": "e"}), Some("x/y")),
            (json!({"username": "x"}), Some("x/")),
            (json!({"auth": "YTpi", "identitytoken": "t"}), Some("token t")),
            (json!({"auth": null, "username": null}), None),
            (json!({}), None),
            (json!(null), None),
        ] {
            assert_eq!(only(&entry).as_deref(), expected, "{entry}");
        }
    }

    #[test]
    fn errors_tell_where_and_never_what() {
        for bad in [json!([]), json!({"r": {"password": ["kwcanary"]}}), json!({"r": "kwcanary"})] {
            let said = parse(&bad).err().unwrap().to_string();
            assert!(said.contains("no Docker configuration (line 1") && !said.contains("kwcanary"), "{said}");
        }
        for auth in ["kwcanary!", "a3djYW5hcnk="] {
            let said = parse(&json!({"r.example": {"auth": auth}})).err().unwrap().to_string();
            assert!(said.contains("entry for r.example") && !said.contains("canary"), "{said}");
        }
    }
}

//! The types of Secret that have fixed keys and a fixed shape, filled from one value.
//!
//! Source: <https://kubernetes.io/docs/concepts/configuration/secret/#secret-types>

use std::collections::HashMap;

use keyward_types::SecretBytes;
use serde_json::value::RawValue;

use super::{super::certificate, DataByKey, RenderError, one, tls_data};
use crate::render::basic_auth;

/// A type with fixed keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FixedType {
    Tls,
    BasicAuth,
    DockerConfigJson,
    DockerCfg,
    SshAuth,
}

impl FixedType {
    pub(super) fn of(secret_type: &str) -> Option<Self> {
        [Self::Tls, Self::BasicAuth, Self::DockerConfigJson, Self::DockerCfg, Self::SshAuth]
            .into_iter()
            .find(|fixed| fixed.name() == secret_type)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Tls => "kubernetes.io/tls",
            Self::BasicAuth => "kubernetes.io/basic-auth",
            Self::DockerConfigJson => "kubernetes.io/dockerconfigjson",
            Self::DockerCfg => "kubernetes.io/dockercfg",
            Self::SshAuth => "kubernetes.io/ssh-auth",
        }
    }

    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Tls => &["tls.crt", "tls.key"],
            Self::BasicAuth => &["username", "password"],
            Self::DockerConfigJson => &[".dockerconfigjson"],
            Self::DockerCfg => &[".dockercfg"],
            Self::SshAuth => &["ssh-privatekey"],
        }
    }

    /// The data that one value gives, its shape checked.
    pub(super) fn data_of(self, value: &SecretBytes) -> Result<DataByKey, RenderError> {
        match self {
            Self::Tls => tls_data(&certificate::from_secret(value)?),
            Self::BasicAuth => {
                let (user, password) = basic_auth::halves(value)?;
                Ok(DataByKey::from([("username".to_owned(), user), ("password".to_owned(), password)]))
            }
            Self::DockerConfigJson | Self::DockerCfg => self.whole(value, is_json_map(value), "a JSON object"),
            // Any key will do: ssh knows more forms of them than we.
            Self::SshAuth => self.whole(value, true, "a private key"),
        }
    }

    /// Refuses data that the API server would refuse.
    pub(super) fn check_keys(self, data: &DataByKey) -> Result<(), RenderError> {
        let missing = self.keys().iter().find(|key| !data.contains_key(**key));
        // Either of user and password will do, says the API server.
        let enough = self == Self::BasicAuth && self.keys().iter().any(|key| data.contains_key(*key));
        match missing {
            Some(key) if !enough => Err(RenderError::FixedKeyMissing { secret_type: self.name(), key }),
            _ => Ok(()),
        }
    }

    fn whole(self, value: &SecretBytes, fits: bool, needs: &'static str) -> Result<DataByKey, RenderError> {
        match self.keys() {
            [key] if fits => Ok(one(key, value.clone())),
            _ => Err(RenderError::WrongShape { secret_type: self.name(), needs }),
        }
    }
}

/// As much as the API server asks for: a map `auths` need not be there where helpers give the passwords.
fn is_json_map(value: &SecretBytes) -> bool {
    let map = value.expose_str().map(serde_json::from_str::<HashMap<String, &RawValue>>);
    matches!(map, Some(Ok(_)))
}

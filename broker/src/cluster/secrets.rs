//! Secrets with credentials for Azure: read by name, one at a time, in the broker's own namespace. Never listed, never
//! watched, never kept.

use std::{collections::BTreeMap, fmt, time::Duration};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use kube::{api::GetParams, core::Request};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    ask::{AskError, ask},
    client::Cluster,
};
use crate::vault::credential::{Files, Store, StoreError};

const DEADLINE: Duration = Duration::from_secs(10);

/// The Secrets of the broker's own namespace.
pub struct OwnSecrets(Cluster);

impl OwnSecrets {
    /// Reads by `cluster`.
    pub fn new(cluster: Cluster) -> Self {
        Self(cluster)
    }
}

impl fmt::Debug for OwnSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets of namespace {}", self.0.namespace)
    }
}

/// Of a Secret nothing else is read: an annotation may hold all of it once more.
#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    data: BTreeMap<String, String>,
}

#[async_trait]
impl Store for OwnSecrets {
    async fn read(&self, name: &str) -> Result<Files, StoreError> {
        let Cluster { client, namespace } = &self.0;
        let path = format!("/api/v1/namespaces/{namespace}/secrets");
        let request = Request::new(path).get(name, &GetParams::default()).map_err(|_| StoreError::Name)?;
        let read: Data = ask(client, request, DEADLINE).await.map_err(|error| match error {
            AskError::Refused { code: 404, .. } => StoreError::Missing(format!("{namespace}/{name}")),
            error => StoreError::Unreadable { name: format!("{namespace}/{name}"), cause: error.to_string() },
        })?;
        let wiped = read.data.into_iter().map(|(key, value)| (key, Zeroizing::new(value))).collect::<BTreeMap<_, _>>();
        let decoded = wiped.into_iter().map(|(key, value)| {
            let bytes = STANDARD.decode(value.as_bytes()).map_err(|_| StoreError::Unreadable {
                name: format!("{namespace}/{name}"),
                cause: format!("`{key}` is not base64"),
            });
            bytes.map(|bytes| (key, Zeroizing::new(bytes)))
        });
        decoded.collect()
    }

    fn shown(&self, name: &str) -> String {
        format!("Secret {}/{name}", self.0.namespace)
    }
}

//! The broker as the controller sees it: data, versions, and what has changed. By mTLS gRPC, role `controller`.
//!
//! | room | does | I/O |
//! |---|---|---|
//! | `connection` | one channel, made anew when the certificates change | files, broker |
//! | `failure` | a gRPC status → why a secret is not ready | none: pure |

mod connection;
mod failure;

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use keyward_proto::v1::{
    ConfigMapData, DescribeRequest, FetchRequest, FetchResponse, SecretData, WatchRequest, WatchResponse,
};
use keyward_types::SecretBytes;
use tonic::{Status, Streaming};

pub use self::{
    connection::{Connection, ConnectionError},
    failure::{Refused, of_status},
};
use crate::akvs::Akvs;

/// Longer than the broker lets a vault take.
const DEADLINE: Duration = Duration::from_secs(30);

/// The data of one secret.
#[derive(Debug, Default)]
pub struct Fetched {
    /// For a Secret.
    pub secret: Option<BTreeMap<String, SecretBytes>>,
    /// For a `ConfigMap`.
    pub config_map: Option<BTreeMap<String, SecretBytes>>,
    /// The object's version.
    pub version: String,
    /// Its expiry.
    pub expires: Option<Time>,
    /// The generation of the spec that was rendered: it may be a newer one than was asked for.
    pub generation: i64,
}

/// What is known of one secret without asking a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The version held, if any.
    pub version: Option<String>,
    /// Its expiry.
    pub expires: Option<Time>,
}

impl Fetched {
    /// Whether it was rendered for the spec that is known here: what was rendered for a newer one may have other keys than
    /// its type allows.
    pub fn fits(&self, akvs: &Akvs) -> bool {
        self.generation == akvs.generation()
    }
}

impl Connection {
    /// The rendered data of `akvs` as it is known here: at its UID and at least its generation.
    pub async fn fetch(&self, akvs: &Akvs) -> Result<Fetched, Status> {
        let request = FetchRequest {
            namespace: akvs.namespace().to_owned(),
            name: akvs.name().to_owned(),
            uid: akvs.uid().to_owned(),
            generation: akvs.generation(),
        };
        Ok(fetched(self.client().fetch(within(DEADLINE, request)).await?.into_inner()))
    }

    /// Whether `akvs` is admitted, and the version that the broker holds.
    pub async fn describe(&self, akvs: &Akvs) -> Result<Described, Status> {
        let request = DescribeRequest {
            namespace: akvs.namespace().to_owned(),
            name: akvs.name().to_owned(),
            uid: akvs.uid().to_owned(),
            generation: akvs.generation(),
        };
        let answer = self.client().describe(within(DEADLINE, request)).await?.into_inner();
        let version = Some(answer.version).filter(|version| !version.is_empty());
        Ok(Described { version, expires: answer.expires.and_then(time) })
    }

    /// What changes from now on. The first message says that anything may have.
    pub async fn watch(&self) -> Result<Streaming<WatchResponse>, Status> {
        Ok(self.client().watch(WatchRequest {}).await?.into_inner())
    }
}

fn within<T>(deadline: Duration, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(deadline);
    request
}

fn fetched(answer: FetchResponse) -> Fetched {
    let secret =
        |SecretData { data, .. }| data.into_iter().map(|(key, value)| (key, SecretBytes::new(value))).collect();
    let config_map = |ConfigMapData { data }| data.into_iter().map(|(key, value)| (key, value.into())).collect();
    Fetched {
        secret: answer.secret.map(secret),
        config_map: answer.config_map.map(config_map),
        version: answer.version,
        expires: answer.expires.and_then(time),
        generation: answer.generation,
    }
}

/// In whole seconds, as Key Vault has it and conditions show it.
fn time<T: TryInto<SystemTime>>(timestamp: T) -> Option<Time> {
    let since = timestamp.try_into().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Timestamp::from_second(i64::try_from(since.as_secs()).ok()?).ok().map(Time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_rendered_for_a_newer_spec_does_not_fit_an_older_one() {
        let akvs: Akvs =
            serde_json::from_value(serde_json::json!({"metadata": {"name": "db", "generation": 2}})).unwrap();
        let of = |generation| fetched(FetchResponse { generation, ..FetchResponse::default() });
        assert!(of(2).fits(&akvs) && !of(3).fits(&akvs) && !of(1).fits(&akvs));
    }
}

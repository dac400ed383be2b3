//! What the webhook reads from the API server: `ConfigMap`s that a pod's environment comes from, and the pull secrets of
//! its images.
//!
//! | room | does | I/O |
//! |---|---|---|
//! | [`pull_secrets`] | credentials for registries | API server |
//!
//! Not by kube's typed calls: where an answer does not parse, those log all of it, values included. Names come from pods
//! that nobody has validated yet, and become part of a path: what is no name is not asked for.

pub mod pull_secrets;

use std::{collections::BTreeMap, error::Error as StdError, fmt, time::Duration};

use http::{Request, StatusCode, header::ACCEPT};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use keyward_types::reference::is_dns_subdomain;
use kube::{Client, client::Body};
use serde::Deserialize;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// How long one read may take.
pub const DEADLINE: Duration = Duration::from_secs(2);
/// Above the largest object that etcd takes, with the base64 of its values.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// Of what the API server says, in characters.
const MAX_WORDS: usize = 256;

/// Reads. Clones share the client.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    deadline: Duration,
}

/// A kind that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// For `envFrom` and `valueFrom`.
    ConfigMap,
    /// For `imagePullSecrets`.
    Secret,
    /// For those that its pods get.
    ServiceAccount,
}

/// An object by kind, namespace and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Why an object could not be read. An object that does not exist is no error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No object can have this name.
    #[error("`{name}` in namespace `{namespace}` is not the name of a {kind}", kind = .0.kind, name = shown(&.0.name), namespace = shown(&.0.namespace))]
    Name(Target),
    /// Whoever installed the webhook did not give it this right, or took it away.
    #[error("the webhook may not read {0}: its service account lacks the right to `get` `{plural}` there", plural = .0.kind.plural())]
    Forbidden(Target),
    /// It takes too long.
    #[error("the API server did not send {target} within {within:?}")]
    Late {
        /// The object.
        target: Target,
        /// How long was waited.
        within: Duration,
    },
    /// It is not there.
    #[error("the API server cannot be asked for {target}: {reason}")]
    Unreachable {
        /// The object.
        target: Target,
        /// Why.
        reason: String,
    },
    /// It says no.
    #[error("the API server does not send {target} ({code}): {message}")]
    Refused {
        /// The object.
        target: Target,
        /// The HTTP status.
        code: u16,
        /// Its words.
        message: String,
    },
    /// The object is larger than any can be, or is none.
    #[error("the API server's answer about {0} makes no sense")]
    Malformed(Target),
}

impl Kind {
    fn plural(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmaps",
            Self::Secret => "secrets",
            Self::ServiceAccount => "serviceaccounts",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
            Self::ServiceAccount => "ServiceAccount",
        })
    }
}

impl Target {
    fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

impl Cluster {
    /// By this client, waiting so long for each answer.
    pub fn new(client: Client, deadline: Duration) -> Self {
        Self { client, deadline }
    }

    /// The `data` of a `ConfigMap`: `binaryData` never becomes environment. `None` where there is no such object.
    pub async fn config_map(&self, namespace: &str, name: &str) -> Result<Option<BTreeMap<String, String>>, ReadError> {
        #[derive(Deserialize)]
        struct ConfigMap {
            data: Option<BTreeMap<String, String>>,
        }
        let target = Target::new(Kind::ConfigMap, namespace, name);
        let Some(answer) = self.read(&target).await? else { return Ok(None) };
        let ConfigMap { data } = serde_json::from_slice(&answer).map_err(|_| ReadError::Malformed(target))?;
        Ok(Some(data.unwrap_or_default()))
    }

    /// The whole object, or `None` where there is none.
    async fn read(&self, target: &Target) -> Result<Option<Zeroizing<Vec<u8>>>, ReadError> {
        let Target { kind, namespace, name } = target;
        if !is_dns_subdomain(namespace) || !is_dns_subdomain(name) {
            return Err(ReadError::Name(target.clone()));
        }
        let path = format!("/api/v1/namespaces/{namespace}/{}/{name}", kind.plural());
        let late = |_| ReadError::Late { target: target.clone(), within: self.deadline };
        let (code, answer) = timeout(self.deadline, self.send(target, path)).await.map_err(late)??;
        match code {
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::FORBIDDEN => Err(ReadError::Forbidden(target.clone())),
            code if code.is_success() => Ok(Some(answer)),
            code => {
                let message = words(&answer);
                Err(ReadError::Refused { target: target.clone(), code: code.as_u16(), message })
            }
        }
    }

    async fn send(&self, target: &Target, path: String) -> Result<(StatusCode, Zeroizing<Vec<u8>>), ReadError> {
        let unreachable = |reason: String| ReadError::Unreachable { target: target.clone(), reason };
        let request = Request::get(path).header(ACCEPT, "application/json").body(Body::empty());
        let request = request.map_err(|error| unreachable(error.to_string()))?;
        let answer = self.client.send(request).await.map_err(|error| unreachable(root_cause(&error)))?;
        let code = answer.status();
        let mut body = Limited::new(answer.into_body(), MAX_ANSWER);
        let mut whole = Zeroizing::new(Vec::new());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    ReadError::Malformed(target.clone())
                } else {
                    unreachable(root_cause(&*error))
                }
            })?;
            if let Some(data) = frame.data_ref() {
                append(&mut whole, data);
            }
        }
        Ok((code, whole))
    }
}

/// Grows by hand, so that what is left behind is zeroised too.
fn append(whole: &mut Zeroizing<Vec<u8>>, data: &[u8]) {
    if whole.capacity() - whole.len() < data.len() {
        let mut grown = Zeroizing::new(Vec::with_capacity((whole.len() + data.len()) * 2));
        grown.extend_from_slice(whole);
        *whole = grown;
    }
    whole.extend_from_slice(data);
}

/// Why the API server refuses, in its own words.
fn words(answer: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Said {
        message: String,
    }
    serde_json::from_slice(answer).map_or_else(|_| "it gives no reason".to_owned(), |Said { message }| shown(&message))
}

/// The last source says what happened; those above it only say that something did.
fn root_cause(error: &(dyn StdError + 'static)) -> String {
    let sources = std::iter::successors(Some(error), |error: &&(dyn StdError + 'static)| (*error).source());
    sources.last().map_or_else(String::new, |last| shown(&last.to_string()))
}

/// Bounded, and in one line.
fn shown(text: &str) -> String {
    text.chars().take(MAX_WORDS).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests;

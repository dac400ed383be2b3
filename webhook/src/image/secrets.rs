//! Pull secrets as they come from the cluster. Who reads them there implements [`PullSecrets`].

use std::fmt;

use async_trait::async_trait;
use zeroize::Zeroizing;

/// Reads what decides with whose credentials an image is pulled. Answers come from the cluster as it is now.
#[async_trait]
pub trait PullSecrets: Send + Sync {
    /// The Secret's Docker configuration; `None` where there is no such Secret, or it holds none.
    async fn read(&self, namespace: &str, name: &str) -> Result<Option<DockerConfig>, PullSecretsError>;

    /// Names of the service account's `imagePullSecrets`, in order; none where there is no such account.
    async fn of_service_account(&self, namespace: &str, name: &str) -> Result<Vec<String>, PullSecretsError>;
}

/// Why a Secret or service account could not be read. It is passed over, and named should the lookup fail for it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct PullSecretsError {
    /// A few words, for example `the webhook may not read it (403)`; never a part of an object.
    pub reason: String,
}

/// Which of the two layouts a Docker configuration has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `.dockerconfigjson` of a `kubernetes.io/dockerconfigjson`: `{"auths": {REGISTRY: …}}`.
    DockerConfigJson,
    /// `.dockercfg` of a `kubernetes.io/dockercfg`: `{REGISTRY: …}`.
    DockerCfg,
}

/// What a pull secret holds.
#[derive(Clone)]
pub struct DockerConfig {
    /// Its layout.
    pub shape: Shape,
    /// Its text, wiped when dropped.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for DockerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {} bytes", self.shape, self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_docker_configuration_prints_as_its_length() {
        let bytes = Zeroizing::new(b"kwcanary".to_vec());
        assert_eq!(format!("{:?}", DockerConfig { shape: Shape::DockerCfg, bytes }), "DockerCfg of 8 bytes");
    }
}

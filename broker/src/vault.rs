//! Reading from Key Vault: the one way out of the process. Only the cache calls it.

use std::time::Duration;

use async_trait::async_trait;

use crate::object::{ObjectId, RawObject};

/// One vault, open for reading. Implementations do not retry: when to ask again is decided above, for all callers of
/// the vault together.
#[async_trait]
pub trait VaultReader: Send + Sync {
    /// Reads one object.
    async fn read(&self, object: &ObjectId) -> Result<RawObject, ReadError>;
}

/// Why an object could not be read. The vault and the object are named by whoever asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// 404: no such object or version, or it is deleted.
    #[error("the vault holds no such object or version")]
    NotFound,
    /// 403 `SecretDisabled`, or an object whose `enabled` is false.
    #[error("the object is disabled")]
    Disabled,
    /// 401 or 403 by access policy, RBAC or firewall: an answer, not an outage. Holds `innererror.code`.
    #[error("the vault refuses this identity ({0}); grant it `get` on the object")]
    Forbidden(String),
    /// 429, with the pause the vault asked for.
    #[error("the vault is throttling")]
    Throttled {
        /// `Retry-After`
        retry_after: Option<Duration>,
    },
    /// 408, 5xx, `ForbiddenByConnection`, no connection, no answer in time. The text says which.
    #[error("the vault does not answer: {0}")]
    Unreachable(String),
    /// No token to be had from Entra or the identity endpoint. The text says why.
    #[error("no Azure token: {0}")]
    NoToken(String),
    /// An answer that does not mean what it should. The text names the part, never a value.
    #[error("the vault's answer makes no sense: {0}")]
    Malformed(String),
}

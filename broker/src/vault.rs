//! Reading from Key Vault: the one way out of the process. Only the cache calls it.
//!
//! | room | holds |
//! |---|---|
//! | [`azure`] | configuration, and the way from a vault's origin and identity to a reader |
//! | [`reader`] | [`VaultReader`] by the official SDK clients |
//! | `lane` | one SDK client, whose first call goes alone so that it is challenged once |
//! | [`listing`] | a collection, page by page |
//! | [`answer`] | pure: what an error means, and whether an answer is about the object that was asked for |
//! | [`credential`] | tokens from Entra, for one audience only |
//! | [`transport`] | HTTPS that never leaves one origin, bounded in size and time, each request counted |
//! | [`origin`], [`cloud`] | pure: where a vault is, and what its cloud's names are |
//! | [`observe`] | what is told about each request |
//!
//! The SDK keeps its own copies of bodies and tokens and does not wipe them; everything handed out of here is wiped.

pub mod answer;
pub mod azure;
pub mod cloud;
pub mod credential;
mod lane;
pub mod listing;
pub mod observe;
pub mod origin;
pub mod reader;
#[cfg(test)]
pub(crate) mod testing;
pub mod transport;

use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use keyward_types::ObjectName;
use time::OffsetDateTime;

use crate::object::{ObjectId, RawObject};

/// One vault, open for reading. Implementations do not retry: when to ask again is decided above, for all callers of
/// the vault together.
#[async_trait]
pub trait VaultReader: Send + Sync {
    /// Reads one object.
    async fn read(&self, object: &ObjectId) -> Result<RawObject, ReadError>;

    /// Lists what a collection holds now. Every item of the stream is one request, sent when it is asked for. Pages are no
    /// snapshot: an object may be missed that was never gone.
    fn pages(&self, collection: Collection) -> BoxStream<'_, Result<Page, ReadError>>;

    /// Fetches a new token, because the vault refused the one in use. True where a refusal of the next read is the vault's
    /// answer; false where no new token is to be had, which leaves the refusal in doubt.
    async fn renew(&self) -> bool;
}

/// What can be listed. A certificate is listed among the secrets too, as its twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Collection {
    /// `GET /secrets`
    Secrets,
    /// `GET /keys`
    Keys,
}

/// A page of a listing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// What it lists, at most 25.
    pub items: Vec<Listed>,
    /// A digest of where the next page is, to notice a listing that goes round in circles; `None` on the last page.
    pub next: Option<u64>,
}

/// An object as a listing shows it: its current version, without saying which that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: ObjectName,
    /// Whether it is enabled.
    pub enabled: bool,
    /// When the current version, or its attributes, last changed; whole seconds.
    pub updated: Option<OffsetDateTime>,
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
    /// Nothing was sent: the vault asked for a pause, or has failed too often, and is left alone.
    #[error("the vault {}, and is left alone for another {retry_after:?}", if *throttled { "is throttling" } else { "does not answer" })]
    Paused {
        /// For how long still.
        retry_after: Duration,
        /// Whether it asked for that.
        throttled: bool,
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

impl ReadError {
    /// Whether the vault has answered that the object is not to be had. Anything else is an outage, and what was known
    /// before still holds.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::NotFound | Self::Disabled | Self::Forbidden(_))
    }
}

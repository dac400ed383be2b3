//! Where secrets and certificates are that an `AzureKeyVault` names, when they are in no file: small maps of bytes by
//! name, read anew at each sign-in.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::{SignInError, file::Bytes};

/// What is stored under one name, by key: as a directory holds it by file name.
pub type Files = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// Reads what is stored under a name.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Reads it now.
    async fn read(&self, name: &str) -> Result<Files, StoreError>;

    /// What is under that name, for people.
    fn shown(&self, name: &str) -> String;
}

/// Why nothing could be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be a name.
    #[error("identity.secretName is no name of a Secret")]
    Name,
    /// It is not there.
    #[error("Secret {0} does not exist; create it, it holds what identity.secretName signs in with")]
    Missing(String),
    /// It cannot be read.
    #[error("Secret {name} cannot be read: {cause}; may the broker's service account get it?")]
    Unreadable {
        /// Which.
        name: String,
        /// Why.
        cause: String,
    },
}

/// What is stored under one name. Of one store the same name is the same.
#[derive(Clone)]
pub struct Stored {
    /// Where.
    pub store: Arc<dyn Store>,
    /// Under which name.
    pub name: String,
}

impl Stored {
    pub(super) async fn read(&self) -> Result<Files, SignInError> {
        Ok(self.store.read(&self.name).await?)
    }

    /// For people, in the place of a path.
    pub(super) fn place(&self) -> PathBuf {
        self.store.shown(&self.name).into()
    }
}

impl PartialEq for Stored {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.store, &other.store) && self.name == other.name
    }
}

impl Eq for Stored {}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.store.shown(&self.name))
    }
}

/// One of several, which must be there.
pub(super) fn take(files: &mut Files, key: &str, what: &'static str, of: &Stored) -> Result<Bytes, SignInError> {
    let missing = || SignInError::Nothing { what, path: of.place().join(key) };
    files.remove(key).filter(|bytes| !bytes.is_empty()).ok_or_else(missing)
}

/// The same, where it is one line of text.
pub(super) fn take_line(
    files: &mut Files,
    key: &str,
    what: &'static str,
    of: &Stored,
) -> Result<Zeroizing<String>, SignInError> {
    super::file::line_of(what, &of.place().join(key), &take(files, key, what, of)?)
}

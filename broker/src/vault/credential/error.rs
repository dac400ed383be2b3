//! What goes wrong on our side of a sign-in. What Entra says is the SDK's to report.

use std::{error::Error as StdError, io, iter, path::PathBuf};

use azure_core::error::ErrorKind;

use super::{StoreError, certificate::CertificateError};

/// Why there is nothing to sign in with, or a managed identity's endpoint gave no token. Never quotes what was read.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// A file cannot be read.
    #[error("cannot read the {what} in {path}: {cause}; is it mounted there?", path = path.display())]
    Read {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// A file is empty, too long or not text.
    #[error("{path} holds no {what}", path = path.display())]
    Nothing {
        /// What it should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A certificate that cannot sign in.
    #[error("the client certificate in {path} cannot be used: {cause}", path = path.display())]
    Certificate {
        /// The file, or the directory it is in.
        path: PathBuf,
        /// Why.
        cause: CertificateError,
    },
    /// A store of secrets.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The endpoint of managed identities says no.
    #[error("{endpoint} answers {status}; is the managed identity assigned to this machine, and its id right?")]
    Refused {
        /// Which.
        endpoint: String,
        /// Its status.
        status: u16,
    },
    /// The endpoint of managed identities is not there.
    #[error("{endpoint} does not answer: {cause}")]
    Unreachable {
        /// Which.
        endpoint: String,
        /// The root of the matter, bounded.
        cause: String,
    },
    /// The endpoint of managed identities talks nonsense.
    #[error("the answer of {endpoint} is no token")]
    NoToken {
        /// Which.
        endpoint: String,
    },
    /// A token that was of no use from the start.
    #[error("the token received has expired already; is this machine's clock right?")]
    Expired,
    /// The process is stopping.
    #[error("the sign-in was given up; try again")]
    Interrupted,
}

impl SignInError {
    /// The one inside `error`, where it came about on our side.
    pub(crate) fn within(error: &azure_core::Error) -> Option<&Self> {
        chain(error).find_map(<dyn StdError>::downcast_ref)
    }

    /// Whether nothing was sent: then nobody needs to be spared another attempt.
    pub(super) fn is_local(&self) -> bool {
        matches!(self, Self::Read { .. } | Self::Nothing { .. } | Self::Certificate { .. } | Self::Interrupted)
    }
}

/// An error and what is below it.
pub(super) fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}

impl From<SignInError> for azure_core::Error {
    fn from(error: SignInError) -> Self {
        Self::new(ErrorKind::Credential, error)
    }
}

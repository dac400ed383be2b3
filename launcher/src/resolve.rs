//! Tries until there is an answer, a refusal or no time left. The runtime lives and dies in here.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use keyward_types::{Reference, SecretBytes};
use tokio::time::Instant;
use tonic::Code;

use crate::class::Class;
use crate::client::{self, TryError};
use crate::credentials::CredentialsError;
use crate::nonce;
use crate::retry;
use crate::settings::Settings;

/// One try at most, so that a broker that accepts and then hangs leaves time for another replica.
const TRY_LIMIT: Duration = Duration::from_secs(30);

/// Why there are no values.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// This pod has no token or no authority.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// Whoever answers is not the broker that the CA file vouches for.
    #[error(
        "untrusted certificate of {broker} ({reason}), no token was sent; the authorities trusted are those in {}",
        .ca_file.display()
    )]
    Untrusted {
        /// Who was asked.
        broker: String,
        /// Which address, and why not.
        reason: String,
        /// What is trusted.
        ca_file: PathBuf,
    },
    /// The deadline passed.
    #[error(
        "no answer from {broker} within {deadline:?} (tries: {tries}): {reason}; KEYWARD_DEADLINE allows more time"
    )]
    Deadline {
        /// Who was asked.
        broker: String,
        /// How long.
        deadline: Duration,
        /// How often.
        tries: u32,
        /// What the last try met.
        reason: String,
    },
    /// The broker's last word.
    #[error("{}: {message}", said(*.code))]
    Refused {
        /// Which kind of refusal.
        code: Code,
        /// The broker's reason, cleaned by whoever prints it.
        message: String,
    },
    /// Values and references do not pair up.
    #[error(
        "the broker answered {references} references with {values} values; do launcher and broker have one version?"
    )]
    Count {
        /// How many came.
        values: usize,
        /// How many were asked for.
        references: usize,
    },
    /// The system gave no random bytes.
    #[error("cannot start: the system gives no random bytes")]
    Randomness,
    /// The system gave no event loop.
    #[error("cannot start: {0}")]
    Runtime(#[source] io::Error),
}

/// Resolves `references`, in order. Blocks up to the deadline; afterwards nothing of the network is left running.
pub fn resolve(settings: &Settings, references: &[Reference]) -> Result<Vec<SecretBytes>, ResolveError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(ResolveError::Runtime)?;
    let nonce = nonce::draw().map_err(|_| ResolveError::Randomness)?;
    let outcome = runtime.block_on(until_deadline(settings, references, &nonce));
    // Not a plain drop: that would wait for a name lookup that a timeout left behind.
    runtime.shutdown_background();
    outcome
}

async fn until_deadline(
    settings: &Settings,
    references: &[Reference],
    nonce: &[u8],
) -> Result<Vec<SecretBytes>, ResolveError> {
    let end = Instant::now() + settings.deadline;
    let broker = || settings.broker.origin.to_string();
    let mut tries = 0;
    let mut reason = "no reply in time".to_owned();
    loop {
        tries += 1;
        let limit = end.min(Instant::now() + TRY_LIMIT);
        let wait = match tokio::time::timeout_at(limit, client::ask(settings, references, nonce)).await {
            Ok(Ok(values)) => return Ok(values),
            Ok(Err(TryError::Unavailable { reason: why, wait })) => {
                reason = why;
                wait
            }
            Ok(Err(TryError::Credentials(error))) => return Err(error.into()),
            Ok(Err(TryError::Untrusted(reason))) => {
                return Err(ResolveError::Untrusted { broker: broker(), reason, ca_file: settings.ca_file.clone() });
            }
            Ok(Err(TryError::Refused { code, message })) => return Err(ResolveError::Refused { code, message }),
            Ok(Err(TryError::Count { values, references })) => return Err(ResolveError::Count { values, references }),
            // What an earlier try was told says more than that this one was cut short.
            Err(_) => None,
        };
        let next = Instant::now() + retry::delay(tries, wait, any());
        if next >= end {
            return Err(ResolveError::Deadline { broker: broker(), deadline: settings.deadline, tries, reason });
        }
        tokio::time::sleep_until(next).await;
    }
}

/// A number nobody can predict: every `RandomState` has other keys, the first ones drawn from the system.
fn any() -> u32 {
    u32::try_from(RandomState::new().build_hasher().finish() >> 32).unwrap_or_default()
}

/// A refusal in a few words. What to do about it is in the broker's message.
fn said(code: Code) -> &'static str {
    match Class::of_status(code) {
        Class::Denied if code == Code::Unauthenticated => "the broker does not accept this pod's token",
        Class::Denied => "not permitted",
        Class::Data => "the broker cannot use the request",
        Class::NotFound => "not found",
        Class::Unservable => "cannot be served",
        Class::Unavailable => "the broker cannot answer now",
        _ => "the broker failed",
    }
}

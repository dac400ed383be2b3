//! The broker as the webhook sees it: what it says of references, by mTLS gRPC with the role `webhook`, and the address
//! that is written into pods.
//!
//! | room | does | I/O |
//! |---|---|---|
//! | [`mod@address`] | the `ClusterIP` behind the broker's name | DNS |

pub mod address;

use std::{fmt, sync::Arc, time::Duration};

use keyward_kit::tls::channel::Connection;
use keyward_proto::{
    MAX_REFERENCES, MAX_REPLY_BYTES,
    v1::{self, CheckRequest, CheckedReference, references_client::ReferencesClient},
};
use tokio::time::timeout;
use tonic::{Code, Request, Status};

use crate::metrics::Metrics;

/// How long the broker may take: it looks into its memory only, and a pod waits.
pub const DEADLINE: Duration = Duration::from_secs(1);
/// Above the broker's own longest message.
const MAX_MESSAGE: usize = MAX_REPLY_BYTES + 64 * 1024;
/// Of what another says, in characters.
const MAX_WORDS: usize = 256;

/// Asks the broker. Clones share the way to it.
#[derive(Clone, Debug)]
pub struct Broker {
    connection: Connection,
    deadline: Duration,
    metrics: Arc<Metrics>,
}

/// What the broker says of one reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// In one word.
    pub verdict: Verdict,
    /// For people: what is wrong and who can mend it. Empty where all is well.
    pub reason: String,
}

/// Whether a pod of the namespace could resolve a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The `AzureKeyVaultSecret` is there and admitted.
    Known,
    /// There is none of that name.
    Unknown,
    /// There is, and no `AzureKeyVault` admits it.
    Forbidden,
    /// It, or the reference itself, is malformed.
    Invalid,
}

/// Why nothing is known of any of them. A pod is admitted all the same: its launcher fails closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// More than the broker answers.
    #[error("{0} references are more than the {MAX_REFERENCES} that the broker checks at once")]
    TooMany(usize),
    /// It takes too long.
    #[error("the broker did not answer within {0:?}")]
    Late(Duration),
    /// It is away, has no certificates yet, or does not want to.
    #[error("the broker does not check references ({code:?}): {message}")]
    Refused {
        /// Its status.
        code: Code,
        /// Its words, or the transport's.
        message: String,
    },
    /// Another number of answers than of questions, or a verdict without meaning.
    #[error("the broker's answer makes no sense; are webhook and broker of one version?")]
    Malformed,
}

impl Broker {
    /// Over this connection, waiting so long for an answer.
    pub fn new(connection: Connection, deadline: Duration, metrics: Arc<Metrics>) -> Self {
        Self { connection, deadline, metrics }
    }

    /// What holds for each reference, `NAME@azurekeyvault` or `NAME@azurekeyvault?QUERY`, in the order asked. Nothing is
    /// asked where there is none.
    pub async fn check(&self, namespace: &str, references: &[String]) -> Result<Vec<Checked>, CheckError> {
        if references.is_empty() {
            return Ok(Vec::new());
        }
        let checked = self.asked(namespace, references).await;
        self.metrics.checked(checked.as_deref().ok());
        checked
    }

    async fn asked(&self, namespace: &str, references: &[String]) -> Result<Vec<Checked>, CheckError> {
        if references.len() > MAX_REFERENCES {
            return Err(CheckError::TooMany(references.len()));
        }
        let message = CheckRequest { namespace: namespace.to_owned(), references: references.to_vec() };
        let mut request = Request::new(message);
        request.set_timeout(self.deadline);
        let mut client = ReferencesClient::new(self.connection.channel()).max_decoding_message_size(MAX_MESSAGE);
        // The channel's own deadline does not count the wait for a connection.
        let late = |_| CheckError::Late(self.deadline);
        let answer = timeout(self.deadline, client.check(request)).await.map_err(late)?.map_err(|it| refused(&it))?;
        let answers = answer.into_inner().references;
        if answers.len() != references.len() {
            return Err(CheckError::Malformed);
        }
        answers.into_iter().map(read).collect::<Option<_>>().ok_or(CheckError::Malformed)
    }
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 4] = [Self::Known, Self::Unknown, Self::Forbidden, Self::Invalid];

    /// As metrics and warnings say.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Unknown => "unknown",
            Self::Forbidden => "forbidden",
            Self::Invalid => "invalid",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn read(reference: CheckedReference) -> Option<Checked> {
    let verdict = match reference.verdict() {
        v1::Verdict::Known => Verdict::Known,
        v1::Verdict::Unknown => Verdict::Unknown,
        v1::Verdict::Forbidden => Verdict::Forbidden,
        v1::Verdict::Invalid => Verdict::Invalid,
        v1::Verdict::Unspecified => return None,
    };
    Some(Checked { verdict, reason: reference.reason })
}

fn refused(status: &Status) -> CheckError {
    let message = status.message().chars().take(MAX_WORDS).flat_map(char::escape_debug).collect();
    CheckError::Refused { code: status.code(), message }
}

#[cfg(test)]
mod tests;

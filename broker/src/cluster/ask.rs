//! One request to the API server and its answer.

use std::{error::Error as StdError, iter, time::Duration};

use kube::Client;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// It takes too long.
    #[error("the API server did not answer within {0:?}")]
    Late(Duration),
    /// It is not there.
    #[error("the API server does not answer: {0}")]
    Unreachable(String),
    /// It says no.
    #[error("the API server answers {code}: {message}")]
    Refused {
        /// HTTP status.
        code: u16,
        /// What it says.
        message: String,
    },
    /// It says something else.
    #[error("the API server's answer makes no sense")]
    Malformed,
}

impl AskError {
    pub(crate) fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Refused { code: status.code, message: clipped(&status.message) },
            other => Self::Unreachable(root_cause(other)),
        }
    }
}

/// Asks, and reads the answer here: kube's own way writes what it cannot read to the log.
pub(crate) async fn ask<T: DeserializeOwned>(
    client: &Client,
    request: http::Request<Vec<u8>>,
    within: Duration,
) -> Result<T, AskError> {
    ask_for(client, request, within, |text| serde_json::from_str(text).ok()).await
}

/// The same, where the answer is read by `read`, which gives nothing where it makes no sense.
pub(crate) async fn ask_for<T>(
    client: &Client,
    request: http::Request<Vec<u8>>,
    within: Duration,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, AskError> {
    let answer = timeout(within, client.request_text(request)).await.map_err(|_| AskError::Late(within))?;
    let text = answer.map(Zeroizing::new).map_err(|error| AskError::of(&error))?;
    read(&text).ok_or(AskError::Malformed)
}

/// The last source says what happened; those above it only say that something did.
pub(crate) fn root_cause(error: &(dyn StdError + 'static)) -> String {
    let last = iter::successors(Some(error), |error: &&(dyn StdError + 'static)| (*error).source()).last();
    clipped(&last.map_or_else(String::new, ToString::to_string))
}

fn clipped(text: &str) -> String {
    text.chars().take(256).flat_map(char::escape_debug).collect()
}

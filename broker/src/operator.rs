//! `keyward-broker status`, `refresh` and `explain`: a client of the broker's own `Cache` service.
//!
//! [`run`] asks and prints; the rooms below make text and JSON of the answers and are pure.

mod columns;
pub mod explain;
pub mod refresh;
pub mod status;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use keyward_proto::{
    MAX_REPLY_BYTES,
    v1::{
        ExplainRequest, RefreshRequest, StatusRequest, StatusResponse, cache_client::CacheClient, explain_request::Who,
    },
};
use serde_json::Value;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::args::{ConnectionArgs, ExplainArgs, Output, RefreshArgs, StatusArgs};

/// For a connection, and for an answer from memory.
const DEADLINE: Duration = Duration::from_secs(30);

/// For an answer that vaults are asked for; the broker's own is a minute.
const REFRESH_DEADLINE: Duration = Duration::from_secs(65);

/// What the operator may ask.
#[derive(Clone, Debug)]
pub enum Question {
    /// What the broker knows and holds.
    Status(StatusArgs),
    /// Check vaults now.
    Refresh(RefreshArgs),
    /// Why a reference can or cannot be read.
    Explain(ExplainArgs),
}

/// Whether the answer is the good one: no gate closed, every check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is.
    Good,
    /// It is not.
    Bad,
}

impl Answer {
    fn good_if(good: bool) -> Self {
        if good { Self::Good } else { Self::Bad }
    }
}

/// Why no answer could be shown.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// A file of the TLS directory.
    #[error("{path}: {source}; the directory must hold tls.crt, tls.key and ca.crt", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The token to explain.
    #[error("--token-file {path}: {source}", path = path.display())]
    Token {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No connection.
    #[error("{broker}: {reason}; is the broker running there, and was its certificate issued by this ca.crt?")]
    Connect {
        /// The address.
        broker: String,
        /// Why, to the root.
        reason: String,
    },
    /// The broker refused.
    #[error("{broker} answered {code:?}: {message}", code = status.code(), message = status.message())]
    Refused {
        /// The address.
        broker: String,
        /// Its answer.
        status: Box<tonic::Status>,
    },
    /// Standard output.
    #[error("the answer could not be printed: {0}")]
    Print(#[from] io::Error),
}

/// Asks the broker and prints its answer on `out`.
pub async fn run(question: Question, out: &mut impl io::Write) -> Result<Answer, OperatorError> {
    match question {
        Question::Status(StatusArgs { connection, output }) => {
            let mut broker = Broker::connect(&connection, DEADLINE).await?;
            let status = whole_status(&mut broker.client).await.map_err(|status| broker.refused(status))?;
            match output {
                Output::Table => status::write(&status, SystemTime::now(), out)?,
                Output::Json => print_json(&status::json(&status), out)?,
            }
            Ok(Answer::Good)
        }
        Question::Refresh(RefreshArgs { connection, output, vault }) => {
            let mut broker = Broker::connect(&connection, REFRESH_DEADLINE).await?;
            let request = RefreshRequest { vault: vault.unwrap_or_default() };
            let answer = broker.client.refresh(request).await.map_err(|status| broker.refused(status))?.into_inner();
            match output {
                Output::Table => refresh::write(&answer, out)?,
                Output::Json => print_json(&refresh::json(&answer), out)?,
            }
            Ok(Answer::good_if(refresh::all_ended(&answer)))
        }
        Question::Explain(ExplainArgs { connection, output, namespace, token_file, reference }) => {
            let who = who(namespace, token_file.as_deref())?;
            let mut broker = Broker::connect(&connection, DEADLINE).await?;
            let request = ExplainRequest { who, reference };
            let answer = broker.client.explain(request).await.map_err(|status| broker.refused(status))?.into_inner();
            match output {
                Output::Table => explain::write(&answer, out)?,
                Output::Json => print_json(&explain::json(&answer), out)?,
            }
            Ok(Answer::good_if(explain::all_open(&answer)))
        }
    }
}

fn who(namespace: Option<String>, token_file: Option<&Path>) -> Result<Option<Who>, OperatorError> {
    let Some(path) = token_file else { return Ok(namespace.map(Who::Namespace)) };
    let token = fs::read_to_string(path).map_err(|source| OperatorError::Token { path: path.to_owned(), source })?;
    Ok(Some(Who::Token(token.trim().to_owned())))
}

fn print_json(value: &Value, out: &mut impl io::Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// A broker that is connected to.
struct Broker {
    url: String,
    client: CacheClient<Channel>,
}

impl Broker {
    async fn connect(args: &ConnectionArgs, deadline: Duration) -> Result<Self, OperatorError> {
        let read = |name: &str| {
            let path = args.tls_dir.join(name);
            fs::read(&path).map_err(|source| OperatorError::File { path, source })
        };
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(read("ca.crt")?))
            .identity(Identity::from_pem(read("tls.crt")?, read("tls.key")?));
        let url = args.broker.to_string();
        let channel = channel(&url, tls, deadline)
            .await
            .map_err(|error| OperatorError::Connect { broker: url.clone(), reason: root_cause(&error) })?;
        Ok(Self { url, client: CacheClient::new(channel).max_decoding_message_size(MAX_REPLY_BYTES) })
    }

    fn refused(&self, status: tonic::Status) -> OperatorError {
        OperatorError::Refused { broker: self.url.clone(), status: Box::new(status) }
    }
}

async fn channel(url: &str, tls: ClientTlsConfig, deadline: Duration) -> Result<Channel, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(url.to_owned())?.tls_config(tls)?;
    endpoint.connect_timeout(DEADLINE).timeout(deadline).connect().await
}

/// Every page, as one answer.
async fn whole_status(client: &mut CacheClient<Channel>) -> Result<StatusResponse, tonic::Status> {
    let mut request = StatusRequest { page_size: 1_000, page_token: String::new() };
    let mut whole = client.status(request.clone()).await?.into_inner();
    while !whole.next_page_token.is_empty() {
        request.page_token = std::mem::take(&mut whole.next_page_token);
        let page = client.status(request.clone()).await?.into_inner();
        whole.vaults.extend(page.vaults);
        whole.objects.extend(page.objects);
        whole.invalid_manifests.extend(page.invalid_manifests);
        whole.next_page_token = page.next_page_token;
    }
    Ok(whole)
}

/// The last source says what happened; those above it only say that something did.
fn root_cause(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().map_or_else(String::new, ToString::to_string)
}

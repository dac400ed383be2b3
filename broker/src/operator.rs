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
use tonic::{
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

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
    /// A file of the TLS directory, or of CA certificates.
    #[error("{path}: {source}; --tls-dir must hold tls.crt, tls.key and ca.crt", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The token to explain, or the operator's own.
    #[error("{flag} {path}: {source}", path = path.display())]
    Token {
        /// Which flag names it.
        flag: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Neither says whom to trust.
    #[error("set --ca-file, or --tls-dir with ca.crt in it")]
    NoCa,
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
    read_token("--token-file", path).map(|token| Some(Who::Token(token)))
}

fn read_token(flag: &'static str, path: &Path) -> Result<String, OperatorError> {
    let failed = |source| OperatorError::Token { flag, path: path.to_owned(), source };
    fs::read_to_string(path).map(|token| token.trim().to_owned()).map_err(failed)
}

fn print_json(value: &Value, out: &mut impl io::Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// A broker that is connected to.
struct Broker {
    url: String,
    client: CacheClient<InterceptedService<Channel, Token>>,
}

/// The operator's token beside each request, where there is one.
#[derive(Clone)]
struct Token(Option<MetadataValue<Ascii>>);

impl Token {
    fn read(path: Option<&Path>) -> Result<Self, OperatorError> {
        const FLAG: &str = "--operator-token-file";
        let Some(path) = path else { return Ok(Self(None)) };
        let header = format!("Bearer {}", read_token(FLAG, path)?).parse::<MetadataValue<Ascii>>();
        let mut header = header.map_err(|_| OperatorError::Token {
            flag: FLAG,
            path: path.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidData, "it holds no token"),
        })?;
        header.set_sensitive(true);
        Ok(Self(Some(header)))
    }
}

impl Interceptor for Token {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// Whom to trust, and unless a token does it, who is asking.
fn tls(args: &ConnectionArgs) -> Result<ClientTlsConfig, OperatorError> {
    let read = |path: PathBuf| fs::read(&path).map_err(|source| OperatorError::File { path, source });
    let in_dir = |name: &str| args.tls_dir.as_ref().map(|dir| dir.join(name));
    let ca = args.ca_file.clone().or_else(|| in_dir("ca.crt")).ok_or(OperatorError::NoCa)?;
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?));
    match (in_dir("tls.crt").zip(in_dir("tls.key")), &args.operator_token_file) {
        // A certificate beside it would be looked at instead.
        (_, Some(_)) | (None, None) => Ok(tls),
        (Some((certificate, key)), None) => Ok(tls.identity(Identity::from_pem(read(certificate)?, read(key)?))),
    }
}

impl Broker {
    async fn connect(args: &ConnectionArgs, deadline: Duration) -> Result<Self, OperatorError> {
        let (token, url) = (Token::read(args.operator_token_file.as_deref())?, args.broker.to_string());
        let channel = channel(&url, tls(args)?, deadline)
            .await
            .map_err(|error| OperatorError::Connect { broker: url.clone(), reason: root_cause(&error) })?;
        Ok(Self {
            url,
            client: CacheClient::with_interceptor(channel, token).max_decoding_message_size(MAX_REPLY_BYTES),
        })
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
async fn whole_status(
    client: &mut CacheClient<InterceptedService<Channel, Token>>,
) -> Result<StatusResponse, tonic::Status> {
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

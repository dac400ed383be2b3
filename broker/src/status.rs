//! `keyward-broker status`: a client of the broker's own `Cache/Status`.

pub mod table;

use std::{fs, io, path::PathBuf, time::Duration};

use keyward_proto::{
    MAX_REPLY_BYTES,
    v1::{StatusRequest, StatusResponse, cache_client::CacheClient},
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::args::{Output, StatusArgs};

const DEADLINE: Duration = Duration::from_secs(30);

/// Why no status could be shown.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// A file of the TLS directory.
    #[error("{path}: {source}; the directory must hold tls.crt, tls.key and ca.crt", path = path.display())]
    File {
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
    #[error("the status could not be printed: {0}")]
    Print(#[from] io::Error),
}

/// Asks the broker and prints its answer on `out`.
pub async fn run(args: StatusArgs, out: &mut impl io::Write) -> Result<(), StatusError> {
    let StatusArgs { broker, tls_dir, output } = args;
    let read = |name: &str| {
        let path = tls_dir.join(name);
        fs::read(&path).map_err(|source| StatusError::File { path, source })
    };
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(read("ca.crt")?))
        .identity(Identity::from_pem(read("tls.crt")?, read("tls.key")?));
    let broker = broker.to_string();
    let channel = connect(&broker, tls)
        .await
        .map_err(|error| StatusError::Connect { broker: broker.clone(), reason: root_cause(&error) })?;
    let status = fetch(channel).await.map_err(|status| StatusError::Refused { broker, status: Box::new(status) })?;
    match output {
        Output::Table => table::write(&status, std::time::SystemTime::now(), out)?,
        Output::Json => {
            serde_json::to_writer_pretty(&mut *out, &table::json(&status)).map_err(io::Error::from)?;
            writeln!(out)?;
        }
    }
    Ok(())
}

async fn connect(broker: &str, tls: ClientTlsConfig) -> Result<Channel, tonic::transport::Error> {
    Endpoint::from_shared(broker.to_owned())?
        .tls_config(tls)?
        .connect_timeout(DEADLINE)
        .timeout(DEADLINE)
        .connect()
        .await
}

/// Every page, as one answer.
async fn fetch(channel: Channel) -> Result<StatusResponse, tonic::Status> {
    let mut client = CacheClient::new(channel).max_decoding_message_size(MAX_REPLY_BYTES);
    let mut request = StatusRequest { page_size: 1_000, page_token: String::new() };
    let mut whole = client.status(request.clone()).await?.into_inner();
    while !whole.next_page_token.is_empty() {
        request.page_token = std::mem::take(&mut whole.next_page_token);
        let page = client.status(request.clone()).await?.into_inner();
        whole.objects.extend(page.objects);
        whole.next_page_token = page.next_page_token;
    }
    Ok(whole)
}

/// The last source says what happened; those above it only say that something did.
fn root_cause(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().map_or_else(String::new, ToString::to_string)
}

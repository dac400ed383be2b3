//! One `Resolve` over TLS: connect, ask, and say what kind of answer that was.

use std::error::Error;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use keyward_proto::RETRY_AFTER_METADATA;
use keyward_proto::v1::secrets_client::SecretsClient;
use keyward_proto::v1::{Reference as WireReference, ResolveRequest};
use keyward_types::{Reference, SecretBytes};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

use crate::class::Class;
use crate::credentials::{self, CredentialsError};
use crate::settings::{Broker, Settings};

/// For TCP and TLS together. An address that swallows packets must leave time for the broker's name.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

const USER_AGENT: &str = concat!("keyward-launcher/", env!("CARGO_PKG_VERSION"));

/// Why a try brought no values.
#[derive(Debug, thiserror::Error)]
pub enum TryError {
    /// Nothing was sent: this pod has no token or no authority.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The broker's certificate does not verify: another try would send the token to the same stranger.
    #[error("the certificate is not trusted: {0}")]
    Untrusted(String),
    /// No connection, or it broke, or the broker cannot answer now: [`Class::Unavailable`].
    #[error("{reason}")]
    Unavailable {
        /// What happened.
        reason: String,
        /// How long the broker asked to wait.
        wait: Option<Duration>,
    },
    /// The broker's last word.
    #[error("{code:?}: {message}")]
    Refused {
        /// Which kind of refusal.
        code: Code,
        /// The broker's reason.
        message: String,
    },
    /// An answer that is none.
    #[error("{values} values came back for {references} references")]
    Count {
        /// How many came.
        values: usize,
        /// How many were asked for.
        references: usize,
    },
}

/// Asks for all `references` once, as the process that drew `nonce`. The values come in the same order.
pub async fn ask(settings: &Settings, references: &[Reference], nonce: &[u8]) -> Result<Vec<SecretBytes>, TryError> {
    let token = credentials::bearer(&settings.token_file)?;
    let channel = connect(settings).await?;
    let wire = |reference: &Reference| WireReference {
        name: reference.name().to_owned(),
        query: reference.query().map(str::to_owned),
    };
    let mut request = Request::new(ResolveRequest {
        references: references.iter().map(wire).collect(),
        container: settings.container.clone().unwrap_or_default(),
        nonce: nonce.to_vec(),
    });
    request.metadata_mut().insert("authorization", token);

    let mut client = SecretsClient::new(channel).max_decoding_message_size(keyward_proto::MAX_REPLY_BYTES);
    let reply = client.resolve(request).await.map_err(|status| refusal(&status))?.into_inner();
    let values: Vec<SecretBytes> = reply.values.into_iter().map(SecretBytes::new).collect();
    if values.len() == references.len() {
        Ok(values)
    } else {
        Err(TryError::Count { values: values.len(), references: references.len() })
    }
}

/// Connects to the known address, then to the name. Whichever it is, the certificate must be for the name.
async fn connect(settings: &Settings) -> Result<Channel, TryError> {
    let authority = credentials::authority(&settings.ca_file)?;
    let Broker { origin, host, port } = &settings.broker;
    let tls = ClientTlsConfig::new().ca_certificate(authority).domain_name(host);
    let by_ip = settings.broker_ip.map(|ip| SocketAddr::new(ip, *port).to_string());
    let by_name = match host.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, *port).to_string(),
        Err(_) => format!("{host}:{port}"),
    };

    let mut untrusted = None;
    let mut reason = String::new();
    for target in by_ip.into_iter().chain([by_name]) {
        let endpoint = Endpoint::from_shared(format!("https://{target}"))
            .and_then(|endpoint| endpoint.user_agent(USER_AGENT))
            .map(|endpoint| endpoint.origin(origin.clone()).connect_timeout(CONNECT_LIMIT))
            .and_then(|endpoint| endpoint.tls_config(tls.clone()));
        let failed = match endpoint {
            Ok(endpoint) => match endpoint.connect().await {
                Ok(channel) => return Ok(channel),
                Err(error) => error,
            },
            Err(error) => error,
        };
        let separator = if reason.is_empty() { "" } else { ", " };
        let _infallible = write!(reason, "{separator}{target}: {}", root_cause(&failed));
        untrusted = untrusted.or_else(|| distrust(&failed).map(|why| format!("{target}: {why}")));
    }
    Err(match untrusted {
        Some(why) => TryError::Untrusted(why),
        None => TryError::Unavailable { reason: format!("cannot connect to {reason}"), wait: None },
    })
}

/// A status that the transport made up, because the connection broke, has a source; the broker's own has none.
fn refusal(status: &Status) -> TryError {
    if status.source().is_some() {
        return TryError::Unavailable { reason: format!("the connection broke: {}", root_cause(status)), wait: None };
    }
    let wait = status.metadata().get(RETRY_AFTER_METADATA).and_then(|value| value.to_str().ok()?.parse().ok());
    let message = if status.message().is_empty() { status.code().description() } else { status.message() };
    match Class::of_status(status.code()) {
        Class::Unavailable => {
            TryError::Unavailable { reason: message.to_owned(), wait: wait.map(Duration::from_millis) }
        }
        _ => TryError::Refused { code: status.code(), message: message.to_owned() },
    }
}

/// Why a certificate was not accepted, if that is what failed.
fn distrust(error: &(dyn Error + 'static)) -> Option<String> {
    chain(error).find_map(|cause| match cause.downcast_ref() {
        Some(error @ (rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)) => {
            Some(error.to_string())
        }
        _ => None,
    })
}

fn root_cause(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

/// The error and its causes. `io::Error` hides what it wraps from `source`, so it is opened here.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        match error.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use tonic::metadata::MetadataMap;

    use super::*;

    fn with_metadata(code: Code, wait: &str) -> Status {
        let mut metadata = MetadataMap::new();
        metadata.insert(RETRY_AFTER_METADATA, wait.parse().unwrap());
        Status::with_metadata(code, "busy", metadata)
    }

    /// What passes by itself.
    const PASSING: [Code; 5] =
        [Code::Cancelled, Code::DeadlineExceeded, Code::ResourceExhausted, Code::Aborted, Code::Unavailable];

    #[test]
    fn only_what_passes_by_itself_is_worth_another_try() {
        for code in (0..17).map(Code::from_i32) {
            let again = matches!(refusal(&Status::new(code, "")), TryError::Unavailable { .. });
            assert_eq!(again, PASSING.contains(&code), "{code:?}");
        }
    }

    #[test]
    fn the_brokers_wait_is_read_where_it_can_be() {
        for code in PASSING {
            for (text, expected) in [("1500", Some(Duration::from_millis(1_500))), ("soon", None), ("-1", None)] {
                let TryError::Unavailable { reason, wait } = refusal(&with_metadata(code, text)) else {
                    panic!("{code:?} {text}");
                };
                assert_eq!((reason.as_str(), wait), ("busy", expected), "{code:?} {text}");
            }
        }
    }

    #[test]
    fn a_status_that_the_broker_did_not_send_is_a_broken_connection() {
        let mut status = Status::new(Code::PermissionDenied, "h2 protocol error");
        status.set_source(Arc::new(io::Error::from(io::ErrorKind::BrokenPipe)));
        assert!(matches!(refusal(&status), TryError::Unavailable { wait: None, .. }));
    }

    #[test]
    fn distrust_is_found_inside_an_io_error_and_other_tls_failures_are_not_distrust() {
        let unknown = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        assert!(distrust(&io::Error::new(io::ErrorKind::InvalidData, unknown)).is_some());
        let plaintext = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
        assert!(distrust(&io::Error::new(io::ErrorKind::InvalidData, plaintext)).is_none());
    }
}

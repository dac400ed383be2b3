//! HTTP to registries and token services, which are strangers.
//!
//! - Bodies are read up to a limit. Those above [`SMALL`] take one of a few places, so that many hostile registries
//!   together cannot fill the memory.
//! - Redirects are followed by hand, for reads only: never from HTTPS to HTTP, with credentials only to the same origin.
//! - Pods name registries, so a pod can make the webhook speak HTTPS (or HTTP, to those on the administrator's list)
//!   with any host. What a *registry* names instead, by a redirect or a token service, is not followed to loopback,
//!   link-local or metadata addresses, unless it is the registry's own host: see `address`.
//! - `HTTPS_PROXY` and its kin are ignored, as everywhere in Keyward: these requests carry credentials.
//! - HTTP/1.1 only: its client buffers no more than it was asked to read.

mod address;

use std::{error::Error as _, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION},
};
use reqwest::{Certificate, Client, ClientBuilder, Response, redirect};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use self::address::Elsewhere;
use super::{error::line, settings::ImagesError};

const CONNECT: Duration = Duration::from_secs(3);
const IDLE_CONNECTIONS: usize = 4;
const IDLE_FOR: Duration = Duration::from_secs(30);
const MAX_REDIRECTS: usize = 5;
/// Nearly every manifest and configuration fits.
const SMALL: usize = 256 * 1024;
const LARGE_AT_ONCE: usize = 4;

/// Why there is no answer, or none that is read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TransportError {
    /// No connection, no TLS, or it broke.
    #[error("{at} cannot be reached: {reason}")]
    Unreachable {
        /// The host.
        at: String,
        /// Why.
        reason: String,
    },
    /// More than is read.
    #[error("{at} sends more than {limit} bytes where less is due")]
    TooLong {
        /// The host.
        at: String,
        /// How much is read.
        limit: usize,
    },
    /// Another host than the one that was asked should be, and must not.
    #[error("{at} leads to {to}, which is not followed: {reason}")]
    Detour {
        /// The host that says so.
        at: String,
        /// Where to.
        to: String,
        /// Why not.
        reason: &'static str,
    },
}

/// The way to registries. Cloning shares it.
#[derive(Clone)]
pub(super) struct Transport {
    /// For hosts that pods name.
    named: Client,
    /// For hosts that registries name.
    elsewhere: Client,
    large: Arc<Semaphore>,
}

/// What is asked.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) accept: &'static str,
    pub(super) authorization: Option<&'a HeaderValue>,
    /// A form to post. Redirects of it are not followed.
    pub(super) form: Option<String>,
    /// Of the body.
    pub(super) limit: usize,
}

/// What came.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    /// Not through a redirect to elsewhere: challenges of other origins are not taken up.
    pub(super) at_home: bool,
}

/// Bytes, and the place that they hold while they are many.
pub(super) struct Body {
    pub(super) bytes: Bytes,
    _place: Option<OwnedSemaphorePermit>,
}

impl Transport {
    /// Trusts the system's roots, and those of the file.
    pub(super) fn new(extra_ca: Option<&Path>) -> Result<Self, ImagesError> {
        let extra = extra_ca.map(certificates).transpose()?.unwrap_or_default();
        Ok(Self {
            named: builder(extra.clone()).build()?,
            elsewhere: builder(extra).dns_resolver(Elsewhere).build()?,
            large: Arc::new(Semaphore::new(LARGE_AT_ONCE)),
        })
    }

    /// Asks; `home` is the host of the registry that the image names. Any status is an answer.
    pub(super) async fn ask(&self, home: &str, ask: Ask<'_>) -> Result<Answer, TransportError> {
        let first = ask.url.clone();
        let mut url = first.clone();
        for _ in 0..=MAX_REDIRECTS {
            let same = url.origin() == first.origin();
            let response = self.send(home, &ask, &url, same).await?;
            match (onward(&response, &url)?, &ask.form) {
                (None, _) => return self.read(response, &ask, same).await,
                (Some(to), None) => url = to,
                (Some(to), Some(_)) => return Err(detour(&url, &to, "forms are not sent on")),
            }
        }
        Err(detour(&first, &url, "that was too many redirects"))
    }

    async fn send(&self, home: &str, ask: &Ask<'_>, url: &Url, same: bool) -> Result<Response, TransportError> {
        let client = if url.host_str() == Some(home) {
            &self.named
        } else {
            address::allowed(url).map_err(|reason| detour(&ask.url, url, reason))?;
            &self.elsewhere
        };
        let mut request = client.request(ask.method.clone(), url.clone()).header(ACCEPT, ask.accept);
        if let (Some(authorization), true) = (ask.authorization, same) {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(form) = &ask.form {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.clone());
        }
        request.send().await.map_err(|error| unreachable(url, &error))
    }

    async fn read(&self, mut response: Response, ask: &Ask<'_>, at_home: bool) -> Result<Answer, TransportError> {
        let too_long = |at: &Url| TransportError::TooLong { at: host(at), limit: ask.limit };
        let url = response.url().clone();
        let announced = response.content_length().unwrap_or(0);
        if ask.method != Method::HEAD && announced > ask.limit as u64 {
            return Err(too_long(&url));
        }
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let (mut bytes, mut place) = (Vec::new(), None);
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&url, &error))? {
            let length = bytes.len() + chunk.len();
            if length > ask.limit {
                return Err(too_long(&url));
            }
            if length > SMALL && place.is_none() {
                // Never closed; were it, reading on would still be bounded by the limit.
                place = self.large.clone().acquire_owned().await.ok();
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: Body { bytes: bytes.into(), _place: place }, at_home })
    }
}

fn builder(extra: Vec<Certificate>) -> ClientBuilder {
    let builder = Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .http1_only()
        .connect_timeout(CONNECT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_idle_timeout(IDLE_FOR)
        .user_agent(concat!("keyward-webhook/", env!("CARGO_PKG_VERSION")));
    if extra.is_empty() { builder } else { builder.tls_certs_merge(extra) }
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, ImagesError> {
    let failed = |reason| ImagesError::CaFile { path: path.to_owned(), reason };
    let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| failed(error.to_string()))?;
    if certificates.is_empty() { Err(failed("no certificate in it".to_owned())) } else { Ok(certificates) }
}

/// Where the answer sends the reader, if it does.
fn onward(response: &Response, from: &Url) -> Result<Option<Url>, TransportError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let to = location.and_then(|location| from.join(location).ok());
    let to = to.ok_or_else(|| detour(from, from, "its redirect has no readable Location"))?;
    let downgraded = from.scheme() == "https" && to.scheme() != "https";
    if downgraded || !matches!(to.scheme(), "http" | "https") {
        return Err(detour(from, &to, "a redirect must not leave HTTPS"));
    }
    if !to.username().is_empty() || to.password().is_some() {
        return Err(detour(from, &to, "it carries credentials"));
    }
    Ok(Some(to))
}

pub(super) fn detour(from: &Url, to: &Url, reason: &'static str) -> TransportError {
    TransportError::Detour { at: host(from), to: origin(to), reason }
}

/// `HOST` or `HOST:PORT`.
pub(super) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    line(&url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")), 120)
}

/// No more of a stranger's URL than this is shown: paths and queries of redirects are signed.
fn origin(url: &Url) -> String {
    format!("{}://{}", url.scheme(), host(url))
}

/// reqwest's own message says only that sending failed; why is among its causes. The innermost tells most.
fn unreachable(url: &Url, error: &reqwest::Error) -> TransportError {
    let mut next = error.source();
    let mut reason =
        if error.is_timeout() { "it does not answer in time".to_owned() } else { "it broke off".to_owned() };
    while let Some(cause) = next {
        reason = cause.to_string();
        next = cause.source();
    }
    TransportError::Unreachable { at: host(url), reason: line(&reason, 160) }
}

//! The way every request takes, to a vault and to its authority: to one origin only, bounded, counted.
//!
//! The SDK follows a `nextLink` to whatever host it names, with the bearer token. Behind [`Pinned`] such a request ends
//! before anything is sent.

mod http_client;

use std::{fmt, sync::Arc, time::Instant};

use async_trait::async_trait;
use azure_core::{
    error::ErrorKind,
    http::{AsyncRawResponse, AsyncResponseBody, HttpClient, Request, response::PinnedStream},
};
use futures::StreamExt;

pub(crate) use http_client::local_client;
pub use http_client::{HttpClientError, Roots, http_client};

use crate::budget::Closed;
use crate::vault::{
    observe::{Operation, RequestObserver},
    origin::Origin,
};

/// The largest answer to one object. A secret holds at most 25 KiB, a certificate's twin little more.
pub const MAX_OBJECT: usize = 1024 * 1024;

/// Why the transport stopped a request or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// The URL is not at the origin this transport belongs to. Nothing was sent.
    #[error("it leads to another origin")]
    ForeignOrigin,
    /// The body goes on beyond what is read of it.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    /// The vault asked for a pause after the call had begun. Nothing was sent.
    #[error("the vault is left alone for now")]
    Paused(Closed),
}

/// An [`HttpClient`] that sends to one origin only.
pub struct Pinned {
    inner: Arc<dyn HttpClient>,
    origin: Origin,
    max_body: usize,
    observer: Arc<dyn RequestObserver>,
}

impl Pinned {
    /// Sends by `inner`, to `origin`, and reads at most `max_body` bytes of any answer.
    pub fn new(
        inner: Arc<dyn HttpClient>,
        origin: Origin,
        max_body: usize,
        observer: Arc<dyn RequestObserver>,
    ) -> Self {
        Self { inner, origin, max_body, observer }
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pinned({})", self.origin)
    }
}

#[async_trait]
impl HttpClient for Pinned {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        if !self.origin.holds(request.url()) {
            return Err(stopped(Stopped::ForeignOrigin));
        }
        self.observer.permitted().map_err(|closed| stopped(Stopped::Paused(closed)))?;
        let mut count = Count::start(self.observer.as_ref(), Operation::of(request.url()));
        let response = self.inner.execute_request(request).await?;
        count.status = Some(u16::from(response.status()));
        drop(count);
        let (status, headers, body) = response.deconstruct();
        Ok(AsyncRawResponse::new(status, headers, capped(body, self.max_body)))
    }
}

/// Ends the body with an error at the first chunk that goes beyond `limit`, so no more than that is ever held.
fn capped(body: AsyncResponseBody, limit: usize) -> PinnedStream {
    let mut left = limit;
    Box::pin(body.map(move |chunk| {
        let chunk = chunk?;
        left = left.checked_sub(chunk.len()).ok_or_else(|| stopped(Stopped::TooLong(limit)))?;
        Ok(chunk)
    }))
}

fn stopped(reason: Stopped) -> azure_core::Error {
    azure_core::Error::new(ErrorKind::Other, reason)
}

/// Reports when dropped, so that a request whose caller gives up is counted too.
pub(crate) struct Count<'a> {
    observer: &'a dyn RequestObserver,
    operation: Operation,
    started: Instant,
    /// The answer's, once there is one.
    pub(crate) status: Option<u16>,
}

impl<'a> Count<'a> {
    pub(crate) fn start(observer: &'a dyn RequestObserver, operation: Operation) -> Self {
        Self { observer, operation, started: Instant::now(), status: None }
    }
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.observer.request(self.operation, self.status, self.started.elapsed());
    }
}

//! The one place where [`super::roles`] is enforced: a layer around all services. What it refuses reaches none of them.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use futures::future::{Either, Ready, ready};
use sha2::{Digest as _, Sha256};
use tonic::{
    Status,
    body::Body,
    codegen::http::{Request, Response},
    transport::server::{TcpConnectInfo, TlsConnectInfo},
};
use tower::{Layer, Service};

use super::{errors, roles};
use crate::rate::{Limiter, Rate};

/// Requests of one role's certificate: room for a controller that has just started, and an end to one that is caught in
/// a loop.
const RATE_OF_A_ROLE: Rate = Rate { per_second: 200, burst: 1_000 };

/// SHA-256 of a certificate.
type Fingerprint = [u8; 32];

/// The layer. Cloning shares the count of requests.
#[derive(Clone)]
pub struct Guard {
    trust_domain: Arc<str>,
    requests: Arc<Limiter<Fingerprint>>,
}

impl Guard {
    /// Roles are those of `trust_domain`.
    pub fn new(trust_domain: &str) -> Self {
        Self { trust_domain: trust_domain.into(), requests: Arc::new(Limiter::new(RATE_OF_A_ROLE)) }
    }

    /// Lets the request through, with its role in its extensions where the method needs one.
    fn check(&self, request: &mut Request<Body>) -> Result<(), Status> {
        let certificates =
            request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>().and_then(TlsConnectInfo::peer_certs);
        let certificate = certificates.as_ref().and_then(|certificates| certificates.first()).map(AsRef::as_ref);
        let Some(role) = roles::admit(request.uri().path(), certificate, &self.trust_domain)? else { return Ok(()) };
        let fingerprint: Fingerprint = Sha256::digest(certificate.unwrap_or_default()).into();
        self.requests.take(&fingerprint, Instant::now()).map_err(errors::too_many_requests)?;
        request.extensions_mut().insert(role);
        Ok(())
    }
}

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { guard: self.clone(), inner }
    }
}

/// The services behind a [`Guard`].
#[derive(Clone)]
pub struct Guarded<S> {
    guard: Guard,
    inner: S,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<Ready<Result<Response<Body>, S::Error>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        match self.guard.check(&mut request) {
            Ok(()) => Either::Right(self.inner.call(request)),
            Err(refusal) => Either::Left(ready(Ok(refusal.into_http()))),
        }
    }
}

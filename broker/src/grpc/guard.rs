//! The one place where [`super::roles`] is enforced: a layer around all services. What it refuses reaches none of them.
//!
//! Certificates were proven by the handshake, so they are decided on at once. An operator's token has to be asked about.

use std::{
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use futures::future::{BoxFuture, Either, Ready, ready};
use keyward_kit::tls::role::Role;
use sha2::{Digest as _, Sha256};
use tonic::{
    Status,
    body::Body,
    codegen::http::{Request, Response},
    transport::server::{TcpConnectInfo, TlsConnectInfo},
};
use tower::{Layer, Service};

use super::{
    bearer::{Refusals, bearer},
    errors,
    roles::{self, Admitted, Refused},
};
use crate::{
    authn::operators::{OperatorError, Operators, Verb},
    rate::{Limiter, Rate},
};

/// SHA-256 of a certificate, or of an operator's name.
type Fingerprint = [u8; 32];

/// The layer. Cloning shares the count of requests.
#[derive(Clone)]
pub struct Guard {
    trust_domain: Arc<str>,
    requests: Arc<Limiter<Fingerprint>>,
    refusals: Arc<Refusals>,
    operators: Option<Arc<dyn Operators>>,
}

/// What is left to be asked before a request may pass.
struct Pending {
    operators: Arc<dyn Operators>,
    token: String,
    verb: Verb,
    peer: Option<IpAddr>,
}

impl Guard {
    /// Roles are those of `trust_domain`, each certificate with so many requests. Without `operators`, only certificates
    /// prove one.
    pub fn new(
        trust_domain: &str,
        requests: Rate,
        refusals: Arc<Refusals>,
        operators: Option<Arc<dyn Operators>>,
    ) -> Self {
        Self { trust_domain: trust_domain.into(), requests: Arc::new(Limiter::new(requests)), refusals, operators }
    }

    /// Lets the request through, with its role in its extensions where the method needs one; or says what is to be asked.
    fn check(&self, request: &mut Request<Body>) -> Result<Option<Pending>, Status> {
        let connection = request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>();
        let peer = connection.and_then(|connection| connection.get_ref().remote_addr()).map(|address| address.ip());
        let certificates = connection.and_then(TlsConnectInfo::peer_certs);
        let certificate = certificates.as_ref().and_then(|certificates| certificates.first()).map(AsRef::as_ref);
        match roles::admit(request.uri().path(), certificate, &self.trust_domain)? {
            Admitted::Open => Ok(None),
            Admitted::Role(role) => {
                // What replicas ask of each other is bounded by what they are asked.
                if role != Role::Broker {
                    self.count(certificate.unwrap_or_default())?;
                }
                request.extensions_mut().insert(role);
                Ok(None)
            }
            Admitted::IfTokenMay(verb) => self.pending(request, verb, peer).map(Some),
        }
    }

    fn pending(&self, request: &Request<Body>, verb: Verb, peer: Option<IpAddr>) -> Result<Pending, Status> {
        let operators = self.operators.clone().ok_or(Refused::NoCertificate { needed: roles::OPERATOR })?;
        let token = bearer(request.headers()).map_err(|_| Refused::NoOperator { verb })?.to_owned();
        self.refusals.check(peer)?;
        Ok(Pending { operators, token, verb, peer })
    }

    async fn ask(&self, pending: Pending) -> Result<(), Status> {
        let Pending { operators, token, verb, peer } = pending;
        match operators.admit(&token, verb).await {
            Ok(user) => self.count(&[b"user ", user.as_bytes()].concat()),
            Err(error) => {
                if let OperatorError::Token(error) = &error {
                    self.refusals.note(peer, error);
                }
                Err(errors::of_operator(&error))
            }
        }
    }

    fn count(&self, identity: &[u8]) -> Result<(), Status> {
        let fingerprint: Fingerprint = Sha256::digest(identity).into();
        self.requests.take(&fingerprint, Instant::now()).map_err(errors::too_many_requests)
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

/// An answer of the guard or of the service, or one that is preceded by a question.
type Answer<S> = Either<
    Either<Ready<Result<Response<Body>, <S as Service<Request<Body>>>::Error>>, <S as Service<Request<Body>>>::Future>,
    BoxFuture<'static, Result<Response<Body>, <S as Service<Request<Body>>>::Error>>,
>;

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answer<S>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let pending = match self.guard.check(&mut request) {
            Ok(None) => return Either::Left(Either::Right(self.inner.call(request))),
            Ok(Some(pending)) => pending,
            Err(refusal) => return Either::Left(Either::Left(ready(Ok(refusal.into_http())))),
        };
        // The one that is ready is taken along; its copy becomes ready for the next request.
        let next = self.inner.clone();
        let (guard, mut inner) = (self.guard.clone(), std::mem::replace(&mut self.inner, next));
        Either::Right(Box::pin(async move {
            match guard.ask(pending).await {
                Ok(()) => {
                    request.extensions_mut().insert(roles::OPERATOR);
                    inner.call(request).await
                }
                Err(refusal) => Ok(refusal.into_http()),
            }
        }))
    }
}

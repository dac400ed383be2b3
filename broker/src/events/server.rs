//! The port to which Event Grid delivers: `POST /events` and the handshake `OPTIONS /events` over HTTPS, HTTP/1.1, and
//! nothing else.
//!
//! What a delivery shows is looked at before anything else of it is. Event Grid tries again later where it is answered 429 or
//! 503, and never where it is answered 400, 401, 403 or 413: so what is wrong for good says so, and what is not does not.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    request::Parts,
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::json;
use tokio::{
    sync::Semaphore,
    time::{Instant as Moment, timeout_at},
};

use super::{
    Outcome, Receiver,
    delivery::{BadDelivery, Delivery, parse},
    handshake::permission,
    proof::{Denied, Proofs},
};
use crate::{
    authn::entra::EntraError,
    rate::{Limiter, Rate},
};

/// Deliveries a minute that are granted; a handshake says so.
pub(super) const PER_MINUTE: u32 = 60_000;

const RATE: Rate = Rate { per_second: PER_MINUTE / 60, burst: 5_000 };
/// Refusals that are in the log. Who is refused for ever must not fill it.
const COMPLAINTS: Rate = Rate { per_second: 1, burst: 10 };

/// What deliveries may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// One body, in bytes. Event Grid sends at most 1 MiB.
    pub max_body: usize,
    /// Bodies in hand at a time; more of them wait.
    pub at_a_time: usize,
    /// From its head to the end of its body.
    pub body: Duration,
    /// Deliveries together.
    pub rate: Rate,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_body: 1 << 20, at_a_time: 16, body: Duration::from_secs(10), rate: RATE }
    }
}

/// Why a delivery is not taken in.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("more deliveries come than are granted")]
    TooMany(Duration),
    #[error("send application/json, application/cloudevents+json or application/cloudevents-batch+json")]
    MediaType,
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the body did not arrive, or found no room, within {0:?}")]
    Slow(Duration),
    #[error("the body ended before its end")]
    Broken,
    #[error(transparent)]
    Bad(#[from] BadDelivery),
    #[error("the handshake names no sender in WebHook-Request-Origin")]
    NoSender,
}

impl Refused {
    fn kind(&self) -> (StatusCode, Outcome) {
        match self {
            Self::Denied(Denied::Token(EntraError::Unavailable(_))) => {
                (StatusCode::SERVICE_UNAVAILABLE, Outcome::Unavailable)
            }
            Self::Denied(Denied::Token(EntraError::Sender(_))) => (StatusCode::FORBIDDEN, Outcome::Forbidden),
            Self::Denied(_) => (StatusCode::UNAUTHORIZED, Outcome::Unauthenticated),
            Self::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, Outcome::Busy),
            Self::Slow(_) => (StatusCode::SERVICE_UNAVAILABLE, Outcome::Busy),
            Self::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, Outcome::BadRequest),
            Self::TooLarge(_) | Self::Bad(BadDelivery::TooMany) => (StatusCode::PAYLOAD_TOO_LARGE, Outcome::BadRequest),
            Self::Broken | Self::Bad(_) | Self::NoSender => (StatusCode::BAD_REQUEST, Outcome::BadRequest),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (code, _) = self.kind();
        let text = match &self {
            // Why a proof is not taken helps whoever makes proofs up.
            Self::Denied(_) => "the delivery is not taken".to_owned(),
            refused => refused.to_string(),
        };
        let mut response = (code, text + "\n").into_response();
        if code == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let wait = match self {
            Self::TooMany(wait) => Some(wait.as_secs().max(1)),
            _ => (code == StatusCode::SERVICE_UNAVAILABLE).then_some(1),
        };
        if let Some(seconds) = wait {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

struct Port {
    receiver: Receiver,
    proofs: Proofs,
    limits: Limits,
    places: Semaphore,
    rate: Limiter<()>,
    complaints: Limiter<()>,
}

/// What is served: deliveries that show one of `proofs`, to `receiver`.
pub fn router(receiver: Receiver, proofs: Proofs, limits: Limits) -> Router {
    let port = Port {
        receiver,
        proofs,
        limits,
        places: Semaphore::new(limits.at_a_time),
        rate: Limiter::new(limits.rate),
        complaints: Limiter::new(COMPLAINTS),
    };
    Router::new().route("/events", post(deliver).options(greet)).with_state(Arc::new(port))
}

async fn deliver(State(port): State<Arc<Port>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    match port.delivery(&head, body).await {
        Ok(Delivery::Validation { code }) => {
            port.receiver.count(Outcome::Handshake);
            Json(json!({ "validationResponse": code })).into_response()
        }
        Ok(Delivery::Events(items)) => {
            port.receiver.take(items);
            StatusCode::OK.into_response()
        }
        Err(refused) => port.refuse(refused),
    }
}

async fn greet(State(port): State<Arc<Port>>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    let permitted = async {
        port.admit(&head).await?;
        permission(&head.headers).ok_or(Refused::NoSender)
    };
    match permitted.await {
        Ok(permission) => {
            port.receiver.count(Outcome::Handshake);
            (permission, [(ALLOW, "OPTIONS, POST")]).into_response()
        }
        Err(refused) => port.refuse(refused),
    }
}

impl Port {
    async fn admit(&self, head: &Parts) -> Result<(), Refused> {
        self.proofs.accept(&head.headers, head.uri.query()).await?;
        self.rate.take(&(), Instant::now()).map_err(Refused::TooMany)
    }

    async fn delivery(&self, head: &Parts, body: Body) -> Result<Delivery, Refused> {
        self.admit(head).await?;
        if !is_taken(&head.headers) {
            return Err(Refused::MediaType);
        }
        let Limits { max_body, body: limit, .. } = self.limits;
        let reading = async {
            // The semaphore is never closed.
            let _place = self.places.acquire().await.map_err(|_| Refused::Slow(limit))?;
            let bytes = match Limited::new(body, max_body).collect().await {
                Ok(body) => body.to_bytes(),
                Err(error) if error.is::<LengthLimitError>() => return Err(Refused::TooLarge(max_body)),
                Err(_) => return Err(Refused::Broken),
            };
            Ok(parse(&bytes)?)
        };
        timeout_at(Moment::now() + limit, reading).await.unwrap_or(Err(Refused::Slow(limit)))
    }

    fn refuse(&self, refused: Refused) -> Response {
        let (_, outcome) = refused.kind();
        self.receiver.count(outcome);
        if self.complaints.take(&(), Instant::now()).is_ok() {
            tracing::warn!(outcome = outcome.as_str(), reason = %refused, "an Event Grid delivery is refused");
        }
        refused.into_response()
    }
}

fn is_taken(headers: &HeaderMap) -> bool {
    let media = headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
    let essence = media.split(';').next().unwrap_or_default().trim();
    ["application/json", "application/cloudevents+json", "application/cloudevents-batch+json"]
        .iter()
        .any(|taken| essence.eq_ignore_ascii_case(taken))
}

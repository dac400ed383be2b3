//! The port to which the API server posts pods: `POST /pods` over HTTPS, HTTP/1.1, and nothing else.
//!
//! | room | does | I/O |
//! |---|---|---|
//! | `body` | a request's body, bounded in size, time and what all of them take together | network |
//! | `late` | the denial that is sent when there is no decision in time | none: pure |
//!
//! A review waits for its turn instead of being sent away: the API server does not come again, it fails the pod. Those who
//! wait are bounded by the connections, each of which carries one request at a time.

mod body;
mod late;
#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode, Uri,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use tokio::time::timeout;

use self::body::Bodies;
use crate::metrics::{Metrics, Outcome};

/// What decides. It writes nothing down and may be dropped at any await: a review that is late is given up.
#[async_trait]
pub trait Admit: Send + Sync + 'static {
    /// Answers an `AdmissionReview` in JSON with another.
    async fn admit(&self, review: &[u8]) -> Result<Answer, BadReview>;
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// For metrics.
    pub outcome: Outcome,
    /// An `AdmissionReview` in JSON.
    pub body: Bytes,
}

/// What was sent is no review. The text says what is missing and quotes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no AdmissionReview of admission.k8s.io/v1 about a pod: {0}")]
pub struct BadReview(pub String);

/// What a review may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From its head to its answer. The API server's own limit, less a tenth, counts where it is shorter.
    pub review: Duration,
    /// From its head to the end of its body.
    pub body: Duration,
    /// One body, in bytes. The API server itself takes at most 3 MiB.
    pub max_body: usize,
    /// All bodies in hand together, in bytes; no less than one.
    pub all_bodies: usize,
}

impl Limits {
    /// With this deadline for a review.
    pub fn within(review: Duration) -> Self {
        Self { review, body: Duration::from_secs(3), max_body: 8 * 1024 * 1024, all_bodies: 32 * 1024 * 1024 }
    }
}

/// Why a request is not answered with a review.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("send an AdmissionReview as application/json")]
    MediaType,
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the reviews in hand leave no room for this one within {0:?}")]
    Busy(Duration),
    #[error("the body did not arrive within {0:?}")]
    SlowBody(Duration),
    #[error("the body ended before its end")]
    Broken,
    #[error(transparent)]
    BadReview(#[from] BadReview),
    #[error("no decision within {0:?}")]
    Late(Duration),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let code = match self {
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::SlowBody(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Broken | Self::BadReview(_) => StatusCode::BAD_REQUEST,
            Self::Late(_) => StatusCode::GATEWAY_TIMEOUT,
        };
        let mut response = (code, format!("{self}\n")).into_response();
        if code == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// What is served: reviews by `admit`, within `limits`.
pub fn router(admit: Arc<dyn Admit>, limits: Limits, metrics: Arc<Metrics>) -> Router {
    let bodies = Bodies::new(limits.max_body, limits.all_bodies);
    Router::new().route("/pods", post(pods)).with_state(Arc::new(Reviews { admit, bodies, limits, metrics }))
}

struct Reviews {
    admit: Arc<dyn Admit>,
    bodies: Bodies,
    limits: Limits,
    metrics: Arc<Metrics>,
}

async fn pods(State(reviews): State<Arc<Reviews>>, request: Request) -> Response {
    let began = Instant::now();
    let answered = reviews.answer(request, began).await;
    let outcome = answered.as_ref().map_or(Outcome::Failed, |answer| answer.outcome);
    reviews.metrics.reviewed(outcome, began.elapsed());
    match answered {
        Ok(Answer { body, .. }) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(refused) => {
            tracing::warn!(reason = %refused, "a review was not answered");
            refused.into_response()
        }
    }
}

impl Reviews {
    async fn answer(&self, request: Request, began: Instant) -> Result<Answer, Refused> {
        if !is_json(request.headers()) {
            return Err(Refused::MediaType);
        }
        let limit = deadline(request.uri(), self.limits.review);
        let body = self.bodies.read(request.into_body(), self.limits.body.min(limit)).await?;
        let left = limit.saturating_sub(began.elapsed());
        if let Ok(decided) = timeout(left, self.admit.admit(&body)).await {
            return Ok(decided?);
        }
        let denial = late::denial(&body, limit).ok_or(Refused::Late(limit))?;
        tracing::warn!(?limit, "a pod is denied: there was no decision in time");
        Ok(Answer { outcome: Outcome::Failed, body: denial })
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media = headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
    media.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// Ours, or nine tenths of what the API server gives in its query (`timeout=10s`, from `timeoutSeconds`): an answer must
/// be there before it looks away.
fn deadline(uri: &Uri, ours: Duration) -> Duration {
    let query = uri.query().unwrap_or_default();
    let asked = query.split('&').find_map(|pair| pair.strip_prefix("timeout="));
    let asked = asked.and_then(|text| humantime::parse_duration(text).ok()).filter(|asked| !asked.is_zero());
    asked.map_or(ours, |asked| ours.min(asked.mul_f64(0.9)))
}

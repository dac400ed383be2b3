//! Counts every request by method and code: the outermost layer, so that what the [`guard`](super::guard) refuses counts too.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use tonic::{
    Code, Status,
    body::Body,
    codegen::http::{Request, Response},
};
use tower::{Layer, Service};

use super::roles::METHODS;
use crate::metrics::Metrics;

/// The label of a path that no method has: whatever callers make up, labels stay few.
const UNKNOWN: &str = "unknown";

/// The layer.
#[derive(Clone)]
pub struct Measured(pub Arc<Metrics>);

/// The services behind it.
#[derive(Clone)]
pub struct MeasuredService<S> {
    metrics: Arc<Metrics>,
    inner: S,
}

/// One request. Reports when dropped, so that one whose caller goes away is counted too.
struct Measurement {
    metrics: Arc<Metrics>,
    method: &'static str,
    began: Instant,
    code: Code,
}

impl Drop for Measurement {
    fn drop(&mut self) {
        self.metrics.answered(self.method, self.code, self.began.elapsed());
    }
}

impl<S> Layer<S> for Measured {
    type Service = MeasuredService<S>;

    fn layer(&self, inner: S) -> MeasuredService<S> {
        MeasuredService { metrics: Arc::clone(&self.0), inner }
    }
}

impl<S> Service<Request<Body>> for MeasuredService<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = method(request.uri().path());
        let (metrics, began) = (Arc::clone(&self.metrics), Instant::now());
        let measurement = Measurement { metrics, method, began, code: Code::Cancelled };
        let answer = self.inner.call(request);
        Box::pin(async move {
            // The whole of it moves in here: its drop is what reports.
            let mut measurement = measurement;
            let answer = answer.await;
            measurement.code = answer.as_ref().map_or(Code::Unknown, code);
            answer
        })
    }
}

/// A refusal stands in the head of the answer. What a stream ends with is not waited for: it may go on for hours.
fn code(answer: &Response<Body>) -> Code {
    Status::from_header_map(answer.headers()).map_or(Code::Ok, |status| status.code())
}

/// `keyward.v1.Secrets/Resolve`, as the table of methods has it.
fn method(path: &str) -> &'static str {
    METHODS.iter().find(|(known, _)| *known == path).map_or(UNKNOWN, |(known, _)| known.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_made_up_gets_no_label_of_its_own() {
        assert_eq!(method("/keyward.v1.Secrets/Resolve"), "keyward.v1.Secrets/Resolve");
        for path in ["/", "/keyward.v1.Secrets/Steal", "keyward.v1.Secrets/Resolve"] {
            assert_eq!(method(path), UNKNOWN, "{path}");
        }
    }

    #[test]
    fn the_code_is_the_head_s_or_ok() {
        assert_eq!(code(&Response::new(Body::empty())), Code::Ok);
        assert_eq!(code(&Status::not_found("x").into_http()), Code::NotFound);
    }
}

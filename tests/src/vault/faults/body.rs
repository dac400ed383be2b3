//! Answers that arrive damaged. The status line and the headers are out by then; what is wrong is the body.

use std::io;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, StreamExt};
use tokio_util::sync::CancellationToken;

use super::fault::BodyFault;

/// What goes out at once of a body that is blown up: large answers are made as they are sent.
const BLANKS: &[u8] = &[b' '; 16 * 1024];

/// Does to a whole answer what the fault says.
pub(super) async fn damage(answer: Response, fault: BodyFault, lifted: CancellationToken) -> Response {
    let (mut head, body) = answer.into_parts();
    let Ok(whole) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let (length, body) = match fault {
        BodyFault::HalfOpen { bytes } => {
            let first = whole.slice(..bytes.min(whole.len()));
            let rest = whole.slice(first.len()..);
            (Some(whole.len()), half_open(first, rest, lifted))
        }
        BodyFault::Truncated { bytes } => {
            let first = whole.slice(..bytes.min(whole.len()));
            (Some(whole.len().max(first.len() + 1)), truncated(first))
        }
        BodyFault::Oversize { bytes, chunked } => {
            let blanks = bytes.saturating_sub(whole.len());
            ((!chunked).then_some(whole.len() + blanks), oversize(whole, blanks))
        }
    };
    head.headers.remove(header::CONTENT_LENGTH);
    if let Some(length) = length {
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(head, body)
}

fn half_open(first: Bytes, rest: Bytes, lifted: CancellationToken) -> Body {
    let later = async move {
        lifted.cancelled().await;
        Ok::<_, io::Error>(rest)
    };
    Body::from_stream(stream::iter([Ok(first)]).chain(stream::once(later)))
}

/// An error is the one way to make the server end a connection in the middle of a body.
fn truncated(first: Bytes) -> Body {
    let broken = async {
        // What was sent before is flushed while the server waits, and only then.
        tokio::task::yield_now().await;
        Err(io::Error::other("an armed fault truncates this answer"))
    };
    Body::from_stream(stream::iter([Ok(first)]).chain(stream::once(broken)))
}

fn oversize(whole: Bytes, blanks: usize) -> Body {
    let more = stream::unfold(blanks, async |left| {
        let size = left.min(BLANKS.len());
        (size > 0).then(|| (Ok::<_, io::Error>(Bytes::from_static(&BLANKS[..size])), left - size))
    });
    Body::from_stream(stream::iter([Ok(whole)]).chain(more))
}

//! Streams that a client may keep open for ever, health's `Watch` and reflection, end when the broker drains: anyone may
//! open them, and nobody may hold up the broker's end with them.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures::{FutureExt as _, future::BoxFuture};
use http_body::Frame;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{
    Code, Status,
    body::Body,
    codegen::{
        Bytes,
        http::{HeaderMap, Request, Response},
    },
};
use tower::{Layer, Service};

use super::errors;

/// The layer around a service with such streams.
#[derive(Clone)]
pub struct EndStreams {
    drain: CancellationToken,
}

impl EndStreams {
    /// They end when `drain` is cancelled.
    pub fn at(drain: CancellationToken) -> Self {
        Self { drain }
    }
}

impl<S> Layer<S> for EndStreams {
    type Service = EndedStreams<S>;

    fn layer(&self, inner: S) -> EndedStreams<S> {
        EndedStreams { inner, drain: self.drain.clone() }
    }
}

/// A service within [`EndStreams`].
#[derive(Clone)]
pub struct EndedStreams<S> {
    inner: S,
    drain: CancellationToken,
}

impl<S> Service<Request<Body>> for EndedStreams<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The request too: a service may read it on a task of its own, which would keep the connection.
        let request = request.map(|body| ending(body, self.drain.clone(), None));
        let drain = self.drain.clone();
        let response = self.inner.call(request);
        response.map(|answer| answer.map(|response| response.map(|body| ending(body, drain, Some(stopping))))).boxed()
    }
}

/// What a body says last when it is ended.
type LastWord = fn() -> Result<Frame<Bytes>, Status>;

fn ending(inner: Body, drain: CancellationToken, last_word: Option<LastWord>) -> Body {
    Body::new(Ending { inner, drain: Box::pin(drain.cancelled_owned()), last_word, ended: false })
}

/// A body that ends by itself, or when it has nothing to say while the broker drains.
struct Ending {
    inner: Body,
    drain: Pin<Box<WaitForCancellationFutureOwned>>,
    last_word: Option<LastWord>,
    ended: bool,
}

impl http_body::Body for Ending {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // What is there is still said: an answer of one message is complete.
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) {
            return Poll::Ready(frame);
        }
        self.drain.as_mut().poll(context).map(|()| {
            self.ended = true;
            self.last_word.map(|last_word| last_word())
        })
    }
}

/// The status of an answer that is cut off.
fn stopping() -> Result<Frame<Bytes>, Status> {
    let mut trailers = HeaderMap::new();
    let status = errors::refusal(Code::Unavailable, "BROKER_STOPPING", "the broker is stopping");
    status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))
}

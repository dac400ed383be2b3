//! HTTP/1.1 over the connections of [`crate::tls::incoming`], ended without failing a call.
//!
//! A client may send a request at the very moment at which its idle connection is closed, and cannot know whether it was
//! heard. So a connection may idle for longer than clients keep one, and its end is announced beforehand: the last answer
//! says `connection: close`.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use futures::StreamExt as _;
use hyper::body::Incoming as Body;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use crate::tls::{Admitted, Incoming};

const MAX_HEAD: usize = 16 * 1024;

/// How long a connection may do what.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// From the end of an answer to the end of the next request's head, a first one included: a connection that idles and
    /// one whose head is slow are one to the server. Longer than clients keep idle connections (Go: 90 s).
    pub idle: Duration,
    /// After it, an answer is the connection's last, so that clients spread over servers that came later. It is cut where
    /// twice `idle` later it still stands: its peer takes no answer.
    pub age: Duration,
    /// How long new connections are taken, and answers are each their connection's last, before a shutdown: whoever does
    /// not know yet that this server goes is served.
    pub linger: Duration,
}

/// Serves until `shutdown`, lingers, and finishes what is in hand: a task for [`crate::tasks::Tasks`], whose deadline
/// bounds it. How long one request may take is the router's to say.
pub async fn serve(
    mut incoming: Incoming,
    router: Router,
    times: Times,
    shutdown: CancellationToken,
) -> Result<(), Infallible> {
    let ending = CancellationToken::new();
    let mut connections = JoinSet::new();
    let mut end = pin!(async {
        shutdown.cancelled().await;
        sleep(times.linger).await;
    });
    loop {
        tokio::select! {
            () = &mut end => break,
            // Reaps what has ended; the set would grow for ever otherwise.
            Some(ended) = connections.join_next() => note(ended),
            Some(Ok(stream)) = incoming.next() => {
                let connection = Connection { times, last: shutdown.clone(), ending: ending.clone() };
                connections.spawn(connection.serve(stream, router.clone()));
            }
            else => break,
        }
    }
    drop(incoming);
    ending.cancel();
    while let Some(ended) = connections.join_next().await {
        note(ended);
    }
    Ok(())
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        error!(%error, "a connection did not end well");
    }
}

struct Connection {
    times: Times,
    /// Once cancelled, the next answer is the last.
    last: CancellationToken,
    /// Once cancelled, idling is the end.
    ending: CancellationToken,
}

impl Connection {
    async fn serve(self, stream: TlsStream<Admitted>, router: Router) {
        let old = Instant::now() + self.times.age;
        let router = TowerToHyperService::new(router);
        let answer = |request: Request<Body>| {
            let answering = router.call(request);
            let last = &self.last;
            async move {
                let Ok(mut answer): Result<Response<_>, Infallible> = answering.await;
                if last.is_cancelled() || Instant::now() >= old {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer)
            }
        };
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.times.idle)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service_fn(answer));
        let mut serving = pin!(serving);
        let ended = async {
            tokio::select! {
                ended = serving.as_mut() => ended,
                () = self.ending.cancelled() => {
                    serving.as_mut().graceful_shutdown();
                    serving.await
                }
            }
        };
        match timeout_at(old + 2 * self.times.idle, ended).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "connection failed"),
            Err(_) => debug!("connection cut: it is too old"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use axum::routing::get;
    use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::Notify;
    use tokio::time::timeout;

    use super::*;
    use crate::tls::testing::{Authority, Fixture, LIMITS, connect_with, fixture_of};
    use crate::tls::{Alpn, incoming};

    const LONG: Duration = Duration::from_mins(1);
    const TIMES: Times = Times { idle: LONG, age: LONG, linger: Duration::ZERO };

    /// Serves `/`, and `/slow` which waits for `go`, while `client` runs; the client says when to stop.
    async fn beside(
        times: Times,
        go: Arc<Notify>,
        client: impl AsyncFnOnce(SocketAddr, &Authority, &CancellationToken),
    ) {
        let Fixture { ca, tls, listener, addr, _dir } = fixture_of(Alpn::Http11).await;
        let slow = get(move || async move {
            go.notified().await;
            "slow"
        });
        let router = Router::new().route("/", get(|| async { "quick" })).route("/slow", slow);
        let stop = CancellationToken::new();
        let serving = serve(incoming(listener, tls, LIMITS, CancellationToken::new()), router, times, stop.clone());
        let client = Box::pin(async {
            client(addr, &ca, &stop).await;
            stop.cancel();
        });
        let both = Box::pin(async { tokio::join!(serving, client) });
        timeout(LONG, both).await.unwrap().0.unwrap();
    }

    fn request(path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
    }

    /// One answer, without what follows it.
    async fn answer(stream: &mut (impl AsyncRead + Unpin), body: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(body) {
            text.push(stream.read_u8().await.unwrap().into());
        }
        text
    }

    async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
        let mut bytes = Vec::new();
        // Some ends are without a close of the TLS session: an error, and the end.
        let _ = stream.read_to_end(&mut bytes).await;
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn a_connection_carries_many_requests_and_only_http_1_1_is_offered() {
        beside(TIMES, Arc::default(), async |addr, ca, _| {
            let mut stream = connect_with(&[b"h2", b"http/1.1"], addr, ca, &request("/")).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
            for _ in 0..3 {
                let text = answer(&mut stream, "quick").await;
                assert!(text.starts_with("HTTP/1.1 200 OK") && !text.contains("connection: close"), "{text}");
                stream.write_all(request("/").as_bytes()).await.unwrap();
            }
            assert!(connect_with(&[b"h2"], addr, ca, "").await.is_err());
        })
        .await;
    }

    #[tokio::test]
    async fn what_is_in_hand_at_the_end_is_answered_and_idle_connections_are_closed() {
        let go = Arc::new(Notify::new());
        beside(TIMES, Arc::clone(&go), async |addr, ca, stop| {
            let mut slow = connect_with(&[], addr, ca, &request("/slow")).await.unwrap();
            let mut idle = connect_with(&[], addr, ca, &request("/")).await.unwrap();
            answer(&mut idle, "quick").await;
            stop.cancel();
            assert_eq!(rest(&mut idle).await, "");
            go.notify_one();
            let text = rest(&mut slow).await;
            assert!(text.contains("connection: close") && text.ends_with("slow"), "{text}");
        })
        .await;
    }

    #[tokio::test]
    async fn who_does_not_know_of_the_end_is_served_while_it_lingers() {
        let times = Times { linger: Duration::from_secs(2), ..TIMES };
        beside(times, Arc::default(), async |addr, ca, stop| {
            let mut known = connect_with(&[], addr, ca, &request("/")).await.unwrap();
            answer(&mut known, "quick").await;
            stop.cancel();
            known.write_all(request("/").as_bytes()).await.unwrap();
            let mut unknown = connect_with(&[], addr, ca, &request("/")).await.unwrap();
            for stream in [&mut known, &mut unknown] {
                let text = rest(stream).await;
                assert!(text.contains("connection: close") && text.ends_with("quick"), "{text}");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn an_old_connection_is_answered_once_more_and_closed() {
        beside(Times { age: Duration::ZERO, ..TIMES }, Arc::default(), async |addr, ca, _| {
            let mut stream = connect_with(&[], addr, ca, &request("/")).await.unwrap();
            let text = rest(&mut stream).await;
            assert!(text.contains("connection: close") && text.ends_with("quick"), "{text}");
        })
        .await;
    }

    #[tokio::test]
    async fn one_that_idles_or_is_slow_with_its_head_is_closed() {
        let times = Times { idle: Duration::from_millis(50), ..TIMES };
        beside(times, Arc::default(), async |addr, ca, _| {
            let mut slow = connect_with(&[], addr, ca, "GET / HTTP/1.1\r\nhost: loc").await.unwrap();
            assert_eq!(rest(&mut slow).await, "");
            let mut idle = connect_with(&[], addr, ca, &request("/")).await.unwrap();
            let text = rest(&mut idle).await;
            assert!(text.ends_with("quick"), "{text}");
        })
        .await;
    }

    #[tokio::test]
    async fn one_that_stands_for_too_long_is_cut() {
        let times = Times { idle: Duration::from_millis(50), age: Duration::ZERO, linger: Duration::ZERO };
        beside(times, Arc::default(), async |addr, ca, _| {
            let mut stuck = connect_with(&[], addr, ca, &request("/slow")).await.unwrap();
            assert_eq!(rest(&mut stuck).await, "");
        })
        .await;
    }
}

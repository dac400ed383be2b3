//! A request's body in memory: bounded in size, in time, and together with all others.

use std::{
    ops::Deref,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as _;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::Refused;

/// Room is given in pieces of this many bytes.
const PIECE: usize = 1024;

/// Room for bodies.
pub(super) struct Bodies {
    max: usize,
    room: Arc<Semaphore>,
}

/// A body, and its room until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Bodies {
    /// Of at most `max` bytes each and `all` together.
    pub(super) fn new(max: usize, all: usize) -> Self {
        Self { max, room: Arc::new(Semaphore::new(all.max(max).div_ceil(PIECE))) }
    }

    /// Waits for room, in line, and reads; both within `limit`.
    pub(super) async fn read(&self, body: Body, limit: Duration) -> Result<Held, Refused> {
        let began = Instant::now();
        // A body of unknown length may become the longest.
        let size = body.size_hint().upper().unwrap_or(self.max as u64);
        let size = usize::try_from(size).ok().filter(|size| *size <= self.max).ok_or(Refused::TooLarge(self.max))?;
        let pieces = u32::try_from(size.div_ceil(PIECE).max(1)).unwrap_or(u32::MAX);
        let room = timeout(limit, Arc::clone(&self.room).acquire_many_owned(pieces)).await;
        // The semaphore is never closed.
        let Ok(Ok(room)) = room else { return Err(Refused::Busy(limit)) };
        let left = limit.saturating_sub(began.elapsed());
        let reading = timeout(left, Limited::new(body, self.max).collect()).await;
        let bytes = match reading.map_err(|_| Refused::SlowBody(limit))? {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => return Err(Refused::TooLarge(self.max)),
            Err(_) => return Err(Refused::Broken),
        };
        Ok(Held { bytes, _room: room })
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::pending};

    use futures::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn unsized_body(chunks: &[&'static str]) -> Body {
        let frames: Vec<_> = chunks.iter().map(|chunk| Ok::<_, Infallible>(Frame::data(Bytes::from(*chunk)))).collect();
        Body::new(StreamBody::new(stream::iter(frames)))
    }

    #[tokio::test]
    async fn a_body_of_known_or_unknown_length_is_read_up_to_the_limit() {
        let bodies = Bodies::new(10, 100);
        for body in [Body::from("0123456789"), unsized_body(&["01234", "56789"])] {
            assert_eq!(&*bodies.read(body, LONG).await.unwrap(), b"0123456789");
        }
        for body in [Body::from("01234567890"), unsized_body(&["01234", "567890"])] {
            assert!(matches!(bodies.read(body, LONG).await, Err(Refused::TooLarge(10))));
        }
        assert!(bodies.read(Body::empty(), LONG).await.unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_finds_no_room_waits_for_it_and_no_longer_than_it_may() {
        let bodies = Bodies::new(2 * PIECE, 3 * PIECE);
        let first = bodies.read(Body::from(vec![0; 2 * PIECE]), LONG).await.unwrap();
        assert!(matches!(bodies.read(unsized_body(&["1"]), LONG).await, Err(Refused::Busy(LONG))));
        let small = bodies.read(Body::from("2"), LONG).await.unwrap();
        let (read, ()) = tokio::join!(bodies.read(unsized_body(&["3"]), LONG), async { drop((first, small)) });
        assert_eq!(&*read.unwrap(), b"3");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_come_gives_its_room_back() {
        let bodies = Bodies::new(PIECE, PIECE);
        let never = || Body::new(StreamBody::new(stream::once(pending::<Result<Frame<Bytes>, Infallible>>())));
        assert!(matches!(bodies.read(never(), LONG).await, Err(Refused::SlowBody(LONG))));
        let broken = stream::iter([Err::<Frame<Bytes>, _>(std::io::Error::other("reset"))]);
        let broken = Body::new(StreamBody::new(broken));
        assert!(matches!(bodies.read(broken, LONG).await, Err(Refused::Broken)));
        assert!(bodies.read(Body::from("next"), LONG).await.is_ok());
    }
}

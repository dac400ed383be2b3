//! `Peers/Follow` at the edge: one stream of what becomes of what is held here.
//!
//! The stream is asked for its next message only when the follower's window has room, and messages are made only then. A beat
//! goes before everything else: a long list must not make this replica seem lost.

use std::{iter, sync::Arc, time::Duration};

use futures::{Stream, stream};
use keyward_proto::v1::{FollowRequest, FollowResponse, follow_request, follow_response::Word};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming};

use crate::{
    cache::ObjectCache,
    grpc::errors,
    peers::{
        Peers,
        encoding::of_beat,
        followers::Following,
        pieces::{Pieces, Script, message},
        view::Standing,
    },
};

/// Several of them fit into the time after which a silent replica is lost.
const BEAT_EVERY: Duration = Duration::from_millis(200);

pub(super) struct Telling {
    following: Following,
    answers: Streaming<FollowRequest>,
    standing: watch::Receiver<Arc<Standing>>,
    next_beat: Instant,
    pieces: Pieces,
    all_told: bool,
    script: Script,
    cache: ObjectCache,
    drain: CancellationToken,
}

impl Telling {
    pub(super) fn new(
        following: Following,
        answers: Streaming<FollowRequest>,
        peers: &Peers,
        cache: ObjectCache,
        drain: CancellationToken,
    ) -> Self {
        Self {
            following,
            answers,
            standing: peers.board.watch(),
            next_beat: Instant::now(),
            pieces: Box::new(iter::empty()),
            all_told: false,
            script: Script::default(),
            cache,
            drain,
        }
    }

    /// Ends with a status that says to come again, once the broker drains.
    pub(super) fn stream(self) -> impl Stream<Item = Result<FollowResponse, Status>> + Send {
        stream::unfold(Some(self), |telling| async move {
            let mut telling = telling?;
            match telling.next().await {
                Ok(message) => Some((Ok(message), Some(telling))),
                Err(status) => Some((Err(status), None)),
            }
        })
    }

    async fn next(&mut self) -> Result<FollowResponse, Status> {
        loop {
            if Instant::now() >= self.next_beat || self.standing.has_changed().unwrap_or_default() {
                self.next_beat = Instant::now() + BEAT_EVERY;
                let beat = of_beat(&self.standing.borrow_and_update().beat());
                return Ok(message(Word::Beat(beat)));
            }
            if let Some(message) = self.pieces.next() {
                return Ok(message);
            }
            if !std::mem::replace(&mut self.all_told, true) {
                // What changes from here on is in the queue already.
                self.pieces = Script::everything(&self.cache);
                continue;
            }
            tokio::select! {
                () = self.drain.cancelled() => return Err(over("BROKER_STOPPING", "the broker is stopping")),
                answer = self.answers.message() => self.hear(answer?)?,
                event = self.following.next() => {
                    let event = event.ok_or_else(|| over("FOLLOWER_TOO_SLOW", "too slow; follow anew"))?;
                    self.pieces = self.script.of(event, &self.cache);
                }
                Ok(()) = self.standing.changed() => self.standing.mark_changed(),
                () = sleep_until(self.next_beat) => {}
            }
        }
    }

    fn hear(&self, answer: Option<FollowRequest>) -> Result<(), Status> {
        let answer = answer.ok_or_else(|| over("FOLLOWER_GONE", "the follower has gone away"))?;
        match answer.word {
            Some(follow_request::Word::Prepared(number)) => self.following.prepared(number),
            Some(follow_request::Word::Hello(_)) | None => return Err(errors::invalid("one hello is enough")),
        }
        Ok(())
    }
}

fn over(reason: &'static str, message: &'static str) -> Status {
    errors::refusal(Code::Unavailable, reason, message)
}

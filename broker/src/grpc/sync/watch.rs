//! `Sync/Watch` at the edge: one stream of what [`crate::watch`] has to tell.
//!
//! The stream is asked for its next message only when the client's window has room, so a slow reader costs its backlog
//! and nothing else: changes are told to all listeners at once and wait for none.

use std::{sync::Arc, time::Duration};

use futures::{Stream, stream};
use keyward_proto::v1::{Resync, SecretChanged, WatchResponse, watch_response};
use tokio::{
    sync::{
        OwnedSemaphorePermit,
        broadcast::{
            Receiver,
            error::{RecvError, TryRecvError},
        },
    },
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::{
    changes::{Change, Changes},
    grpc::errors,
    policy::Current,
    watch::{Backlog, Event},
};

/// Changes heard at one go before something is told again: whoever makes many does not keep the reader waiting.
const AT_ONE_GO: usize = 4_096;

/// At least between two passes through all secrets: of changes that pour in, more are told by one pass.
const LOOK_UP_EVERY: Duration = Duration::from_millis(25);

pub(super) struct Watch {
    changes: Receiver<Change>,
    backlog: Backlog,
    snapshot: Arc<Current>,
    drain: CancellationToken,
    looked_up: Option<Instant>,
    _place: OwnedSemaphorePermit,
}

impl Watch {
    pub(super) fn new(
        changes: &Changes,
        snapshot: Arc<Current>,
        drain: CancellationToken,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self { changes: changes.listen(), backlog: Backlog::default(), snapshot, drain, looked_up: None, _place: place }
    }

    /// Ends with a status that says to come again, once the broker drains.
    pub(super) fn stream(self) -> impl Stream<Item = Result<WatchResponse, Status>> + Send {
        stream::unfold(Some(self), |watch| async move {
            let mut watch = watch?;
            let Some(event) = watch.next().await else {
                let message = "the broker is stopping; another one answers";
                return Some((Err(errors::refusal(Code::Unavailable, "BROKER_STOPPING", message)), None));
            };
            Some((Ok(message(event)), Some(watch)))
        })
    }

    /// The next thing to tell; `None` when there will be no more.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if self.drain.is_cancelled() {
                return None;
            }
            self.hear_what_waits();
            if self.backlog.would_look_up() {
                self.pace().await;
                self.hear_what_waits();
            }
            if let Some(event) = self.backlog.next(&self.snapshot.load()) {
                return Some(event);
            }
            match self.drain.run_until_cancelled(self.changes.recv()).await? {
                Ok(change) => self.backlog.hear(change),
                Err(RecvError::Lagged(_)) => self.backlog.missed(),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Returns at once after a rest.
    async fn pace(&mut self) {
        if let Some(looked_up) = self.looked_up {
            self.drain.run_until_cancelled(sleep_until(looked_up + LOOK_UP_EVERY)).await;
        }
        self.looked_up = Some(Instant::now());
    }

    fn hear_what_waits(&mut self) {
        for _ in 0..AT_ONE_GO {
            match self.changes.try_recv() {
                Ok(change) => self.backlog.hear(change),
                Err(TryRecvError::Lagged(_)) => self.backlog.missed(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }
}

fn message(event: Event) -> WatchResponse {
    let event = match event {
        Event::Changed { namespace, name } => {
            watch_response::Event::Changed(SecretChanged { namespace: namespace.to_string(), name: name.to_string() })
        }
        Event::Resync(reason) => watch_response::Event::Resync(Resync { reason: reason.to_owned() }),
    };
    WatchResponse { event: Some(event) }
}

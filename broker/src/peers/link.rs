//! The way to one address where another replica may be: followed as long as it is there, tried again when it is not.

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use keyward_kit::tls::channel::Connection;
use keyward_proto::v1::{
    FollowHello, FollowRequest, FollowResponse, follow_request, follow_response::Word, peers_client::PeersClient,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tonic::{Status, Streaming, transport::Channel};

use super::{
    MAX_MESSAGE, Peers,
    clock::TheirClock,
    encoding::{Garbled, to_beat},
    links::Way,
    member::MemberId,
    mirror::{Copies, Mirror, Then},
    warmup::{Place, Settled},
};

/// For a connection and the first word on it.
const FIRST_WORD: Duration = Duration::from_secs(5);
/// A stream on which nothing is said for so long is dead: several beats are missing.
const SILENCE: Duration = Duration::from_secs(3);
/// Between attempts: twice as long each time, from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// An address that turned out to be this replica's own, or another one's second, is looked at again after it.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Who was followed for so long is tried at once when it is gone.
const A_WHILE: Duration = Duration::from_secs(10);

/// The way to one address.
pub struct Link {
    /// What all replicas share here.
    pub peers: Arc<Peers>,
    /// Where copies are kept.
    pub copies: Copies,
    /// How to get there.
    pub connection: Connection,
    /// Its part in this replica's warming up.
    pub place: Place,
}

/// Why a replica is not followed any more.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// It is this one.
    #[error("it is this replica itself")]
    Own,
    /// It is followed at another address.
    #[error("it is followed at another address already")]
    Twin,
    /// Nobody is there, or whoever is says no.
    #[error("{0}")]
    Unheard(Status),
    /// The stream broke.
    #[error("{0}")]
    Status(#[from] Status),
    /// It said nothing.
    #[error("it says nothing")]
    Silent,
    /// It ended the stream.
    #[error("it ended the stream")]
    Over,
    /// It says what cannot be meant.
    #[error(transparent)]
    Garbled(#[from] Garbled),
}

impl Ended {
    /// Whether nothing is to be expected from there. Whoever was slow, or broke off, may still tell what it holds.
    fn is_nobody(&self) -> bool {
        matches!(self, Self::Own | Self::Twin | Self::Unheard(_))
    }
}

impl Link {
    /// Follows whoever is there, as long as `wanted` says that somebody may be.
    pub async fn run(self, wanted: impl Fn() -> bool) {
        let mut pause = PAUSES.0;
        while wanted() {
            let began = Instant::now();
            let Err(ended) = self.follow().await;
            if ended.is_nobody() {
                self.place.settle(Settled::Nobody);
            }
            tracing::debug!(address = %self.connection.address(), reason = %ended, "not followed any more");
            if began.elapsed() > A_WHILE {
                pause = PAUSES.0;
            }
            match ended {
                Ended::Own | Ended::Twin => sleep(LOOK_AGAIN).await,
                _ => {
                    // Spread, so that replicas do not come all at once.
                    sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    async fn follow(&self) -> Result<Infallible, Ended> {
        // Vaults that are not known yet could be told in vain.
        self.peers.until_synced(&self.copies.snapshot).await;
        let hello = timeout(FIRST_WORD, self.say_hello()).await.map_err(|_| Ended::Silent)?;
        let (answers, mut told) = hello.map_err(Ended::Unheard)?;
        let first = timeout(FIRST_WORD, told.message()).await.map_err(|_| Ended::Silent)??.ok_or(Ended::Over)?;
        let clock = Arc::<TheirClock>::default();
        clock.said(first.said_at, Instant::now());
        let Some(Word::Beat(beat)) = first.word else { return Err(Garbled("the first word is no beat").into()) };
        let beat = to_beat(beat)?;
        let id = beat.id;
        if id == self.peers.own() {
            return Err(Ended::Own);
        }
        let mut mirror = Mirror::new(Arc::clone(&self.peers), self.copies.clone(), id);
        let way = Way { connection: self.connection.clone(), keeper: mirror.keeper(), clock: Arc::clone(&clock) };
        let _linked = self.peers.links.add(id, way).ok_or(Ended::Twin)?;
        self.peers.board.hear(beat);
        let ended = self.listen(id, &clock, &mut mirror, answers, told).await;
        self.peers.board.lose(id);
        mirror.end().await;
        ended
    }

    async fn say_hello(&self) -> Result<(mpsc::Sender<FollowRequest>, Streaming<FollowResponse>), Status> {
        let (answers, queue) = mpsc::channel(16);
        let hello = follow_request::Word::Hello(FollowHello { id: self.peers.own().number() });
        let hello = stream::once(async move { FollowRequest { word: Some(hello) } });
        let later = stream::unfold(queue, |mut queue| async move { Some((queue.recv().await?, queue)) });
        let told = client(&self.connection).follow(hello.chain(later)).await?.into_inner();
        Ok((answers, told))
    }

    async fn listen(
        &self,
        id: MemberId,
        clock: &TheirClock,
        mirror: &mut Mirror,
        answers: mpsc::Sender<FollowRequest>,
        mut told: Streaming<FollowResponse>,
    ) -> Result<Infallible, Ended> {
        loop {
            let message = timeout(SILENCE, told.message()).await.map_err(|_| Ended::Silent)??.ok_or(Ended::Over)?;
            let said = clock.said(message.said_at, Instant::now());
            match message.word.ok_or(Garbled("an empty word"))? {
                Word::Beat(beat) => {
                    let beat = to_beat(beat)?;
                    if beat.id != id {
                        return Err(Garbled("it is another one than before").into());
                    }
                    self.peers.board.hear(beat);
                }
                word => {
                    self.peers.board.alive(id);
                    match mirror.hear(word, said).await? {
                        Then::Nothing => {}
                        Then::Complete => self.place.settle(Settled::Complete),
                        Then::Prepared(number) => {
                            let word = Some(follow_request::Word::Prepared(number));
                            answers.send(FollowRequest { word }).await.map_err(|_| Ended::Over)?;
                        }
                    }
                }
            }
        }
    }
}

/// A client of whoever is at the other end.
pub fn client(connection: &Connection) -> PeersClient<Channel> {
    PeersClient::new(connection.channel()).max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE)
}

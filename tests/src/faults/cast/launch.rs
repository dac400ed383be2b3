//! A launch: tries until there are values, a last word, or no time left. As the launcher does it.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use keyward_proto::RETRY_AFTER_METADATA;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

use super::Actor;
use crate::faults::history::{Failure, Read};

/// One try at most.
const TRY_LIMIT: Duration = Duration::from_secs(30);
/// Of what a replica says, in characters: it names every reference.
const MAX_REASON: usize = 200;
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
const LONGEST_HINT: Duration = Duration::from_secs(60);

/// A value that came.
pub(super) struct Got {
    pub(super) object: usize,
    pub(super) number: Option<u64>,
    pub(super) version: Option<String>,
}

/// Why a try brought none.
#[derive(Debug, thiserror::Error)]
pub(super) enum TryError {
    #[error("no connection: {0}")]
    Connect(String),
    #[error("{} ({:?})", .0.message(), .0.code())]
    Status(#[from] Box<Status>),
    #[error("{0} values came")]
    Count(usize),
    #[error("no answer in time")]
    Late,
}

impl From<Status> for TryError {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

impl TryError {
    pub(super) fn connect(error: &tonic::transport::Error) -> Self {
        let mut cause: &dyn Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Self::Connect(cause.to_string())
    }

    /// What the replica itself said; a status that the transport made up has a source.
    fn said(&self) -> Option<&Status> {
        match self {
            Self::Status(status) if status.source().is_none() => Some(status),
            _ => None,
        }
    }

    /// Whether another try is worth it.
    fn passes(&self) -> bool {
        match (self, self.said()) {
            (Self::Count(_), _) => false,
            (_, None) => true,
            (_, Some(status)) => matches!(
                status.code(),
                Code::Cancelled | Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Aborted
            ),
        }
    }

    /// How long the replica asked to wait.
    fn wait(&self) -> Option<Duration> {
        let wait = self.said()?.metadata().get(RETRY_AFTER_METADATA)?;
        wait.to_str().ok()?.parse().ok().map(Duration::from_millis)
    }
}

impl Actor {
    /// Whether there were values in the end.
    pub async fn launch(&mut self, objects: &[usize]) -> bool {
        let (began, mut tries) = (Instant::now(), 0);
        loop {
            tries += 1;
            let sent = Instant::now();
            let limit = TRY_LIMIT.min(self.deadline.saturating_sub(began.elapsed()));
            let asked = timeout(limit, self.ask(objects)).await;
            let error = match asked.map_err(|_| TryError::Late).flatten() {
                Ok(got) => {
                    self.note(got, sent);
                    return true;
                }
                Err(error) => error,
            };
            if error.said().is_none() {
                self.way.close();
            }
            let wait = delay(tries, error.wait(), self.random.f64());
            let last = !error.passes() || began.elapsed() + wait >= self.deadline;
            self.note_failure(&error, sent, last);
            if last {
                return false;
            }
            sleep(wait).await;
        }
    }

    fn note(&self, got: Vec<Got>, sent: Instant) {
        let (client, replica, came) = (self.client, self.way.replica, Instant::now());
        let read = |Got { object, number, version }| Read { client, replica, object, sent, came, number, version };
        self.history.note(|events| events.reads.extend(got.into_iter().map(read)));
    }

    fn note_failure(&self, error: &TryError, sent: Instant, last: bool) {
        let code = error.said().map(Status::code);
        let failure = Failure {
            client: self.client,
            replica: self.way.replica,
            sent,
            came: Instant::now(),
            code,
            reason: error.to_string().chars().take(MAX_REASON).collect(),
            last,
        };
        self.history.note(|events| events.failures.push(failure));
    }
}

/// The wait after try number `tries` (from 1), as the launcher's; `chance` is from 0 to 1.
pub fn delay(tries: u32, hint: Option<Duration>, chance: f64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << tries.saturating_sub(1).min(10)).min(LONGEST);
    let own = doubled / 2 + (doubled / 2).mul_f64(chance);
    let hinted = hint.map(|hint| hint.min(LONGEST_HINT)).map(|hint| hint + (hint / 4).mul_f64(chance));
    hinted.map_or(own, |hinted| hinted.max(own))
}

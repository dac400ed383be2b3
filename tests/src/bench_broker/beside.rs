//! The broker and the echo server under the same load, in turns.

use std::time::Duration;

use crate::bench::{
    cpu,
    load::{Client, Connections},
    rounds::{Figures, Round, Which, interleaved},
};

/// Cached reads.
#[derive(Clone, Copy, Debug)]
pub struct Reads {
    /// Rounds that count; one more goes before them.
    pub rounds: usize,
    /// Requests of a round over connections that are kept.
    pub kept_requests: usize,
    /// Requests of a round with a connection for each.
    pub fresh_requests: usize,
    /// Connections that are kept.
    pub connections: usize,
    /// Requests under way at a time.
    pub in_flight: usize,
}

/// Both servers, broker first.
pub(super) struct Beside {
    /// The processes of each, whose time counts.
    pub(super) processes: [Vec<u32>; 2],
    pub(super) clients: [Client; 2],
    pub(super) reads: Reads,
}

impl Beside {
    /// `count` rounds: over connections that are kept, or with one for each request.
    pub(super) async fn rounds(&self, open: Option<&[Connections; 2]>, count: usize) -> anyhow::Result<Vec<Round>> {
        interleaved(count, async |which| self.sample(open, which).await).await
    }

    async fn sample(&self, open: Option<&[Connections; 2]>, which: Which) -> anyhow::Result<Figures> {
        let which = match which {
            Which::Ours => 0,
            Which::Bare => 1,
        };
        let (client, processes, reads) = (&self.clients[which], &self.processes[which], self.reads);
        let used = || processes.iter().map(|process| cpu::used(*process)).sum::<anyhow::Result<Duration>>();
        let before = used()?;
        let sample = match open {
            Some(open) => client.ask_over(&open[which], reads.kept_requests, reads.in_flight).await?,
            None => client.ask_anew(reads.fresh_requests, reads.in_flight).await?,
        };
        Ok(Figures::of(sample, used()?.saturating_sub(before)))
    }
}

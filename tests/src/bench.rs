//! What a cached `Resolve` costs the broker, beside a server that only answers. `cargo bench-resolve` runs it.
//!
//! The real broker and a raw tonic server with its TLS and HTTP/2 settings are asked the same by the same client, in
//! rounds that alternate, so that whatever else the machine does falls on both. Once over connections that are kept,
//! once with a new one for each call, which is what launchers do.
//!
//! | room | does |
//! |---|---|
//! | [`broker`] | the broker's process, its vault and manifests |
//! | [`echo`] | the other server |
//! | [`release`] | builds the broker as it is shipped |
//! | [`child`] | a server's process, whose output is drained, counted and searched for values |
//! | [`load`] | the client |
//! | [`cpu`] | what a process has used of the processors |
//! | [`rounds`] | both servers in turns; samples → figures and medians |
//! | [`report`] | the verdict: pure |

pub mod broker;
pub mod child;
pub mod cpu;
pub mod echo;
pub mod load;
pub mod release;
pub mod report;
pub mod rounds;

use std::path::PathBuf;

use anyhow::{Context as _, ensure};

use broker::Broker;
use child::Server;
use echo::Payload;
use load::{Client, Connections};
use report::Report;
use rounds::{Figures, Round, Which, interleaved};

/// What is asked, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
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
    /// References of a request, and the bytes of each value.
    pub payload: Payload,
}

/// The programs that are compared.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `keyward-broker`.
    pub broker: PathBuf,
    /// `bench-resolve`, which has the other server in it.
    pub echo: PathBuf,
}

/// Runs all of it.
pub async fn run(programs: &Programs, workload: Workload) -> anyhow::Result<Report> {
    let broker = Broker::start(&programs.broker, workload.payload).await?;
    let echo = echo::start(&programs.echo, &broker.tls_dir(), workload.payload).await?;
    let client = |server: &Server| Client::new(server.address(), &broker.ca_pem(), &broker.token()?, workload.payload);
    let bench =
        Bench { clients: [client(&broker.server)?, client(&echo)?], servers: [&broker.server, &echo], workload };

    let open = [bench.clients[0].open(workload.connections).await?, bench.clients[1].open(workload.connections).await?];
    bench.rounds(Mode::Kept(&open), 1).await.context("warm-up")?;
    broker.emulator.reset_calls();
    let kept = bench.rounds(Mode::Kept(&open), workload.rounds).await.context("connections kept")?;
    drop(open);
    bench.rounds(Mode::Fresh, 1).await.context("warm-up")?;
    let fresh = bench.rounds(Mode::Fresh, workload.rounds).await.context("a connection for each call")?;

    let vault_calls = broker.emulator.calls().total();
    ensure!(vault_calls == 0, "{vault_calls} calls reached the vault while everything was cached");
    let sent = (workload.rounds + 1) * (workload.kept_requests + workload.fresh_requests);
    let audit_lines = broker.server.lines(u64::try_from(sent)?).await?;
    Ok(Report { kept, fresh, vault_calls, audit_lines })
}

#[derive(Clone, Copy)]
enum Mode<'a> {
    Kept(&'a [Connections; 2]),
    Fresh,
}

/// Both servers, broker first, and what each is asked with.
struct Bench<'a> {
    servers: [&'a Server; 2],
    clients: [Client; 2],
    workload: Workload,
}

impl Bench<'_> {
    async fn rounds(&self, mode: Mode<'_>, count: usize) -> anyhow::Result<Vec<Round>> {
        interleaved(count, async |which| self.sample(mode, which).await).await
    }

    async fn sample(&self, mode: Mode<'_>, which: Which) -> anyhow::Result<Figures> {
        let which = match which {
            Which::Ours => 0,
            Which::Bare => 1,
        };
        let (client, server, workload) = (&self.clients[which], self.servers[which], &self.workload);
        let before = cpu::used(server.id())?;
        let sample = match mode {
            Mode::Kept(open) => client.ask_over(&open[which], workload.kept_requests, workload.in_flight).await?,
            Mode::Fresh => client.ask_anew(workload.fresh_requests, workload.in_flight).await?,
        };
        Ok(Figures::of(sample, cpu::used(server.id())?.saturating_sub(before)))
    }
}

//! What the broker gives for what it takes, in one run: cached reads beside a raw tonic server, memory for each object, and a
//! mass start beside clients that go to the vault themselves. `cargo bench-broker` runs it.
//!
//! | room | does |
//! |---|---|
//! | [`beside`] | both servers under the same load |
//! | [`cached`] | cached reads and memory, for so many objects |
//! | [`replicas`] | what several of them cost together |
//! | [`start`] | everybody starts at once: through the broker, and without it |
//! | [`direct`] | a client that goes to the vault itself, as akv2k8s' does |
//! | [`report`], [`page`], [`plot`] | figures → text, a section of docs/performance.md, an SVG: pure |
//! | [`mod@write`] | puts them there |

pub mod beside;
pub mod cached;
pub mod direct;
pub mod page;
pub mod plot;
pub mod replicas;
pub mod report;
pub mod start;
pub mod write;

use std::path::PathBuf;

use anyhow::Context as _;

use crate::bench::echo::Payload;
use beside::Reads;
use report::Report;
use start::Start;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Workload {
    /// For each: so many objects in memory.
    pub objects: Vec<usize>,
    /// Cached reads.
    pub reads: Reads,
    /// For each: so many replicas.
    pub replicas: Vec<usize>,
    /// References of a request, and bytes of a value.
    pub payload: Payload,
    /// The mass start.
    pub start: Start,
}

/// The programs that are measured.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `keyward-broker`.
    pub broker: PathBuf,
    /// `bench-broker`, which has the other server in it.
    pub echo: PathBuf,
    /// `keyward-launcher`.
    pub launcher: PathBuf,
}

/// Runs all of it.
pub async fn run(programs: &Programs, workload: &Workload) -> anyhow::Result<Report> {
    let mut cached = Vec::new();
    for objects in &workload.objects {
        let measured = cached::run(programs, *objects, workload.reads, workload.payload).await;
        cached.push(measured.with_context(|| format!("{objects} objects"))?);
    }
    let mut replicas = Vec::new();
    for count in &workload.replicas {
        let measured = replicas::run(programs, *count, workload.reads, workload.payload).await;
        replicas.push(measured.with_context(|| format!("{count} replicas"))?);
    }
    let start = start::run(programs, workload.start).await.context("mass start")?;
    Ok(Report { cached, replicas, start })
}

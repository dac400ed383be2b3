//! What was measured, its bars, and how people read it.

use std::fmt;

use serde::Serialize;

use super::{
    cached::Cached,
    replicas::Replicas,
    start::{Started, Starts},
};
use crate::bench::rounds::{Medians, Round, Table};

/// The most CPU time a cached `Resolve` may take for each of the echo server's.
pub const MAX_CPU_RATIO: f64 = 2.0;

/// The most memory that one more object of 200 B may take, where there are very many.
pub const MAX_BYTES_OF_OBJECT: u64 = 1_536;

/// Everything measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// With few objects, and with many.
    pub cached: Vec<Cached>,
    /// One of them, and several.
    pub replicas: Vec<Replicas>,
    /// The mass start.
    pub start: Starts,
}

impl Report {
    /// What is over its bar.
    pub fn over(&self) -> Vec<String> {
        let mut over = Vec::new();
        for cached in &self.cached {
            for (mode, rounds) in [("kept", &cached.kept), ("new", &cached.fresh)] {
                if let Some(ratio) = too_dear(rounds) {
                    over.push(format!("{} objects, {mode} connections: CPU {ratio:.2} × echo", cached.objects));
                }
            }
            if cached.vault_calls > 0 {
                over.push(format!("{} objects: {} vault calls for cached reads", cached.objects, cached.vault_calls));
            }
        }
        let least = self.replicas.iter().map(Replicas::calls).min();
        for one in &self.replicas {
            if let Some(ratio) = too_dear(&one.kept) {
                over.push(format!("{} replicas: CPU {ratio:.2} × echo", one.replicas));
            }
            if least != Some(one.calls()) {
                over.push(format!("{} replicas: {} vault calls", one.replicas, one.calls()));
            }
        }
        let most = self.cached.iter().max_by_key(|cached| cached.objects);
        if let Some(bytes) = most.map(Cached::bytes_of_object).filter(|bytes| *bytes > MAX_BYTES_OF_OBJECT) {
            over.push(format!("{bytes} bytes for each object"));
        }
        if self.start.broker.failed > 0 {
            over.push(format!("{} clients of the broker failed", self.start.broker.failed));
        }
        over
    }
}

/// The median of what the broker took for each of the echo's, where it is over its bar, as it is where nothing was measured.
fn too_dear(rounds: &[Round]) -> Option<f64> {
    let ratio = Medians::of(rounds).ratio.cpu_micros;
    (ratio.is_nan() || ratio > MAX_CPU_RATIO).then_some(ratio)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for cached in &self.cached {
            let objects = cached.objects;
            for (mode, rounds) in [("connections kept", &cached.kept), ("a connection for each", &cached.fresh)] {
                let title = format!("{objects} objects, {mode}");
                write!(f, "{}", Table { title: &title, names: ["broker", "echo"], rounds })?;
            }
            writeln!(
                f,
                "memory: {:.1} MiB without any secret, {} B for each AzureKeyVaultSecret, {} B for each object\n",
                mib(cached.empty),
                cached.bytes_of_secret(),
                cached.bytes_of_object()
            )?;
        }
        for one in &self.replicas {
            let Replicas { replicas, objects, cold_calls, poll_calls, calls_after, .. } = one;
            let title = format!("{replicas} replicas, {objects} objects, connections kept");
            write!(f, "{}", Table { title: &title, names: ["all", "echo"], rounds: &one.kept })?;
            write!(f, "vault calls: {cold_calls} cold, {poll_calls} a poll, {calls_after} later")?;
            one.taken_over.map_or(Ok(()), |millis| write!(f, "; a lost owner was missed for {millis} ms"))?;
            writeln!(f, "\n")?;
        }
        let Starts { start, broker, direct } = &self.start;
        writeln!(
            f,
            "{} clients over {} objects in {} vaults, {} at a time",
            start.clients,
            start.objects * start.vaults,
            start.vaults,
            start.at_once
        )?;
        started(f, "through the broker", broker)?;
        started(f, "directly", direct)?;
        let over = self.over();
        writeln!(f, "{}", if over.is_empty() { "within every bar" } else { "OVER A BAR" })?;
        over.iter().try_for_each(|over| writeln!(f, "  {over}"))
    }
}

fn started(f: &mut fmt::Formatter<'_>, name: &str, started: &Started) -> fmt::Result {
    let Started { done, failed, again, took, reads, challenges, throttled, tokens } = started;
    write!(f, "  {name:<20}{:>6} served, {failed} failed, {again} asked again, all done after ", done.len())?;
    writeln!(f, "{:.1} s; {reads} reads, {challenges} challenges, {throttled} × 429, {tokens} tokens", seconds(*took))
}

#[allow(clippy::cast_precision_loss, reason = "for people; nothing here comes near 2^53")]
pub(super) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[allow(clippy::cast_precision_loss, reason = "for people; nothing here comes near 2^53")]
pub(super) fn seconds(millis: u64) -> f64 {
    millis as f64 / 1e3
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{bench::rounds::tests::rounds, bench_broker::start::Start};

    pub(crate) fn report(cpu: f64, bytes: u64, failed: usize, calls_after: u64) -> Report {
        let cached = |objects: usize| Cached {
            objects,
            kept: rounds(&[(cpu, 10.0)]),
            fresh: rounds(&[(10.0, 10.0)]),
            vault_calls: 0,
            empty: 10 << 20,
            declared: 20 << 20,
            held: (20 << 20) + bytes * objects as u64,
        };
        let start = Start { clients: 4, processes: 1, at_once: 2, vaults: 2, objects: 3 };
        let broker = Started { done: vec![10, 20, 30, 40], failed, took: 40, reads: 6, ..Started::default() };
        let direct = Started { done: vec![50, 900], failed: 2, took: 3_000, throttled: 9, ..Started::default() };
        let replicas = |replicas: usize, calls_after: u64| Replicas {
            replicas,
            objects: 5,
            cold_calls: 5,
            poll_calls: 1,
            kept: rounds(&[(cpu, 10.0)]),
            taken_over: (replicas > 1).then_some(950),
            calls_after,
        };
        let replicas = vec![replicas(1, 0), replicas(3, calls_after)];
        Report { cached: vec![cached(10), cached(100)], replicas, start: Starts { start, broker, direct } }
    }

    #[test]
    fn each_bar_decides_and_memory_counts_where_there_is_most() {
        for (cpu, bytes, failed, calls, over) in [
            (20.0, 1_536, 0, 0, 0),
            (20.1, 1_536, 0, 0, 4),
            (20.0, 1_537, 0, 0, 1),
            (20.0, 0, 1, 0, 1),
            (f64::NAN, 0, 0, 0, 4),
            (20.0, 0, 0, 1, 1),
        ] {
            let report = report(cpu, bytes, failed, calls);
            assert_eq!(report.over().len(), over, "{report}");
            assert_eq!(report.to_string().contains("OVER A BAR"), over > 0);
        }
    }
}

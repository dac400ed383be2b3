//! What was measured, its bars, and how people read it.

use std::{collections::BTreeMap, fmt};

use crate::{
    bench::rounds::{Figures, Medians, Round, Table},
    footprint::Memory,
};

/// The most CPU time the webhook may use for each of the bare server's.
pub const MAX_CPU_RATIO: f64 = 3.0;

/// The most that may be in memory after everything.
pub const MAX_RSS: u64 = 32 << 20;

/// What others measured, on another day.
const CONTEXT: &str = "\
For context, another run: akv2k8s on a machine of this kind, 16 connections, one reference: 30 reviews/s,
63 ms CPU a review, p99 1.6 s, 37 to 39 MiB; with its authentication service 13 reviews/s, 127 ms, p99 3.4 s.";

/// Everything measured.
#[derive(Clone, Debug)]
pub struct Report {
    /// Pods that say what they run.
    pub rounds: Vec<Round>,
    /// Pods whose image says it.
    pub lookups: Lookups,
}

/// Reviews of pods whose image was looked up.
#[derive(Clone, Debug)]
pub struct Lookups {
    /// How many.
    pub reviews: usize,
    /// Different images.
    pub images: usize,
    /// Before the first.
    pub started: Memory,
    /// After the last.
    pub ended: Memory,
    /// What they cost.
    pub figures: Figures,
    /// What the registry and the API server were asked.
    pub asked: BTreeMap<&'static str, u64>,
}

impl Report {
    /// Whether the webhook takes no more than it may.
    pub fn within_bars(&self) -> bool {
        Medians::of(&self.rounds).ratio.cpu_micros <= MAX_CPU_RATIO && self.lookups.ended.resident <= MAX_RSS
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = "pods with a command and 3 references, each checked with the broker";
        write!(f, "{}", Table { title, names: ["webhook", "bare"], rounds: &self.rounds })?;
        write!(f, "{}", self.lookups)?;
        let verdict = if self.within_bars() { "within every bar" } else { "OVER A BAR" };
        writeln!(f, "{verdict}: CPU at most {MAX_CPU_RATIO} × bare, RSS at most {:.0} MiB\n{CONTEXT}", mib(MAX_RSS))
    }
}

impl fmt::Display for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reviews, images, started, ended, figures, asked } = self;
        writeln!(f, "{reviews} reviews of pods without a command, over {images} images")?;
        let Figures { cpu_micros, requests_per_second, p50_micros, p99_micros, .. } = figures;
        write!(f, "CPU {cpu_micros:.0} µs a review, {requests_per_second:.0} reviews/s, ")?;
        writeln!(f, "p50 {p50_micros:.0} µs, p99 {p99_micros:.0} µs")?;
        for (moment, Memory { resident, anonymous, most }) in [("before", started), ("after", ended)] {
            write!(f, "{moment:8}RSS {:.1} MiB, of it anonymous {:.1}, ", mib(*resident), mib(*anonymous))?;
            writeln!(f, "peak {:.1}", mib(*most))?;
        }
        let asked: Vec<String> = asked.iter().map(|(what, count)| format!("{what} {count}")).collect();
        writeln!(f, "requests meanwhile: {}\n", asked.join(", "))
    }
}

#[allow(clippy::cast_precision_loss, reason = "for people; nothing here comes near 2^53")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::rounds::tests::rounds;

    fn report(pairs: &[(f64, f64)], resident: u64) -> Report {
        let memory = Memory { resident, anonymous: 1, most: u64::MAX };
        let figures = rounds(&[(1.0, 1.0)])[0].ours;
        let asked = BTreeMap::from([("GET blob", 7)]);
        let lookups = Lookups { reviews: 10, images: 5, started: memory, ended: memory, figures, asked };
        Report { rounds: rounds(pairs), lookups }
    }

    #[test]
    fn either_bar_decides_and_nothing_measured_is_not_within_them() {
        for (pairs, resident, within) in [
            (&[(30.0, 10.0)][..], MAX_RSS, true),
            (&[(30.1, 10.0)][..], MAX_RSS, false),
            (&[(30.0, 10.0)][..], MAX_RSS + 1, false),
            (&[][..], MAX_RSS, false),
        ] {
            let report = report(pairs, resident);
            assert_eq!(report.within_bars(), within, "{report}");
            assert_eq!(report.to_string().contains("OVER A BAR"), !within);
        }
    }

    #[test]
    fn the_text_says_what_was_asked_and_that_others_ran_elsewhere() {
        let text = report(&[(20.0, 10.0)], 1 << 20).to_string();
        for said in
            ["10 reviews of pods without a command, over 5 images", "GET blob 7", "2.00", "another run: akv2k8s"]
        {
            assert!(text.contains(said), "{said} is not in {text}");
        }
    }
}

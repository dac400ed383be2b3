//! From samples to figures, medians and a verdict.

use std::{fmt, time::Duration};

use serde::Serialize;

use super::load::Sample;

/// The most CPU time the broker may use for each of the echo server's.
pub const MAX_CPU_RATIO: f64 = 2.5;

/// One server in one round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// CPU time of the server for each request, in µs.
    pub cpu_micros: f64,
    /// Requests answered in a second.
    pub requests_per_second: f64,
    /// Half of all requests took no longer, in µs.
    pub p50_micros: f64,
    /// Of a hundred requests, one took longer, in µs.
    pub p99_micros: f64,
}

/// Both servers in one round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Round {
    /// The broker.
    pub broker: Figures,
    /// The server that only answers.
    pub echo: Figures,
}

/// Everything measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Rounds over connections that are kept.
    pub kept: Vec<Round>,
    /// Rounds with a connection for each call.
    pub fresh: Vec<Round>,
    /// Calls that reached the vault meanwhile.
    pub vault_calls: u64,
    /// Audit lines that the broker wrote, warm-up included.
    pub audit_lines: u64,
}

/// Medians of a series of rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Medians {
    /// The broker.
    pub broker: Figures,
    /// The server that only answers.
    pub echo: Figures,
    /// Broker over echo in the same round, and the median of that.
    pub ratio: Figures,
}

impl Figures {
    /// What `sample` says, and `cpu`, which the server used for all of it.
    pub fn of(mut sample: Sample, cpu: Duration) -> Self {
        sample.latencies.sort_unstable();
        let count = f64::from(u32::try_from(sample.latencies.len()).unwrap_or(u32::MAX));
        Self {
            cpu_micros: micros(cpu) / count,
            requests_per_second: count / sample.wall.as_secs_f64(),
            p50_micros: percentile(&sample.latencies, 50),
            p99_micros: percentile(&sample.latencies, 99),
        }
    }

    fn over(self, other: Self) -> Self {
        Self {
            cpu_micros: self.cpu_micros / other.cpu_micros,
            requests_per_second: self.requests_per_second / other.requests_per_second,
            p50_micros: self.p50_micros / other.p50_micros,
            p99_micros: self.p99_micros / other.p99_micros,
        }
    }
}

impl Medians {
    /// Of `rounds`.
    pub fn of(rounds: &[Round]) -> Self {
        let medians = |of: fn(&Round) -> Figures| {
            let each = |field: fn(Figures) -> f64| median(rounds.iter().map(|round| field(of(round))).collect());
            Figures {
                cpu_micros: each(|figures| figures.cpu_micros),
                requests_per_second: each(|figures| figures.requests_per_second),
                p50_micros: each(|figures| figures.p50_micros),
                p99_micros: each(|figures| figures.p99_micros),
            }
        };
        Self {
            broker: medians(|round| round.broker),
            echo: medians(|round| round.echo),
            ratio: medians(|round| round.broker.over(round.echo)),
        }
    }
}

impl Report {
    /// Whether the broker costs no more than it may, both ways.
    pub fn within_bars(&self) -> bool {
        [&self.kept, &self.fresh].iter().all(|rounds| Medians::of(rounds).ratio.cpu_micros <= MAX_CPU_RATIO)
    }

    /// Everything, for programs.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "rounds": self,
            "medians": {"kept": Medians::of(&self.kept), "fresh": Medians::of(&self.fresh)},
            "bar": {"cpuRatio": MAX_CPU_RATIO, "within": self.within_bars()},
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        series(f, "connections kept", &self.kept)?;
        series(f, "a TLS connection for each call", &self.fresh)?;
        writeln!(f, "vault calls {}, audit lines {}", self.vault_calls, self.audit_lines)?;
        let verdict = if self.within_bars() { "within every bar" } else { "OVER A BAR" };
        writeln!(f, "{verdict}: CPU at most {MAX_CPU_RATIO} × echo")
    }
}

fn series(f: &mut fmt::Formatter<'_>, title: &str, rounds: &[Round]) -> fmt::Result {
    writeln!(f, "{title}\n{:8}{:>30}{:>30}{:>30}", "", "broker", "echo", "broker / echo")?;
    let heads = ["CPU µs", "req/s", "p50 µs", "p99 µs"];
    write!(f, "{:8}", "round")?;
    for _ in 0..3 {
        heads.iter().try_for_each(|head| write!(f, "{head:>8}"))?;
    }
    writeln!(f)?;
    for (n, round) in rounds.iter().enumerate() {
        row(f, &(n + 1).to_string(), round.broker, round.echo, round.broker.over(round.echo))?;
    }
    let Medians { broker, echo, ratio } = Medians::of(rounds);
    row(f, "median", broker, echo, ratio)?;
    writeln!(f)
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, broker: Figures, echo: Figures, ratio: Figures) -> fmt::Result {
    write!(f, "{name:8}")?;
    for (figures, digits) in [(broker, 0), (echo, 0), (ratio, 2)] {
        let Figures { cpu_micros, requests_per_second, p50_micros, p99_micros } = figures;
        for figure in [cpu_micros, requests_per_second, p50_micros, p99_micros] {
            write!(f, "{figure:>8.digits$}")?;
        }
    }
    writeln!(f)
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Of sorted durations, in µs; nothing of none.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().map_or(f64::NAN, micros)
}

/// Of an even number, the mean of the two in the middle.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.get(middle) {
        None => f64::NAN,
        Some(&upper) if figures.len().is_multiple_of(2) => f64::midpoint(figures[middle - 1], upper),
        Some(&exact) => exact,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(cpu_micros: f64) -> Figures {
        Figures { cpu_micros, requests_per_second: 1_000.0, p50_micros: 10.0, p99_micros: 20.0 }
    }

    fn rounds(pairs: &[(f64, f64)]) -> Vec<Round> {
        pairs.iter().map(|(broker, echo)| Round { broker: figures(*broker), echo: figures(*echo) }).collect()
    }

    fn report(kept: &[(f64, f64)], fresh: &[(f64, f64)]) -> Report {
        Report { kept: rounds(kept), fresh: rounds(fresh), vault_calls: 0, audit_lines: 1 }
    }

    #[test]
    fn a_sample_becomes_costs_for_each_request() {
        let latencies = (1..=200).rev().map(Duration::from_micros).collect();
        let sample = Sample { wall: Duration::from_millis(100), latencies };
        let expected = Figures { cpu_micros: 50.0, requests_per_second: 2_000.0, p50_micros: 100.0, p99_micros: 198.0 };
        let found = Figures::of(sample, Duration::from_millis(10));
        for (found, expected) in [
            (found.cpu_micros, expected.cpu_micros),
            (found.requests_per_second, expected.requests_per_second),
            (found.p50_micros, expected.p50_micros),
            (found.p99_micros, expected.p99_micros),
        ] {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn the_ratio_is_taken_within_rounds_before_the_median() {
        // A round in which the machine was slow is slow for both.
        let medians = Medians::of(&rounds(&[(20.0, 10.0), (220.0, 100.0), (36.0, 20.0)]));
        assert!((medians.ratio.cpu_micros - 2.0).abs() < 1e-9);
        assert!((medians.broker.cpu_micros - 36.0).abs() < 1e-9);
        let even = Medians::of(&rounds(&[(10.0, 10.0), (20.0, 10.0)]));
        assert!((even.ratio.cpu_micros - 1.5).abs() < 1e-9);
    }

    #[test]
    fn the_bar_holds_both_ways_and_nothing_measured_is_not_within_it() {
        let (good, bad) = ([(25.0, 10.0)], [(25.1, 10.0)]);
        assert!(report(&good, &good).within_bars());
        assert!(!report(&bad, &good).within_bars());
        assert!(!report(&good, &bad).within_bars());
        assert!(!report(&good, &[]).within_bars());
    }

    #[test]
    fn text_and_json_say_the_same() {
        let report = report(&[(30.0, 10.0)], &[(10.0, 10.0)]);
        let text = report.to_string();
        assert!(text.contains("OVER A BAR") && text.contains("3.00") && text.contains("audit lines 1"), "{text}");
        let json = report.json();
        assert_eq!(json["medians"]["kept"]["ratio"]["cpuMicros"], 3.0);
        assert_eq!(json["bar"]["within"], false);
        assert_eq!(json["rounds"]["kept"].as_array().unwrap().len(), 1);
    }
}

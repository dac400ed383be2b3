//! Rounds in which two servers are asked the same, one of ours and a bare one, and what they say: pure but for the asking.

use std::{fmt, time::Duration};

use serde::Serialize;

/// What was seen of a round at one server.
#[derive(Clone, Debug)]
pub struct Sample {
    /// From the first request to the last reply.
    pub wall: Duration,
    /// Of every request, in no order.
    pub latencies: Vec<Duration>,
}

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
    /// Of a thousand requests, one took longer, in µs.
    pub p999_micros: f64,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that is measured.
    Ours,
    /// The one that does the least.
    Bare,
}

/// Both servers in one round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Round {
    /// The one that is measured.
    pub ours: Figures,
    /// The one that does the least.
    pub bare: Figures,
}

/// Medians of a series of rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Medians {
    /// The server that is measured.
    pub ours: Figures,
    /// The server that does the least.
    pub bare: Figures,
    /// One over the other in the same round, and the median of that.
    pub ratio: Figures,
}

/// So many rounds. The servers take turns at going first.
pub async fn interleaved(
    count: usize,
    mut sample: impl AsyncFnMut(Which) -> anyhow::Result<Figures>,
) -> anyhow::Result<Vec<Round>> {
    let mut rounds = Vec::new();
    for number in 0..count {
        rounds.push(if number.is_multiple_of(2) {
            let ours = sample(Which::Ours).await?;
            Round { ours, bare: sample(Which::Bare).await? }
        } else {
            let bare = sample(Which::Bare).await?;
            Round { ours: sample(Which::Ours).await?, bare }
        });
    }
    Ok(rounds)
}

impl Figures {
    /// What `sample` says, and `cpu`, which the server used for all of it.
    pub fn of(mut sample: Sample, cpu: Duration) -> Self {
        sample.latencies.sort_unstable();
        let count = f64::from(u32::try_from(sample.latencies.len()).unwrap_or(u32::MAX));
        Self {
            cpu_micros: micros(cpu) / count,
            requests_per_second: count / sample.wall.as_secs_f64(),
            p50_micros: quantile(&sample.latencies, 500),
            p99_micros: quantile(&sample.latencies, 990),
            p999_micros: quantile(&sample.latencies, 999),
        }
    }

    fn over(self, other: Self) -> Self {
        Self {
            cpu_micros: self.cpu_micros / other.cpu_micros,
            requests_per_second: self.requests_per_second / other.requests_per_second,
            p50_micros: self.p50_micros / other.p50_micros,
            p99_micros: self.p99_micros / other.p99_micros,
            p999_micros: self.p999_micros / other.p999_micros,
        }
    }
}

impl Medians {
    /// Of `rounds`; not a number where there are none.
    pub fn of(rounds: &[Round]) -> Self {
        let medians = |of: fn(&Round) -> Figures| {
            let each = |field: fn(Figures) -> f64| median(rounds.iter().map(|round| field(of(round))).collect());
            Figures {
                cpu_micros: each(|figures| figures.cpu_micros),
                requests_per_second: each(|figures| figures.requests_per_second),
                p50_micros: each(|figures| figures.p50_micros),
                p99_micros: each(|figures| figures.p99_micros),
                p999_micros: each(|figures| figures.p999_micros),
            }
        };
        Self {
            ours: medians(|round| round.ours),
            bare: medians(|round| round.bare),
            ratio: medians(|round| round.ours.over(round.bare)),
        }
    }
}

/// Of a column.
const WIDTH: usize = 9;

/// Rounds as people read them.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    /// Above it.
    pub title: &'a str,
    /// What the servers are called, ours first.
    pub names: [&'a str; 2],
    /// What it shows.
    pub rounds: &'a [Round],
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [ours, bare] = self.names;
        let both = format!("{ours} / {bare}");
        writeln!(f, "{}\n{:8}{ours:>45}{bare:>45}{both:>45}", self.title, "")?;
        let heads = ["CPU µs", "req/s", "p50 µs", "p99 µs", "p99.9 µs"];
        write!(f, "{:8}", "round")?;
        for _ in 0..3 {
            heads.iter().try_for_each(|head| write!(f, "{head:>WIDTH$}"))?;
        }
        writeln!(f)?;
        for (n, round) in self.rounds.iter().enumerate() {
            row(f, &(n + 1).to_string(), round.ours, round.bare, round.ours.over(round.bare))?;
        }
        let Medians { ours, bare, ratio } = Medians::of(self.rounds);
        row(f, "median", ours, bare, ratio)?;
        writeln!(f)
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, ours: Figures, bare: Figures, ratio: Figures) -> fmt::Result {
    write!(f, "{name:8}")?;
    for (figures, digits) in [(ours, 0), (bare, 0), (ratio, 2)] {
        let Figures { cpu_micros, requests_per_second, p50_micros, p99_micros, p999_micros } = figures;
        for figure in [cpu_micros, requests_per_second, p50_micros, p99_micros, p999_micros] {
            write!(f, "{figure:>WIDTH$.digits$}")?;
        }
    }
    writeln!(f)
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Of sorted durations, in µs; nothing of none.
fn quantile(sorted: &[Duration], per_mille: usize) -> f64 {
    let place = (sorted.len() * per_mille).div_ceil(1_000).saturating_sub(1);
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
pub(crate) mod tests {
    use super::*;

    fn figures(cpu_micros: f64) -> Figures {
        Figures { cpu_micros, requests_per_second: 1_000.0, p50_micros: 10.0, p99_micros: 20.0, p999_micros: 30.0 }
    }

    pub(crate) fn rounds(pairs: &[(f64, f64)]) -> Vec<Round> {
        pairs.iter().map(|(ours, bare)| Round { ours: figures(*ours), bare: figures(*bare) }).collect()
    }

    #[test]
    fn a_sample_becomes_costs_for_each_request() {
        let latencies = (1..=200).rev().map(Duration::from_micros).collect();
        let sample = Sample { wall: Duration::from_millis(100), latencies };
        let expected = Figures {
            cpu_micros: 50.0,
            requests_per_second: 2_000.0,
            p50_micros: 100.0,
            p99_micros: 198.0,
            p999_micros: 200.0,
        };
        let found = Figures::of(sample, Duration::from_millis(10));
        for (found, expected) in [
            (found.cpu_micros, expected.cpu_micros),
            (found.requests_per_second, expected.requests_per_second),
            (found.p50_micros, expected.p50_micros),
            (found.p99_micros, expected.p99_micros),
            (found.p999_micros, expected.p999_micros),
        ] {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn the_ratio_is_taken_within_rounds_before_the_median() {
        // A round in which the machine was slow is slow for both.
        let medians = Medians::of(&rounds(&[(20.0, 10.0), (220.0, 100.0), (36.0, 20.0)]));
        assert!((medians.ratio.cpu_micros - 2.0).abs() < 1e-9);
        assert!((medians.ours.cpu_micros - 36.0).abs() < 1e-9);
        let even = Medians::of(&rounds(&[(10.0, 10.0), (20.0, 10.0)]));
        assert!((even.ratio.cpu_micros - 1.5).abs() < 1e-9);
    }

    #[tokio::test]
    async fn the_servers_take_turns_at_going_first() {
        let mut asked = Vec::new();
        let rounds = interleaved(2, async |which| {
            asked.push(which);
            Ok(figures(if which == Which::Ours { 2.0 } else { 1.0 }))
        });
        assert_eq!(rounds.await.unwrap(), super::tests::rounds(&[(2.0, 1.0), (2.0, 1.0)]));
        assert_eq!(asked, [Which::Ours, Which::Bare, Which::Bare, Which::Ours]);
    }
}

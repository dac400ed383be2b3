//! What was measured, its bar, and how people read it.

use std::fmt;

use serde::Serialize;

use super::rounds::{Medians, Round, Table};

/// The most CPU time the broker may use for each of the echo server's.
pub const MAX_CPU_RATIO: f64 = 2.5;

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
        for (title, rounds) in [("connections kept", &self.kept), ("a TLS connection for each call", &self.fresh)] {
            write!(f, "{}", Table { title, names: ["broker", "echo"], rounds })?;
        }
        writeln!(f, "vault calls {}, audit lines {}", self.vault_calls, self.audit_lines)?;
        let verdict = if self.within_bars() { "within every bar" } else { "OVER A BAR" };
        writeln!(f, "{verdict}: CPU at most {MAX_CPU_RATIO} × echo")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::rounds::tests::rounds;

    fn report(kept: &[(f64, f64)], fresh: &[(f64, f64)]) -> Report {
        Report { kept: rounds(kept), fresh: rounds(fresh), vault_calls: 0, audit_lines: 1 }
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

//! What became of all, for people. Pure.

use std::{collections::BTreeMap, fmt};

use super::{
    calls::{Kind, Tally},
    served::{Rotations, Server},
};

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Of each server, as callers saw them.
    pub rotations: BTreeMap<Server, Rotations>,
    /// Of each kind.
    pub calls: BTreeMap<Kind, Tally>,
    /// Handshakes that failed, as each server counts them, whoever called.
    pub handshakes: BTreeMap<Server, u64>,
    /// What controllers said when they did not hear the broker, but for a certificate of their own that was replaced.
    pub unheard: Vec<String>,
}

impl Report {
    /// How many failed, of whatever kind.
    pub fn failures(&self) -> u64 {
        let calls: u64 = self.calls.values().map(Tally::failures).sum();
        calls + self.handshakes.values().sum::<u64>() + self.unheard.len() as u64
    }

    /// How many calls there were, good and bad.
    pub fn made(&self) -> u64 {
        self.calls.values().map(|tally| tally.good + tally.failures()).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<26} {:>12} {:>12} {:>18}", "rotations", "authorities", "certificates", "failed handshakes")?;
        for (server, Rotations { authorities, leaves }) in &self.rotations {
            let handshakes = self.handshakes.get(server).copied().unwrap_or_default();
            writeln!(f, "{:<26} {authorities:>12} {leaves:>12} {handshakes:>18}", server.as_str())?;
        }
        writeln!(f, "{:<26} {:>12} {:>12}", "calls", "good", "failed")?;
        for (kind, tally) in &self.calls {
            writeln!(f, "{:<26} {:>12} {:>12}", kind.as_str(), tally.good, tally.failures())?;
        }
        for (kind, tally) in &self.calls {
            for (reason, count) in &tally.failed {
                writeln!(f, "{count:>6} × {}: {reason}", kind.as_str())?;
            }
        }
        for said in &self.unheard {
            writeln!(f, "     1 × controller: {said}")?;
        }
        write!(f, "{} calls, {} failures", self.made(), self.failures())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_counts_and_has_its_reason() {
        let mut report = Report::default();
        report.calls.insert(Kind::Launch, Tally { good: 5, failed: [("exit 3".to_owned(), 2)].into() });
        report.handshakes.insert(Server::Broker, 1);
        report.rotations.insert(Server::Broker, Rotations { authorities: 2, leaves: 7 });
        report.unheard.push("unknown issuer".to_owned());
        assert_eq!((report.failures(), report.made()), (4, 7));
        let text = report.to_string();
        for line in [
            "broker                                2            7                  1",
            "launcher                              5            2",
            "     2 × launcher: exit 3",
            "     1 × controller: unknown issuer",
            "7 calls, 4 failures",
        ] {
            assert!(text.lines().any(|found| found == line), "{line:?} is not in\n{text}");
        }
    }
}

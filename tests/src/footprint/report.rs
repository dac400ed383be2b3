//! What was measured, its bars, and how people read it.

use std::{fmt, time::Duration};

use super::Memory;

/// The most that may be in memory once everything is held.
pub const MAX_RSS: u64 = 25 << 20;

/// The most of one processor that idleness may take.
pub const MAX_IDLE_SHARE: f64 = 0.001;

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Objects held.
    pub objects: usize,
    /// Without any secret in the manifests.
    pub base: Memory,
    /// With all manifests, before the first read.
    pub declared: Memory,
    /// Everything read.
    pub filled: Memory,
    /// Everything compared with the vault once.
    pub polled: Memory,
    /// After a while without a request.
    pub idled: Memory,
    /// How long that was.
    pub idle: Duration,
    /// Processor time meanwhile.
    pub idle_cpu: Duration,
    /// Calls to vault and Entra meanwhile.
    pub calls: u64,
}

impl Report {
    /// The share of one processor that idleness took.
    pub fn idle_share(&self) -> f64 {
        self.idle_cpu.as_secs_f64() / self.idle.as_secs_f64()
    }

    /// Whether memory and idleness take no more than they may.
    pub fn within_bars(&self) -> bool {
        let most = [self.filled, self.polled, self.idled].map(|memory| memory.resident).into_iter().max();
        most.is_some_and(|most| most <= MAX_RSS) && self.idle_share() < MAX_IDLE_SHARE
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<28}{:>12}{:>12}{:>12}{:>16}", "", "RSS MiB", "anon MiB", "peak MiB", "B per object")?;
        let moments = [
            ("no secret declared", self.base),
            ("all declared, none read", self.declared),
            ("all read", self.filled),
            ("after a poll", self.polled),
            ("after idling", self.idled),
        ];
        for (moment, memory) in moments {
            let Memory { resident, anonymous, most } = memory;
            let each = resident.saturating_sub(self.base.resident) / (self.objects as u64).max(1);
            write!(f, "{moment:<28}{:>12.1}{:>12.1}{:>12.1}", mib(resident), mib(anonymous), mib(most))?;
            writeln!(f, "{each:>16}")?;
        }
        writeln!(
            f,
            "idle for {:?}: {:.3} ms of processor, {:.4} % of a core, {} calls",
            self.idle,
            self.idle_cpu.as_secs_f64() * 1e3,
            self.idle_share() * 100.0,
            self.calls
        )?;
        let verdict = if self.within_bars() { "within every bar" } else { "OVER A BAR" };
        writeln!(f, "{verdict}: RSS at most {:.0} MiB, idle below {} %", mib(MAX_RSS), MAX_IDLE_SHARE * 100.0)
    }
}

#[allow(clippy::cast_precision_loss, reason = "for people; nothing here comes near 2^53")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(filled: u64, idled: u64, idle_cpu_ms: u64) -> Report {
        let memory = |resident| Memory { resident, anonymous: 0, most: resident };
        Report {
            objects: 10,
            base: memory(1 << 20),
            declared: memory(2 << 20),
            filled: memory(filled),
            polled: memory(3 << 20),
            idled: memory(idled),
            idle: Duration::from_secs(10),
            idle_cpu: Duration::from_millis(idle_cpu_ms),
            calls: 0,
        }
    }

    #[test]
    fn either_bar_decides() {
        for (filled, idled, cpu, within) in [
            (MAX_RSS, MAX_RSS, 9, true),
            (MAX_RSS + 1, 0, 9, false),
            (0, MAX_RSS + 1, 9, false),
            (MAX_RSS, MAX_RSS, 10, false),
        ] {
            let report = report(filled, idled, cpu);
            assert_eq!(report.within_bars(), within, "{report}");
            assert_eq!(report.to_string().contains("OVER A BAR"), !within);
        }
    }
}

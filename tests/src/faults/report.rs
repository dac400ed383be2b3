//! What people read: pure.

use std::{fmt, time::Duration};

use super::{
    scene::{State, Verdict},
    suite::{Outcome, Played},
};

/// All scenes as a table.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a>(pub &'a Played);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<26}{:>9}", "trouble", "replicas")?;
        State::ALL.iter().try_for_each(|state| write!(f, "{:>13}", state.as_str()))?;
        writeln!(f, "{:>9}{:>9}{:>10}", "values", "retries", "breaches")?;
        for outcome in &self.0.outcomes {
            row(f, outcome)?;
        }
        let count = |of: fn(&Outcome) -> usize| self.0.outcomes.iter().map(of).sum::<usize>();
        let breaches = self.0.failures();
        writeln!(
            f,
            "{} scenes, {} values checked, {} callers who may read nothing refused, {} breaches",
            count(|outcome| outcome.recovered.len()),
            count(|outcome| outcome.verdict.reads),
            self.0.refused,
            breaches.len()
        )?;
        breaches.iter().try_for_each(|breach| writeln!(f, "  {breach}"))
    }
}

fn row(f: &mut fmt::Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    let Outcome { trouble, replicas, recovered, verdict: Verdict { reads, failures, breaches } } = outcome;
    write!(f, "{trouble:<26}{replicas:>9}")?;
    for state in State::ALL {
        let of_state = recovered.iter().find(|(of, _)| *of == state).map(|(_, recovered)| *recovered);
        write!(f, "{:>13}", of_state.map_or_else(String::new, shown))?;
    }
    writeln!(f, "{reads:>9}{failures:>9}{:>10}", breaches.len())
}

/// Until everybody had the latest.
fn shown(recovered: Option<Duration>) -> String {
    recovered.map_or_else(|| "LATE".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::check::Breach;

    #[test]
    fn a_table_tells_times_and_every_breach_where_it_was() {
        let outcome = Outcome {
            trouble: "broker killed",
            replicas: 3,
            recovered: vec![(State::Cold, Some(Duration::from_millis(1_250))), (State::MidPoll, None)],
            verdict: Verdict {
                reads: 120,
                failures: 7,
                breaches: vec![Breach::Late { bound: Duration::from_secs(20), who: "client 1".to_owned() }],
            },
        };
        let leaked = Breach::Leaked { caller: "nobody".to_owned() };
        let played = Played { outcomes: vec![outcome], refused: 9, breaches: vec![leaked] };
        let text = Table(&played).to_string();
        for part in [
            "broker killed                     3        1.2 s                      LATE                   120        7",
            "2 scenes, 120 values checked, 9 callers who may read nothing refused, 2 breaches",
            "  broker killed, 3 replicas: not everybody had the latest values within 20s: client 1",
            "  a value for nobody",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }
}

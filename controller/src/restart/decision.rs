//! Versions recorded and versions now: whether to roll. Pure.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::jiff::Timestamp;

/// Versions by the name of the secret.
pub(super) type Versions = BTreeMap<String, String>;

/// Names that are recorded and not in use now are kept up to so many in all: a secret that is deleted and made anew must
/// not be forgotten, and an annotation must stay small.
const MAX_RECORDED: usize = 256;

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is recorded as it is.
    Nothing,
    /// It uses something that is not recorded yet: nothing to roll for.
    Record(Versions),
    /// There is reason to roll, after this time.
    Wait(Duration),
    /// A version has changed.
    Roll {
        /// To be recorded.
        versions: Versions,
        /// Whose, for people.
        changed: String,
    },
}

/// Decides. `restarted` is when it was last rolled from here.
pub(super) fn decide(
    recorded: Option<&Versions>,
    current: &Versions,
    restarted: Option<Timestamp>,
    window: Duration,
    now: Timestamp,
) -> Decision {
    let none = Versions::new();
    let before = recorded.unwrap_or(&none);
    let mut versions = current.clone();
    for (name, version) in before {
        if versions.len() < MAX_RECORDED {
            versions.entry(name.clone()).or_insert_with(|| version.clone());
        }
    }
    let changed = current.iter().filter(|(name, version)| before.get(*name).is_some_and(|before| before != *version));
    let changed: Vec<&str> = changed.map(|(name, _)| name.as_str()).collect();
    if changed.is_empty() {
        return if versions == *before { Decision::Nothing } else { Decision::Record(versions) };
    }
    match restarted.and_then(|restarted| left_of(window, restarted, now)) {
        Some(left) => Decision::Wait(left),
        None => Decision::Roll { versions, changed: changed.join(", ") },
    }
}

/// What is left of the window that began then; `None` when it is over, or then is yet to come by more than a window.
fn left_of(window: Duration, then: Timestamp, now: Timestamp) -> Option<Duration> {
    let since = Duration::try_from(now.duration_since(then)).unwrap_or_default();
    let ahead = Duration::try_from(then.duration_since(now)).unwrap_or_default();
    if ahead > window { None } else { window.checked_sub(since).filter(|left| !left.is_zero()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(300);

    fn versions(pairs: &[(&str, &str)]) -> Versions {
        pairs.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn decided(recorded: Option<&[(&str, &str)]>, current: &[(&str, &str)], restarted: Option<i64>) -> Decision {
        let recorded = recorded.map(versions);
        decide(recorded.as_ref(), &versions(current), restarted.map(at), WINDOW, at(1_000))
    }

    fn roll(pairs: &[(&str, &str)], changed: &str) -> Decision {
        Decision::Roll { versions: versions(pairs), changed: changed.into() }
    }

    #[test]
    fn what_is_seen_first_is_recorded_and_rolls_nothing() {
        assert_eq!(decided(None, &[("db", "1")], None), Decision::Record(versions(&[("db", "1")])));
        assert_eq!(decided(Some(&[("db", "1")]), &[("db", "1")], None), Decision::Nothing);
        assert_eq!(decided(None, &[], None), Decision::Nothing);
        let more = decided(Some(&[("db", "1")]), &[("db", "1"), ("mail", "1")], None);
        assert_eq!(more, Decision::Record(versions(&[("db", "1"), ("mail", "1")])));
    }

    #[test]
    fn another_version_rolls() {
        assert_eq!(decided(Some(&[("db", "1")]), &[("db", "2")], None), roll(&[("db", "2")], "db"));
        let both = decided(Some(&[("a", "1"), ("b", "1")]), &[("a", "2"), ("b", "2")], Some(0));
        assert_eq!(both, roll(&[("a", "2"), ("b", "2")], "a, b"));
    }

    #[test]
    fn what_is_gone_for_a_while_is_remembered() {
        assert_eq!(decided(Some(&[("db", "1")]), &[], None), Decision::Nothing);
        assert_eq!(decided(Some(&[("db", "1")]), &[("db", "2")], None), roll(&[("db", "2")], "db"));
    }

    #[test]
    fn there_is_one_roll_in_a_window() {
        for (restarted, expected) in [
            (999, Decision::Wait(Duration::from_secs(299))),
            (701, Decision::Wait(Duration::from_secs(1))),
            (700, roll(&[("db", "2")], "db")),
            // A clock that was set back must not park it for good.
            (1_200, Decision::Wait(Duration::from_secs(300))),
            (5_000, roll(&[("db", "2")], "db")),
        ] {
            assert_eq!(decided(Some(&[("db", "1")]), &[("db", "2")], Some(restarted)), expected, "{restarted}");
        }
    }

    #[test]
    fn what_is_recorded_stays_small() {
        let many: Versions = (0..1_000).map(|n| (format!("old-{n}"), "1".to_owned())).collect();
        let Decision::Record(recorded) = decide(Some(&many), &versions(&[("db", "1")]), None, WINDOW, at(0)) else {
            panic!("nothing is recorded")
        };
        assert_eq!(recorded.len(), MAX_RECORDED);
        assert!(recorded.contains_key("db"));
    }
}

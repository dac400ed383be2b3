//! From one state to the next.

use k8s_openapi::jiff::Timestamp;

use super::*;

fn at(second: i64) -> Time {
    Time(Timestamp::from_second(1_700_000_000 + second).unwrap())
}

fn synced(version: &str) -> Outcome {
    let target = Target { kind: TargetKind::Secret, namespace: "shop".into(), name: "db".into() };
    Outcome::Synced { version: version.into(), expires: None, targets: vec![target] }
}

fn failed(reason: Reason, message: &str, passing: bool) -> Outcome {
    let cause = if passing { Cause::Passing } else { Cause::Told };
    Outcome::Failed(Failure { reason, message: message.into(), cause, code: String::new(), repeated: true })
}

/// The status after each outcome, one second apart, with whether it was written and whether an event was told.
fn walk(outcomes: &[(i64, Outcome)]) -> (Status, Vec<(bool, bool)>) {
    let mut status = None;
    let mut seen = Vec::new();
    for (second, (generation, outcome)) in (0..).zip(outcomes) {
        let next = next(status.as_ref(), *generation, outcome, at(second));
        seen.push((next.status.is_some(), next.note.is_some()));
        status = next.status.or(status);
    }
    (status.unwrap(), seen)
}

#[test]
fn nothing_is_written_and_told_while_nothing_changes() {
    let (status, seen) = walk(&[(1, synced("v1")), (1, synced("v1")), (1, synced("v1"))]);
    assert_eq!(seen, [(true, true), (false, false), (false, false)]);
    assert_eq!((status.version.as_deref(), status.secret_name.as_deref()), (Some("v1"), Some("db")));
    assert_eq!(status.ready().unwrap().message, "version v1 is in Secret db");
}

#[test]
fn a_new_version_is_written_and_told_without_a_transition() {
    let (status, seen) = walk(&[(1, synced("v1")), (1, synced("v2"))]);
    assert_eq!(seen, [(true, true), (true, true)]);
    assert_eq!(status.ready().unwrap().last_transition_time, at(0));
}

#[test]
fn a_new_generation_of_the_same_state_is_written_and_not_told() {
    let (status, seen) = walk(&[(1, synced("v1")), (2, synced("v1"))]);
    assert_eq!(seen, [(true, true), (true, false)]);
    assert_eq!(status.observed_generation, Some(2));
}

#[test]
fn a_failure_is_told_once_and_keeps_what_was_known() {
    let unavailable = |text| failed(Reason::VaultUnavailable, text, true);
    let outcomes = [
        (1, synced("v1")),
        (1, unavailable("1 s")),
        (1, unavailable("2 s")),
        (1, unavailable("3 s")),
        (1, synced("v1")),
    ];
    let (status, seen) = walk(&outcomes[..4]);
    assert_eq!(seen, [(true, true), (true, true), (false, false), (false, false)]);
    assert_eq!(status.version.as_deref(), Some("v1"));
    let ready = status.ready().unwrap();
    assert_eq!((ready.status.as_str(), ready.message.as_str(), &ready.last_transition_time), ("False", "1 s", &at(1)));
    assert_eq!(walk(&outcomes).1[4], (true, true), "it is told when it works again");
}

#[test]
fn a_failure_that_stays_is_written_when_its_words_change() {
    let (status, seen) = walk(&[
        (1, failed(Reason::NotOwned, "Secret shop/a", false)),
        (1, failed(Reason::NotOwned, "Secret shop/b", false)),
        (1, failed(Reason::Forbidden, "no", false)),
    ]);
    assert_eq!(seen, [(true, true), (true, false), (true, true)]);
    assert_eq!(status.ready().unwrap().last_transition_time, at(0));
}

#[test]
fn a_version_that_is_not_held_is_not_forgotten() {
    let admitted = |version: Option<&str>| Outcome::Admitted { version: version.map(Into::into), expires: None };
    let (status, seen) = walk(&[(1, admitted(None)), (1, admitted(Some("v1"))), (1, admitted(None))]);
    assert_eq!(seen, [(true, true), (true, true), (false, false)]);
    assert_eq!(status.version.as_deref(), Some("v1"));
}

#[test]
fn without_output_the_names_of_what_was_written_go() {
    let (status, _) = walk(&[(1, synced("v1")), (2, Outcome::Admitted { version: None, expires: None })]);
    assert_eq!((status.secret_name, status.version), (None, None), "another generation may mean another object");
}

#[test]
fn another_cause_of_the_same_reason_is_written_and_not_told() {
    let unavailable = |text: &str, repeated| {
        let (message, code) = (text.to_owned(), String::new());
        Outcome::Failed(Failure { reason: Reason::VaultUnavailable, message, cause: Cause::Passing, code, repeated })
    };
    let (status, seen) = walk(&[
        (1, unavailable("lost", false)),
        (1, unavailable("lost again", true)),
        (1, unavailable("throttled", false)),
    ]);
    assert_eq!(seen, [(true, true), (false, false), (true, false)]);
    assert_eq!(status.ready().unwrap().message, "throttled");
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let (status, _) = walk(&[(1, failed(Reason::Rejected, &"ä".repeat(900), false))]);
    let message = &status.ready().unwrap().message;
    assert!(message.len() <= 1_010 && message.ends_with('…'));
}

#[test]
fn conditions_of_others_stay() {
    let other = Condition {
        type_: "Other".into(),
        status: "True".into(),
        reason: "X".into(),
        message: String::new(),
        observed_generation: None,
        last_transition_time: at(0),
    };
    let old = Status { conditions: vec![other.clone()], ..Status::default() };
    let status = next(Some(&old), 1, &synced("v1"), at(1)).status.unwrap();
    assert_eq!(status.conditions[0], other);
    assert!(status.is_ready());
}

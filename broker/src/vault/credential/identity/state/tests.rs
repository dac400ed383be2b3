use super::*;

const PAUSE: Duration = Duration::from_secs(30);

fn wall() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Span::days(365)
}

fn name(step: &Step) -> &'static str {
    match step {
        Step::Use(_) => "use",
        Step::UseAndRenew(_) => "use and renew",
        Step::Wait => "wait",
        Step::Refuse(_) => "refuse",
    }
}

fn token(life: i64) -> AccessToken {
    AccessToken::new("t", wall() + Span::seconds(life))
}

fn down() -> azure_core::Error {
    azure_core::Error::with_message(ErrorKind::Connection, "down")
}

/// What follows for each need, `age` seconds after a token of `life` seconds came.
fn steps(state: &State, then: Instant, age: u64) -> [&'static str; 4] {
    let needs = [Need::Any, Need::NewerThan(1), Need::NewerThan(0), Need::Fresh];
    let now = then + Duration::from_secs(age);
    let wall = wall() + Duration::from_secs(age);
    needs.map(|need| name(&state.step(need, PAUSE, now, wall)))
}

#[tokio::test]
async fn what_follows_from_a_token_s_age_and_what_is_needed() {
    let then = Instant::now();
    for (life, age, expected) in [
        (3_600, 1, ["use", "wait", "use", "use"]),
        (3_600, 30, ["use", "wait", "use", "wait"]),
        (3_600, 3_299, ["use", "wait", "use", "wait"]),
        (3_600, 3_300, ["use and renew", "wait", "use", "wait"]),
        (3_600, 3_599, ["use and renew", "wait", "use", "wait"]),
        (3_600, 3_600, ["wait", "wait", "wait", "wait"]),
        (240, 29, ["use", "wait", "use", "use"]),
        (240, 30, ["use and renew", "wait", "use", "wait"]),
    ] {
        let mut state = State::default();
        state.settle(Ok(token(life)), then, wall(), 0).unwrap();
        assert_eq!(steps(&state, then, age), expected, "{life} {age}");
    }
    assert_eq!(steps(&State::default(), then, 0), ["wait"; 4]);
}

#[tokio::test]
async fn while_the_authority_is_left_alone_only_a_token_that_holds_helps() {
    let then = Instant::now();
    let mut state = State::default();
    state.settle(Err(down()), then, wall(), 255).unwrap_err();
    assert_eq!(steps(&state, then, 0), ["refuse"; 4]);
    assert_eq!(steps(&state, then, 1), ["wait"; 4]);

    let mut state = State::default();
    state.settle(Ok(token(3_600)), then, wall(), 0).unwrap();
    let later = then + Duration::from_secs(3_400);
    state.settle(Err(down()), later, wall(), 255).unwrap_err();
    assert_eq!(steps(&state, then, 3_400), ["use", "refuse", "use", "refuse"]);
    assert_eq!(steps(&state, then, 3_401), ["use and renew", "wait", "use", "wait"]);
}

#[tokio::test]
async fn a_replacement_that_is_refused_too_is_not_replaced_at_once() {
    let then = Instant::now();
    let mut state = State::default();
    state.renewal_begins(then);
    state.settle(Ok(token(3_600)), then, wall(), 0).unwrap();
    assert_eq!(steps(&state, then, 29)[1], "use");
    assert_eq!(steps(&state, then, 30)[1], "wait");
}

#[tokio::test]
async fn what_failed_before_anything_was_sent_needs_no_pause() {
    let then = Instant::now();
    let mut state = State::default();
    let missing = SignInError::Nothing { what: "federated token", path: "/t".into() };
    state.settle(Err(missing.into()), then, wall(), 255).unwrap_err();
    assert_eq!(steps(&state, then, 0), ["wait"; 4]);
}

#[tokio::test]
async fn a_sign_in_whose_task_is_gone_is_not_waited_for() {
    let mut state = State::default();
    let (tell, ended) = watch::channel(None);
    state.begin(ended);
    assert!(state.under_way().is_some());
    drop(tell);
    assert!(state.under_way().is_none());
}

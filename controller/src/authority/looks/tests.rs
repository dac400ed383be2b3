use super::*;

fn met() -> Looks {
    let looks = Looks::default();
    looks.meet("shop");
    looks
}

fn bundle(content: &str) -> Bundle {
    let text = format!("-----BEGIN CERTIFICATE-----\n{content}\n-----END CERTIFICATE-----\n");
    Bundle::parse(text.as_bytes()).unwrap()
}

fn state(looks: &Looks) -> State {
    *looks.counts().iter().find(|(_, count)| **count == 1).unwrap().0
}

#[test]
fn a_failure_is_told_once_and_waited_for_longer_each_time() {
    let (looks, now) = (met(), Instant::now());
    let fail = |why: &str| looks.failed("shop", Cause::Passing, why, now, 0.5);
    assert_eq!(fail("down"), (Duration::from_millis(500), true));
    assert_eq!(fail("down"), (Duration::from_secs(1), false));
    assert_eq!(fail("refused"), (Duration::from_secs(2), true));
    assert_eq!(looks.pause("shop", now), Some(Duration::from_secs(2)));
    assert_eq!(looks.pause("shop", now + Duration::from_secs(2)), None);
    assert_eq!(state(&looks), State::Failing);
    looks.kept("shop", &bundle("AAAA"));
    assert_eq!((state(&looks), looks.pause("shop", now)), (State::Published, None));
    assert_eq!(fail("down"), (Duration::from_millis(500), true));
}

#[test]
fn a_fight_over_it_is_slowed_down_and_a_change_now_and_then_is_not() {
    let (looks, now) = (met(), Instant::now());
    let pauses: Vec<_> = (0..5)
        .map(|_| {
            looks.wrote("shop", &bundle("AAAA"), now, 0.5);
            looks.pause("shop", now).unwrap_or_default().as_millis()
        })
        .collect();
    assert_eq!(pauses, [0, 0, 500, 1_000, 2_000]);
    for _ in 0..5 {
        looks.kept("shop", &bundle("AAAA"));
        looks.wrote("shop", &bundle("AAAA"), now, 0.5);
        assert_eq!(looks.pause("shop", now), None);
    }
}

#[test]
fn what_is_foreign_is_told_once_and_looked_at_at_once_when_it_changes() {
    let looks = met();
    assert!(looks.foreign("shop", "theirs") && !looks.foreign("shop", "theirs"));
    assert_eq!((state(&looks), looks.pause("shop", Instant::now())), (State::Foreign, None));
    looks.waits("shop");
    assert_eq!(state(&looks), State::Waiting);
    assert!(looks.foreign("shop", "theirs"));
}

#[test]
fn nothing_is_remembered_of_a_namespace_that_is_gone() {
    let looks = met();
    looks.meet("bank");
    looks.retain(&HashSet::from(["bank".to_owned()]));
    looks.kept("shop", &bundle("AAAA"));
    assert_eq!(looks.counts().values().sum::<usize>(), 1);
    looks.forget("bank");
    assert_eq!(looks.counts().values().sum::<usize>(), 0);
}

#[test]
fn all_hold_it_when_all_are_known_and_each_does_or_is_somebody_elses() {
    let (looks, now) = (Looks::default(), Instant::now());
    let (one, two) = (bundle("AAAA"), bundle("BBBB"));
    assert!(!looks.all_hold(&one));
    looks.retain(&HashSet::from(["shop".to_owned(), "bank".to_owned()]));
    looks.kept("shop", &one);
    assert!(!looks.all_hold(&one));
    looks.foreign("bank", "theirs");
    assert!(looks.all_hold(&one) && !looks.all_hold(&two));
    looks.wrote("shop", &two, now, 0.5);
    assert!(looks.all_hold(&two));
    for wait in [Looks::meet, Looks::waits] {
        looks.meet("new");
        wait(&looks, "new");
        assert!(!looks.all_hold(&two));
        // One on its way out.
        looks.forget("new");
        assert!(looks.all_hold(&two));
    }
    looks.failed("shop", Cause::Passing, "down", now, 0.5);
    assert!(!looks.all_hold(&two));
    looks.clear();
    assert!(!looks.all_hold(&two));
}

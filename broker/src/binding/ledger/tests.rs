use std::time::UNIX_EPOCH;

use super::*;
use crate::binding::start::LAUNCHING;

/// When the ledger begins, by the world's clock.
const BEGAN: i64 = 1_000_000;

/// A ledger, and a time that only goes on when a test says so.
struct World {
    ledger: Ledger,
    now: Moment,
}

impl World {
    fn new() -> Self {
        Self::bounded(MOST)
    }

    fn bounded(most: usize) -> Self {
        let wall = UNIX_EPOCH + Duration::from_secs(BEGAN.cast_unsigned());
        let now = Moment { instant: Instant::now(), wall };
        Self { ledger: Ledger::bounded(now, most), now }
    }

    fn pass(&mut self, time: Duration) {
        self.now.instant += time;
        self.now.wall += time;
    }

    fn redeem(&mut self, container: &str, nonce: u8, shown: Shown) -> Verdict {
        let key = Arc::new(Key { pod_uid: "u-1".into(), container: container.into() });
        let nonce = Nonce::new(&[nonce; 16]).unwrap();
        self.ledger.redeem(&Redemption { key, nonce, shown }, self.now)
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn start(restarts: u32, began: i64) -> Start {
    Start { restarts, began: Some(began) }
}

fn running(restarts: u32, began: i64) -> Shown {
    Shown { start: start(restarts, began), is_running: true, is_over: false }
}

fn ended(restarts: u32, began: i64) -> Shown {
    Shown { is_running: false, ..running(restarts, began) }
}

const NOTHING: Shown = Shown { start: Start { restarts: 0, began: None }, is_running: false, is_over: false };

#[test]
fn the_first_process_is_given_its_values_whether_or_not_its_container_shows() {
    for shown in [NOTHING, running(0, BEGAN), running(0, BEGAN + 5), running(7, BEGAN)] {
        assert_eq!(World::new().redeem("app", 1, shown), Verdict::Granted(Grant::First), "{shown:?}");
    }
}

#[test]
fn a_lost_reply_is_given_again_to_the_same_process_for_a_minute() {
    let mut world = World::new();
    world.redeem("app", 1, NOTHING);
    for (passes, expected) in [
        (0, Verdict::Granted(Grant::Repeated)),
        (30, Verdict::Granted(Grant::Repeated)),
        (30, Verdict::Granted(Grant::Repeated)),
        (1, Verdict::Replayed),
    ] {
        world.pass(seconds(passes));
        assert_eq!(world.redeem("app", 1, running(0, BEGAN)), expected);
    }
}

#[test]
fn another_process_is_given_nothing_until_a_newer_start_shows() {
    let mut world = World::new();
    world.redeem("app", 1, NOTHING);
    // The status lags: it shows nothing, then the start that was, then its end, and then the new one.
    let first = Start::default();
    for shown in [NOTHING, running(0, BEGAN), ended(0, BEGAN)] {
        assert_eq!(world.redeem("app", 2, shown), Verdict::Wait(first), "{shown:?}");
    }
    assert_eq!(world.redeem("app", 2, running(1, BEGAN + 3)), Verdict::Granted(Grant::Restarted));
    assert_eq!(world.redeem("app", 2, running(1, BEGAN + 3)), Verdict::Granted(Grant::Repeated));
    for nonce in [1, 3] {
        assert_eq!(world.redeem("app", nonce, running(1, BEGAN + 3)), Verdict::Wait(start(1, BEGAN + 3)));
    }
}

#[test]
fn a_restart_within_its_second_and_one_whose_count_began_anew_are_newer() {
    let mut world = World::new();
    world.redeem("app", 1, running(4, BEGAN));
    assert_eq!(world.redeem("app", 2, running(5, BEGAN)), Verdict::Granted(Grant::Restarted));
    assert_eq!(world.redeem("app", 3, running(0, BEGAN + 1)), Verdict::Granted(Grant::Restarted));
}

#[test]
fn who_waits_for_a_minute_beside_a_running_container_is_certainly_no_restart() {
    let mut world = World::new();
    world.redeem("app", 1, running(0, BEGAN));
    let recorded = start(0, BEGAN);
    assert_eq!(world.redeem("app", 2, running(0, BEGAN)), Verdict::Wait(recorded));
    world.pass(seconds(59));
    assert_eq!(world.redeem("app", 2, running(0, BEGAN)), Verdict::Wait(recorded));
    world.pass(seconds(1));
    // A container that is down may come back at any time.
    for shown in [ended(0, BEGAN), NOTHING] {
        assert_eq!(world.redeem("app", 2, shown), Verdict::Wait(recorded), "{shown:?}");
    }
    assert_eq!(world.redeem("app", 2, running(0, BEGAN)), Verdict::Replayed);
    assert_eq!(world.redeem("app", 3, running(0, BEGAN)), Verdict::Wait(recorded), "a minute for each");
    // Status at last: it was a restart after all, and is given its values.
    assert_eq!(world.redeem("app", 2, running(1, BEGAN + 2)), Verdict::Granted(Grant::Restarted));
}

#[test]
fn so_many_processes_are_remembered_and_the_others_wait_on() {
    let mut world = World::new();
    world.redeem("app", 0, running(0, BEGAN));
    for nonce in 1..=10 {
        world.redeem("app", nonce, running(0, BEGAN));
    }
    world.pass(CERTAIN);
    assert_eq!(world.redeem("app", 1, running(0, BEGAN)), Verdict::Wait(start(0, BEGAN)));
    assert_eq!(world.redeem("app", 10, running(0, BEGAN)), Verdict::Replayed);
    let record = world.ledger.records.values().next().unwrap();
    assert_eq!(record.waiting.len(), WAITING);
}

#[test]
fn each_container_of_a_pod_has_its_own_record() {
    let mut world = World::new();
    for container in ["init", "app", "sidecar"] {
        assert_eq!(world.redeem(container, 1, NOTHING), Verdict::Granted(Grant::First), "{container}");
    }
    assert_eq!(world.redeem("app", 2, NOTHING), Verdict::Wait(Start::default()));
}

#[test]
fn a_start_that_is_older_than_the_records_may_have_had_one() {
    let mut world = World::new();
    assert_eq!(world.redeem("app", 1, running(0, BEGAN - 1)), Verdict::Granted(Grant::Unrecorded));
    assert_eq!(world.redeem("app", 2, running(0, BEGAN - 1)), Verdict::Wait(start(0, BEGAN - 1)), "once");
    assert_eq!(world.redeem("new", 1, running(0, BEGAN)), Verdict::Granted(Grant::First));
}

#[test]
fn without_a_record_a_start_that_is_over_gives_nothing_and_a_newer_one_does() {
    let mut world = World::new();
    let over = Shown { is_over: true, ..running(3, BEGAN - 5_000) };
    for nonce in 1..=3 {
        assert_eq!(world.redeem("app", nonce, over), Verdict::Wait(over.start));
    }
    world.pass(CERTAIN);
    assert_eq!(world.redeem("app", 1, over), Verdict::Replayed);
    assert_eq!(world.redeem("app", 4, running(4, BEGAN + 60)), Verdict::Granted(Grant::Restarted));
    assert_eq!(world.redeem("app", 1, running(4, BEGAN + 60)), Verdict::Wait(start(4, BEGAN + 60)));
}

#[test]
fn a_record_is_forgotten_when_its_start_is_over_by_its_own_status() {
    let mut world = World::new();
    world.redeem("app", 1, running(0, BEGAN));
    world.pass(KEPT.saturating_sub(seconds(1)));
    assert_eq!(world.redeem("app", 2, running(0, BEGAN)), Verdict::Wait(start(0, BEGAN)));
    world.pass(seconds(1));
    assert_eq!(world.redeem("other", 1, NOTHING), Verdict::Granted(Grant::First));
    assert_eq!(world.ledger.len(), 1);
    const { assert!(KEPT.as_secs() > LAUNCHING.as_secs()) };
    let over = Shown { is_over: true, ..running(0, BEGAN) };
    assert_eq!(world.redeem("app", 2, over), Verdict::Wait(start(0, BEGAN)));
}

#[test]
fn a_restart_keeps_its_record_for_its_own_time() {
    let mut world = World::new();
    world.redeem("app", 1, running(0, BEGAN));
    world.pass(KEPT / 2);
    world.redeem("app", 2, running(1, BEGAN + 3_600));
    world.pass(KEPT / 2);
    assert_eq!(world.redeem("app", 3, running(1, BEGAN + 3_600)), Verdict::Wait(start(1, BEGAN + 3_600)));
    world.pass(KEPT / 2);
    world.redeem("other", 1, NOTHING);
    assert_eq!(world.ledger.len(), 1);
}

#[test]
fn the_oldest_make_room_are_counted_and_make_what_is_older_doubtful() {
    let mut world = World::bounded(10);
    for n in 0..10 {
        world.redeem(&format!("c{n}"), 1, running(0, BEGAN));
        world.pass(seconds(1));
    }
    // Of a container that restarts, only the latest record counts as one.
    world.redeem("c0", 2, running(1, BEGAN + 10));
    assert_eq!((world.ledger.len(), world.ledger.pushed_out()), (10, 0));
    world.redeem("c10", 1, running(0, BEGAN + 10));
    assert_eq!((world.ledger.len(), world.ledger.pushed_out()), (10, 1));
    assert_eq!(world.redeem("c1", 2, running(0, BEGAN)), Verdict::Granted(Grant::Unrecorded));
    assert_eq!(world.redeem("c0", 3, running(1, BEGAN + 10)), Verdict::Wait(start(1, BEGAN + 10)));
    for n in 0..1_000 {
        world.redeem(&format!("more-{n}"), 1, NOTHING);
        assert!(world.ledger.len() <= 10 && world.ledger.made.len() <= 10);
    }
}

#[test]
fn what_is_handed_over_holds_where_it_comes_to() {
    let mut from = World::new();
    from.redeem("app", 1, running(1, BEGAN));
    from.redeem("over", 1, Shown { is_over: true, ..running(0, BEGAN - 5_000) });
    from.pass(seconds(59));
    let mut to = World::new();
    to.now = from.now;
    to.ledger.take_over(from.ledger.hand_over(from.now.instant), to.now);
    assert_eq!(to.ledger.len(), 2);
    assert_eq!(to.redeem("app", 1, running(1, BEGAN)), Verdict::Granted(Grant::Repeated));
    assert_eq!(to.redeem("app", 2, running(1, BEGAN)), Verdict::Wait(start(1, BEGAN)));
    assert_eq!(to.redeem("over", 2, running(0, BEGAN - 5_000)), Verdict::Wait(start(0, BEGAN - 5_000)));
    to.pass(seconds(2));
    assert_eq!(to.redeem("app", 1, running(1, BEGAN)), Verdict::Replayed, "its minute goes on");
    // Handed back, it is what it was there too.
    from.ledger.take_over(to.ledger.hand_over(to.now.instant), to.now);
    assert_eq!(from.redeem("app", 2, running(1, BEGAN)), Verdict::Wait(start(1, BEGAN)));
}

#[test]
fn of_two_records_the_newer_start_s_holds_and_of_one_start_s_the_earlier() {
    let handed = |nonce: u8, start, age| Handed {
        key: Arc::new(Key { pod_uid: "u-1".into(), container: "app".into() }),
        nonce: Nonce::new(&[nonce; 16]),
        start,
        age: seconds(age),
    };
    let known = running(1, BEGAN);
    for (comes, holds) in [
        (handed(9, start(0, BEGAN - 9), 1), 1),
        (handed(9, start(2, BEGAN + 9), 1), 9),
        (handed(9, start(1, BEGAN), 40), 9),
        (handed(9, start(1, BEGAN), 20), 1),
        (handed(9, start(2, BEGAN + 9), 3 * 3_600), 1),
    ] {
        let mut world = World::new();
        world.redeem("app", 1, known);
        world.pass(seconds(30));
        world.ledger.take_over(vec![comes.clone()], world.now);
        let shown = Shown { start: comes.start, ..known };
        assert_eq!(world.redeem("app", holds, shown), Verdict::Granted(Grant::Repeated), "{comes:?}");
    }
}

#[test]
fn what_comes_is_bounded_too_and_ends_in_time() {
    let mut world = World::bounded(10);
    let handed = |n: u64| Handed {
        key: Arc::new(Key { pod_uid: format!("u-{n}"), container: "app".into() }),
        nonce: None,
        start: Start::default(),
        age: seconds(n),
    };
    world.ledger.take_over((0..1_000).map(handed).collect(), world.now);
    assert_eq!(world.ledger.len(), 10);
    world.pass(KEPT);
    world.redeem("app", 1, NOTHING);
    assert_eq!(world.ledger.len(), 1);
}

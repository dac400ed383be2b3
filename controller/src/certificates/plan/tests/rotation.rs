//! Renewals and rotations as they should be.

use super::*;

#[test]
fn an_empty_cluster_has_everything_at_once_and_then_nothing_is_due() {
    let mut world = World::empty(at(0));
    world.seen.hooks = Hooks::Held(false);
    let first = [vec![Step::MakeAuthority, Step::WriteHooks], issue_all()].concat();
    assert_eq!(world.work(), first);
    let next = world.plan().next.unwrap();
    assert!((at(12)..at(16)).contains(&next), "{next:?}");
}

#[test]
fn leaves_are_renewed_at_half_of_their_life_again_and_again() {
    let mut world = World::settled(at(0));
    let mut done = Vec::new();
    while world.plan().next.unwrap() < at(180) {
        done.extend(world.next());
    }
    assert!(done.iter().all(|step| matches!(step, Step::Issue(_))), "{done:?}");
    assert!((33..=42).contains(&done.len()), "{}", done.len());
}

#[test]
fn a_rotation_takes_its_steps_and_two_overlaps() {
    let mut world = World::settled(at(0));
    world.now = at(182);
    let mut done = world.work();
    // Leaves that are due are renewed by the old one.
    done.retain(|step| !matches!(step, Step::Issue(_)));
    let begun = [vec![Step::Prepare], tell_all(), vec![Step::StampPublished]].concat();
    assert_eq!(done.iter().filter(|step| begun.contains(step)).count(), done.len(), "{done:?}");
    assert!(done.first() == Some(&Step::Prepare) && done.last() == Some(&Step::StampPublished));
    assert_eq!(Phase::of(&world.seen.authority), Phase::Published);
    let activated = world.next();
    assert_eq!(world.now, at(182) + HOUR);
    assert_eq!(activated, [vec![Step::Activate], issue_all(), vec![Step::StampReissued]].concat());
    assert_eq!(Phase::of(&world.seen.authority), Phase::Retiring);
    let retired = world.next();
    assert_eq!(world.now, at(182) + 2 * HOUR);
    assert_eq!(retired, [vec![Step::Retire], tell_all()].concat());
    assert_eq!(Phase::of(&world.seen.authority), Phase::Settled);
    assert_eq!(world.due(), []);
}

/// Whoever learns of something an overlap late still trusts whatever is shown.
#[test]
fn in_three_years_nobody_meets_a_certificate_that_was_not_announced() {
    let mut world = World::settled(at(0));
    let mut announced: Vec<(SystemTime, String)> = Vec::new();
    let mut rotations = 0;
    while world.now < at(1_100) {
        let done = world.next();
        rotations += done.iter().filter(|step| **step == Step::Activate).count();
        let (now, bundle) = (world.now, world.dated().slots.bundle());
        announced.push((now, bundle.as_str().to_owned()));
        // What somebody who is late by anything up to an overlap knows.
        let late = announced.iter().rposition(|(time, _)| *time + HOUR <= now).unwrap_or_default();
        for (leaf, found) in &world.seen.leaves {
            let held = found.held().unwrap();
            assert!(held.certificate.holds(now) && held.certificate.holds(now + 10 * DAY), "{leaf:?}");
            for (time, text) in &announced[late..] {
                let known = Certificate::read_all(text.as_bytes()).unwrap();
                assert!(known.iter().any(|known| known.has_signed(&held.certificate)), "{leaf:?} {time:?}");
            }
        }
    }
    assert_eq!(rotations, 6);
}

#[test]
fn a_rotation_waits_for_every_place_and_not_for_what_is_somebody_elses() {
    let mut rotating = World::settled(at(0));
    rotating.dated().rotate = true;
    for step in [vec![Step::Prepare], tell_all()].concat() {
        rotating.carry_out(step);
    }
    assert_eq!(rotating.due(), [Step::StampPublished]);
    assert!(!rotating.dated().rotate);
    let seen = rotating.seen.clone();
    let waits: [Change<'_>; 4] = [
        ("a namespace", &|world| world.seen.spread = false),
        ("a Secret that cannot be read", &|world| *world.found(Leaf::Broker) = Found::Unread),
        ("hooks that cannot be read", &|world| world.seen.hooks = Hooks::Unread),
        ("hooks", &|world| world.seen.hooks = Hooks::Held(false)),
    ];
    for (what, break_it) in waits {
        let mut world = World { seen: seen.clone(), now: at(0) };
        break_it(&mut world);
        assert!(!world.due().contains(&Step::StampPublished), "{what}");
        // Neither is it activated where that was stamped before.
        world.dated().published = Some(at(0));
        world.now = at(0) + 2 * HOUR;
        assert!(!world.due().contains(&Step::Activate), "{what}");
        // Until the authority in use would end.
        world.now = at(274);
        assert!(world.due().contains(&Step::Activate), "{what}");
    }
    let mut world = World { seen, now: at(0) };
    *world.found(Leaf::Broker) = Found::Foreign { secret_type: "Opaque".to_owned() };
    assert_eq!(world.due(), [Step::StampPublished]);
}

#[test]
fn the_retired_one_is_trusted_until_nobody_shows_what_it_signed() {
    let mut world = World::settled(at(0));
    world.dated().rotate = true;
    world.work();
    world.now += HOUR;
    world.carry_out(Step::Activate);
    assert_eq!(world.due(), issue_all());
    for (broken, due) in [(Found::Unread, vec![]), (Found::Missing, vec![Step::Issue(Leaf::Broker)])] {
        let mut world = World { seen: world.seen.clone(), now: world.now };
        for leaf in LEAVES {
            world.carry_out(Step::Issue(leaf));
        }
        *world.found(Leaf::Broker) = broken;
        assert_eq!(world.due(), due);
        world.dated().reissued = Some(at(0));
        assert_eq!(world.due(), due);
    }
}

#[test]
fn a_wish_for_a_rotation_is_taken_up_once() {
    let mut world = World::settled(at(0));
    world.dated().rotate = true;
    assert_eq!(world.due(), [Step::Prepare]);
    world.work();
    // Another one meanwhile is the same.
    world.dated().rotate = true;
    assert_eq!(world.due(), [Step::TakeUp]);
    world.work();
    assert!(!world.dated().rotate);
    // One that comes too late for this rotation is the next one's.
    world.now += HOUR;
    assert!(world.work().contains(&Step::Activate));
    world.dated().rotate = true;
    assert_eq!(world.due(), []);
    let done = world.next();
    assert!(done.contains(&Step::Retire) && done.contains(&Step::Prepare), "{done:?}");
}

#[test]
fn a_stamp_from_the_future_is_written_anew() {
    let mut world = World::settled(at(0));
    world.dated().rotate = true;
    world.work();
    world.now -= Duration::from_secs(1);
    assert_eq!(world.due(), [Step::StampPublished]);
    world.carry_out(Step::StampPublished);
    world.now += HOUR;
    world.work();
    world.now -= Duration::from_secs(1);
    assert_eq!(world.due(), [Step::StampReissued]);
}

#[test]
fn one_thing_that_cannot_be_done_stops_nothing_else() {
    let mut world = World::settled(at(0));
    world.seen.hooks = Hooks::Held(false);
    *world.found(Leaf::Broker) = Found::Missing;
    world.dated().rotate = true;
    assert_eq!(world.due(), [Step::Prepare, Step::WriteHooks, Step::Issue(Leaf::Broker)]);
}

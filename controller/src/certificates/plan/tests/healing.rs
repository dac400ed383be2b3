//! What is lost, broken or over.

use super::*;

/// What the leader still knew is gone with it.
fn lose_authority(world: &mut World) {
    world.seen.authority = Authority::Missing { remembered: None };
    *world.found(Leaf::Controller) = Found::Missing;
}

#[test]
fn a_deleted_authority_comes_back_as_it_was_while_its_leader_lives() {
    let mut world = World::settled(at(0));
    world.dated().rotate = true;
    world.work();
    let before = world.dated().clone();
    world.seen.authority = Authority::Missing { remembered: Some(before.clone()) };
    assert_eq!(world.due(), [Step::Restore]);
    world.work();
    assert_eq!(*world.dated(), before);
    assert_eq!(world.due(), []);
}

#[test]
fn a_lost_authority_stays_trusted_and_the_new_one_is_published_before_it_signs() {
    let mut world = World::settled(at(0));
    let before = world.dated().slots.bundle();
    lose_authority(&mut world);
    assert_eq!(world.due(), [Step::Recover]);
    world.carry_out(Step::Recover);
    let slots = world.dated().slots.clone();
    assert!(matches!(&slots.active, Active::Orphaned(lost) if lost.len() == 1));
    assert!(slots.bundle().as_str().contains(before.as_str()));
    // The controller has none left: nothing is lost by showing one of the next.
    let told = [Step::WriteHooks, Step::Issue(Leaf::Controller)];
    let told = told.into_iter().chain([Leaf::Broker, Leaf::Webhook].map(Step::WriteBundle));
    assert_eq!(world.due(), told.clone().collect::<Vec<_>>());
    assert_eq!(world.work(), told.chain([Step::StampPublished]).collect::<Vec<_>>());
    let activated = world.next();
    assert_eq!(world.now, at(0) + HOUR);
    // The controller's is good already.
    let reissued = [Leaf::Broker, Leaf::Webhook].map(Step::Issue);
    assert_eq!(activated, [vec![Step::Activate], reissued.into(), vec![Step::StampReissued]].concat());
    assert!(world.next().starts_with(&[Step::Retire]));
    assert!(!world.dated().slots.bundle().as_str().contains(before.as_str()));
}

#[test]
fn both_slots_of_a_lost_authority_stay_trusted() {
    let mut world = World::settled(at(0));
    world.dated().rotate = true;
    world.work();
    lose_authority(&mut world);
    world.carry_out(Step::Recover);
    assert!(matches!(&world.dated().slots.active, Active::Orphaned(lost) if lost.len() == 2));
}

#[test]
fn an_authority_that_nobody_shows_a_certificate_of_is_made_anew_at_once() {
    let over = |world: &mut World| world.now = at(29);
    let gone = |world: &mut World| world.seen.leaves.iter_mut().for_each(|(_, found)| *found = Found::Missing);
    let stranger = |world: &mut World| {
        let bundle = world.seen.leaves[1].1.held().unwrap().authorities.clone();
        for leaf in [Leaf::Broker, Leaf::Webhook] {
            // Signed by whom its own ca.crt does not name.
            let Found::Held(held) = issued(&made(0), leaf, at(0), &Slots::new(made(0)).bundle()) else { panic!() };
            *world.found(leaf) = Found::Held(Held { authorities: bundle.clone(), ..held });
        }
    };
    let cases: [Change<'_>; 3] = [("over", &over), ("gone", &gone), ("strange", &stranger)];
    for (what, change) in cases {
        let mut world = World::settled(at(0));
        lose_authority(&mut world);
        change(&mut world);
        assert_eq!(world.work(), [vec![Step::MakeAuthority, Step::WriteHooks], issue_all()].concat(), "{what}");
    }
}

#[test]
fn a_certificate_that_is_lost_while_the_authority_is_comes_from_the_next_one_at_once() {
    let mut world = World::settled(at(0));
    lose_authority(&mut world);
    *world.found(Leaf::Broker) = Found::Missing;
    let done = world.work();
    assert!(done.starts_with(&[Step::Recover]) && done.contains(&Step::Issue(Leaf::Broker)), "{done:?}");
    assert!(matches!(world.dated().slots.active, Active::Orphaned(_)));
}

#[test]
fn certificates_that_are_lost_over_or_wrong_are_issued_at_once() {
    let other = made(0);
    let changes: [Change<'_>; 7] = [
        ("missing", &|world| *world.found(Leaf::Broker) = Found::Missing),
        ("broken", &|world| *world.found(Leaf::Broker) = Found::Broken),
        ("another authority's", &|world| {
            let bundle = world.dated().slots.bundle();
            *world.found(Leaf::Broker) = issued(&other, Leaf::Broker, at(0), &bundle);
        }),
        ("another role's", &|world| {
            let slots = world.dated().slots.clone();
            let Found::Held(held) = issued(slots.signer().unwrap(), Leaf::Webhook, at(0), &slots.bundle()) else {
                panic!()
            };
            let contents = [held.certificate.der(), held.authorities.as_bytes()].map(<[u8]>::to_vec);
            assert!(contents.iter().all(|content| !content.is_empty()));
            *world.found(Leaf::Broker) = Found::Held(Held { fits: false, ..held });
        }),
        ("over", &|world| {
            let slots = world.dated().slots.clone();
            let past = at(0) - 40 * DAY;
            *world.found(Leaf::Broker) = issued(slots.signer().unwrap(), Leaf::Broker, past, &slots.bundle());
        }),
        ("not yet valid", &|world| {
            let slots = world.dated().slots.clone();
            *world.found(Leaf::Broker) = issued(slots.signer().unwrap(), Leaf::Broker, at(9), &slots.bundle());
        }),
        ("past its half", &|world| {
            let slots = world.dated().slots.clone();
            let past = at(0) - 16 * DAY;
            *world.found(Leaf::Broker) = issued(slots.signer().unwrap(), Leaf::Broker, past, &slots.bundle());
        }),
    ];
    for (what, change) in changes {
        let mut world = World::settled(at(0));
        change(&mut world);
        assert_eq!(world.work(), [Step::Issue(Leaf::Broker)], "{what}");
    }
}

#[test]
fn an_authority_that_is_over_is_replaced_at_once_and_by_the_next_one_where_there_is_one() {
    let mut world = World::settled(at(0));
    world.now = at(400);
    assert_eq!(world.due()[0], Step::Replace);
    let done = world.work();
    assert_eq!(done, [vec![Step::Replace, Step::WriteHooks], issue_all(), vec![Step::StampReissued]].concat());
    assert!(world.next().starts_with(&[Step::Retire]));

    let mut world = World::settled(at(0));
    world.dated().rotate = true;
    world.carry_out(Step::Prepare);
    world.seen.spread = false;
    // Both were made on one day; a little later only the next one is good.
    let next = made(200);
    let slots = world.dated().slots.clone().prepared(next.clone());
    world.dated().slots = slots;
    world.now = at(400);
    assert_eq!(world.due()[0], Step::Activate);
    world.work();
    assert_eq!(world.dated().slots.signer(), Some(&next));

    // A prepared one that is over itself is made anew first.
    let mut world = World::settled(at(0));
    let slots = world.dated().slots.clone().prepared(made(0));
    world.dated().slots = slots;
    world.now = at(400);
    assert_eq!(world.due()[0], Step::Prepare);
    let done = world.work();
    assert!(done.starts_with(&[Step::Prepare, Step::Activate]), "{done:?}");
}

#[test]
fn an_authority_of_a_clock_that_was_far_ahead_is_replaced() {
    let mut world = World::settled(at(100));
    world.now = at(0);
    let done = world.work();
    assert_eq!(done, [vec![Step::Replace, Step::WriteHooks], issue_all(), vec![Step::StampReissued]].concat());
}

#[test]
fn a_clock_that_is_an_hour_off_changes_nothing() {
    for now in [at(0) - HOUR, at(0) + HOUR] {
        let mut world = World::settled(at(0));
        world.now = now;
        assert_eq!(world.due(), [], "{now:?}");
    }
}

#[test]
fn what_cannot_be_used_is_not_overwritten_and_nothing_is_issued() {
    let mut world = World::settled(at(0));
    world.seen.authority = Authority::Unusable;
    *world.found(Leaf::Broker) = Found::Missing;
    assert_eq!(world.plan(), Plan { due: vec![], next: None });
}

#[test]
fn edited_bundles_are_written_again() {
    let mut world = World::settled(at(0));
    world.seen.hooks = Hooks::Held(false);
    for leaf in LEAVES {
        let Found::Held(held) = world.found(leaf) else { panic!() };
        held.authorities.push_str("# by hand");
    }
    assert_eq!(world.work(), tell_all());
}

#[test]
fn what_is_somebody_elses_is_left_alone() {
    let mut world = World::settled(at(0));
    *world.found(Leaf::Webhook) = Found::Foreign { secret_type: "Opaque".to_owned() };
    assert_eq!(world.due(), []);
}

#[test]
fn an_active_slot_without_a_key_gets_a_next_one_before_anything_else() {
    let mut world = World::settled(at(0));
    let lost = world.dated().slots.active.certificates().to_vec();
    world.write(Dated::new(Slots { active: Active::Orphaned(lost), other: Other::Empty }));
    *world.found(Leaf::Broker) = Found::Missing;
    assert_eq!(world.due(), [Step::Prepare]);
    let done = world.work();
    assert!(done.starts_with(&[Step::Prepare, Step::WriteHooks]), "{done:?}");
    assert!(done.contains(&Step::Issue(Leaf::Broker)));
}

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::*;
use crate::certificates::issue;

const DAY: Duration = Duration::from_hours(24);

fn made(day: u32) -> Signer {
    issue::authority(at(day), 365 * DAY).unwrap()
}

fn at(day: u32) -> SystemTime {
    UNIX_EPOCH + (20_000 + day) * DAY
}

fn data(slots: &Slots) -> Data {
    slots.render().into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn keys(slots: &Slots) -> Vec<&'static str> {
    slots.render().into_keys().collect()
}

#[test]
fn a_rotation_goes_through_its_slots_and_every_state_is_read_back() {
    let (old, new) = (made(0), made(1));
    let single = Slots::new(old.clone());
    let prepared = single.clone().prepared(new.clone());
    let activated = prepared.clone().activated();
    let forgotten = activated.clone().forgotten();
    let orphaned = Slots { active: Active::Orphaned(vec![old.certificate.clone()]), other: Other::Empty };
    for (slots, expected) in [
        (&single, &["active.crt", "active.key"][..]),
        (&prepared, &["active.crt", "active.key", "next.crt", "next.key"]),
        (&activated, &["active.crt", "active.key", "retired.crt"]),
        (&forgotten, &["active.crt", "active.key"]),
        (&orphaned, &["active.crt"]),
        (&orphaned.clone().prepared(new.clone()), &["active.crt", "next.crt", "next.key"]),
    ] {
        assert_eq!(keys(slots), expected);
        assert_eq!(Slots::read(&data(slots)).as_ref(), Ok(slots));
    }
    assert_eq!(activated.other, Other::Retired(vec![old.certificate]));
    assert_eq!(activated.signer(), Some(&new));
    assert_eq!(orphaned.signer(), None);
    assert_eq!(orphaned.prepared(new.clone()).signer(), Some(&new));
}

#[test]
fn what_is_trusted_stays_the_same_when_the_prepared_one_is_activated() {
    let (old, new) = (made(0), made(1));
    let prepared = Slots::new(old.clone()).prepared(new.clone());
    assert_eq!(prepared.bundle(), prepared.clone().activated().bundle());
    assert_eq!(prepared.bundle(), Slots::new(new.clone()).prepared(old).bundle());
    assert_eq!(prepared.bundle().as_str().matches("BEGIN").count(), 2);
    let twice = Slots { active: Active::Orphaned(vec![new.certificate.clone()]), other: Other::Next(new) };
    assert_eq!(twice.bundle().as_str().matches("BEGIN").count(), 1);
    assert!(!twice.bundle().as_str().contains("KEY"));
}

#[test]
fn the_one_in_use_vouches_and_a_lost_one_as_long_as_nothing_else_can() {
    let (old, new) = (made(0), made(1));
    let who = issue::Identity { role: "broker", uri: "spiffe://x/keyward/broker".to_owned(), dns: Vec::new() };
    let leaf = |signer: &Signer| {
        let issued = issue::leaf(signer, &who, at(2), DAY).unwrap();
        Certificate::read_all(issued.certificate.as_bytes()).unwrap().remove(0)
    };
    let (by_old, by_new) = (leaf(&old), leaf(&new));
    let vouches = |slots: &Slots| (slots.vouches_for(&by_old), slots.vouches_for(&by_new));
    let prepared = Slots::new(old.clone()).prepared(new.clone());
    assert_eq!(vouches(&prepared), (true, false));
    assert_eq!(vouches(&prepared.activated()), (false, true));
    let orphaned = Slots { active: Active::Orphaned(vec![old.certificate]), other: Other::Next(new) };
    assert_eq!(vouches(&orphaned), (true, true));
}

#[test]
fn a_lost_key_leaves_the_other_slot_free() {
    let (old, older, new) = (made(1), made(0), made(2));
    let mut lost = data(&Slots::new(older.clone()).prepared(old.clone()).activated());
    lost.remove("active.key");
    let slots = Slots::read(&lost).unwrap();
    assert_eq!(slots.active, Active::Orphaned(vec![old.certificate, older.certificate]));
    assert_eq!(slots.other, Other::Empty);
    let activated = slots.prepared(new).activated();
    assert!(matches!(&activated.other, Other::Retired(retired) if retired.len() == 2));
}

#[test]
fn what_cannot_be_used_is_named_and_never_shown() {
    let (one, two) = (made(0), made(1));
    let whole = data(&Slots::new(one.clone()).prepared(two.clone()));
    let activated = data(&Slots::new(one).prepared(two.clone()).activated());
    let without = |name: &str| {
        let mut data = whole.clone();
        data.remove(name);
        data
    };
    let with = |name: &str, content: &SecretBytes| {
        let mut data = whole.clone();
        data.insert(name.to_owned(), content.clone());
        data
    };
    let canary = SecretBytes::from("kwcanary");
    let leaf = issue::Identity { role: "broker", uri: "spiffe://x/keyward/broker".to_owned(), dns: Vec::new() };
    let leaf = SecretBytes::from(issue::leaf(&two, &leaf, at(2), DAY).unwrap().certificate.as_str());
    for (data, said) in [
        (Data::new(), "it lacks active.crt"),
        (without("active.crt"), "it lacks active.crt"),
        (without("next.key"), "it lacks next.key"),
        (without("next.crt"), "it lacks next.crt"),
        (with("active.crt", &canary), "active.crt holds no certificate of an authority in PEM"),
        (with("next.crt", &leaf), "next.crt holds no certificate of an authority in PEM"),
        (with("active.key", &canary), "active.key is not the private key (ECDSA P-256, PKCS#8 in PEM) of active.crt"),
        (with("active.key", &two.key), "active.key is not the private key (ECDSA P-256, PKCS#8 in PEM) of active.crt"),
        (with("retired.crt", &activated["retired.crt"]), "it holds both next.crt and retired.crt"),
    ] {
        let error = Slots::read(&data).unwrap_err();
        assert!(error.to_string() == said, "{error}");
        assert!(!format!("{error:?}").contains("canary"));
    }
}

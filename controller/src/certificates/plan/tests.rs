//! A cluster in memory: what a step would write is what is found next.

mod healing;
mod rotation;

use std::{collections::BTreeMap, time::Duration};

use keyward_types::SecretBytes;

use super::*;
use crate::certificates::seen::Phase;
use crate::certificates::{
    issue::{self, Identity},
    leaf::KEYS,
    slots::{Signer, Slots},
};

const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);
const LIFETIMES: Lifetimes =
    Lifetimes { authority: Duration::from_hours(24 * 364), leaf: Duration::from_hours(24 * 28), overlap: HOUR };
const LEAVES: [Leaf; 3] = [Leaf::Controller, Leaf::Broker, Leaf::Webhook];

/// What happens to it, by name.
type Change<'a> = (&'static str, &'a dyn Fn(&mut World));

struct World {
    seen: Seen,
    now: SystemTime,
}

fn at(days: u32) -> SystemTime {
    SystemTime::UNIX_EPOCH + (20_000 + days) * DAY
}

fn identity(leaf: Leaf) -> Identity {
    let dns = if leaf == Leaf::Controller { vec![] } else { vec![leaf.as_str().to_owned()] };
    Identity { role: leaf.as_str(), uri: leaf.role().uri("example.org"), dns }
}

fn made(days: u32) -> Signer {
    issue::authority(at(days), LIFETIMES.authority).unwrap()
}

/// One that `signer` has issued, to whom `bundle` was given.
fn issued(signer: &Signer, leaf: Leaf, now: SystemTime, bundle: &Bundle) -> Found {
    let issued = issue::leaf(signer, &identity(leaf), now, LIFETIMES.leaf).unwrap();
    let contents = [SecretBytes::from(issued.certificate), issued.key, bundle.as_str().into()];
    let data: BTreeMap<_, _> = KEYS.map(str::to_owned).into_iter().zip(contents).collect();
    Found::of_data(&data, &identity(leaf))
}

impl World {
    /// Nothing has been installed.
    fn empty(now: SystemTime) -> Self {
        let leaves = LEAVES.map(|leaf| (leaf, Found::Missing)).into();
        let authority = Authority::Missing { remembered: None };
        Self { seen: Seen { authority, leaves, hooks: Hooks::Absent, spread: true }, now }
    }

    /// As it is when everything was made at `now`.
    fn settled(now: SystemTime) -> Self {
        let mut world = Self::empty(now);
        world.seen.hooks = Hooks::Held(false);
        world.work();
        world
    }

    fn plan(&self) -> Plan {
        plan(&self.seen, &LIFETIMES, self.now)
    }

    fn due(&self) -> Vec<Step> {
        self.plan().due
    }

    fn dated(&mut self) -> &mut Dated {
        match &mut self.seen.authority {
            Authority::Held(dated) => dated,
            other => panic!("{other:?}"),
        }
    }

    fn found(&mut self, leaf: Leaf) -> &mut Found {
        &mut self.seen.leaves.iter_mut().find(|(of, _)| *of == leaf).unwrap().1
    }

    /// Does whatever is due, and tells what that was.
    fn work(&mut self) -> Vec<Step> {
        let mut done = Vec::new();
        while let Some(step) = self.due().first().copied() {
            assert!(done.len() < 30, "{done:?}");
            self.carry_out(step);
            done.push(step);
        }
        done
    }

    /// The same, having waited for the next time that something is due.
    fn next(&mut self) -> Vec<Step> {
        self.now = self.plan().next.unwrap();
        self.work()
    }

    fn carry_out(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::MakeAuthority => self.write(Dated::first(Vec::new(), now, LIFETIMES.authority).unwrap()),
            Step::Recover => self.write(Dated::first(lost(&self.seen, now), now, LIFETIMES.authority).unwrap()),
            Step::Restore => {
                let Authority::Missing { remembered } = &self.seen.authority else { panic!() };
                self.write(remembered.clone().unwrap());
            }
            Step::WriteHooks => self.seen.hooks = Hooks::Held(true),
            Step::Issue(leaf) => {
                let slots = self.dated().slots.clone();
                *self.found(leaf) = issued(slots.signer().unwrap(), leaf, now, &slots.bundle());
            }
            Step::WriteBundle(leaf) => {
                let bundle = self.dated().slots.bundle();
                let Found::Held(held) = self.found(leaf) else { panic!() };
                held.authorities = bundle.as_str().to_owned();
            }
            step => {
                let after = self.dated().after(step, now, LIFETIMES.authority).unwrap().unwrap();
                self.write(after);
            }
        }
    }

    fn write(&mut self, dated: Dated) {
        let before =
            if let Authority::Held(before) = &self.seen.authority { Some(before.slots.bundle()) } else { None };
        if self.seen.hooks == Hooks::Held(true) && before != Some(dated.slots.bundle()) {
            self.seen.hooks = Hooks::Held(false);
        }
        self.seen.authority = Authority::Held(dated);
    }
}

fn issue_all() -> Vec<Step> {
    LEAVES.map(Step::Issue).into()
}

fn tell_all() -> Vec<Step> {
    [Step::WriteHooks].into_iter().chain(LEAVES.map(Step::WriteBundle)).collect()
}

//! What was found, and the time → what to do next. Pure.
//!
//! A rotation: prepare, publish, wait, activate, reissue, wait, retire. What is published everywhere is a fact that is
//! looked at, and only then does the clock run. Whatever is due is said in the order of its urgency, so that one thing
//! that cannot be done now stops only what depends on it.

use std::time::SystemTime;

use super::{
    certificate::Certificate,
    leaf::{Found, Held, Leaf},
    seen::{Authority, Dated, Hooks, Seen},
    settings::Lifetimes,
    slots::{Active, Other},
};
use crate::authority::Bundle;

/// How much of its life an authority may be in use for while the next one is not known everywhere.
const PATIENCE: f64 = 0.75;

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// There is no authority, and nothing to go by.
    MakeAuthority,
    /// Its Secret was deleted: write what was in it.
    Restore,
    /// Its Secret was lost: a new one, prepared beside the certificates that are still in use.
    Recover,
    /// The active one is not valid: another at once.
    Replace,
    /// A rotation begins.
    Prepare,
    /// One is asked for that is under way.
    TakeUp,
    /// The next one is known everywhere.
    StampPublished,
    /// The next one signs from now on.
    Activate,
    /// Nothing is left of the retired one.
    StampReissued,
    /// The retired one is forgotten.
    Retire,
    /// Everybody trusts another bundle.
    WriteHooks,
    /// The same for the owner of a certificate.
    WriteBundle(Leaf),
    /// A certificate is missing, ends, or is not what it should be.
    Issue(Leaf),
}

/// What is due, the most urgent first, and when to think again where nothing else happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) due: Vec<Step>,
    pub(super) next: Option<SystemTime>,
}

pub(super) fn plan(seen: &Seen, lifetimes: &Lifetimes, now: SystemTime) -> Plan {
    match &seen.authority {
        Authority::Unusable => Plan { due: Vec::new(), next: None },
        Authority::Missing { remembered: Some(_) } => Plan { due: vec![Step::Restore], next: None },
        Authority::Missing { .. } if lost(seen, now).is_empty() => Plan { due: vec![Step::MakeAuthority], next: None },
        Authority::Missing { .. } => Plan { due: vec![Step::Recover], next: None },
        Authority::Held(dated) => View { dated, seen, lifetimes, now, bundle: dated.slots.bundle() }.plan(),
    }
}

/// What those whose certificates are still good were told to trust.
pub(super) fn lost(seen: &Seen, now: SystemTime) -> Vec<Certificate> {
    let mut lost: Vec<_> = seen.leaves.iter().flat_map(|(_, found)| found.trusted(now)).collect();
    lost.sort_by(|one, other| one.age().cmp(&other.age()));
    lost.dedup();
    lost
}

/// Everything that a decision is made from.
struct View<'a> {
    dated: &'a Dated,
    seen: &'a Seen,
    lifetimes: &'a Lifetimes,
    now: SystemTime,
    bundle: Bundle,
}

impl View<'_> {
    fn plan(&self) -> Plan {
        let mut due: Vec<Step> = self.authority().into_iter().collect();
        if self.seen.hooks == Hooks::Held(false) {
            due.push(Step::WriteHooks);
        }
        due.extend(self.seen.leaves.iter().filter_map(|(leaf, found)| self.leaf(*leaf, found)));
        Plan { due, next: self.next() }
    }

    /// What is to be done to the authority's Secret.
    fn authority(&self) -> Option<Step> {
        let Dated { slots, published, reissued, rotate } = self.dated;
        let holds = slots.active.certificates().iter().any(|authority| authority.holds(self.now));
        match &slots.other {
            Other::Next(next) if !next.certificate.holds(self.now) => Some(Step::Prepare),
            Other::Next(_) if !holds => Some(Step::Activate),
            _ if !holds => Some(Step::Replace),
            Other::Next(_) if *rotate => Some(Step::TakeUp),
            Other::Next(_) if !self.is_published() && self.now < self.patience() => None,
            Other::Next(_) if !self.is_past(*published) => Some(Step::StampPublished),
            Other::Next(_) => self.is_over(*published).then_some(Step::Activate),
            Other::Empty if *rotate || self.now >= self.rotation() => Some(Step::Prepare),
            Other::Empty => None,
            Other::Retired(_) if !self.is_reissued() => None,
            Other::Retired(_) if !self.is_past(*reissued) => Some(Step::StampReissued),
            Other::Retired(_) => self.is_over(*reissued).then_some(Step::Retire),
        }
    }

    fn leaf(&self, leaf: Leaf, found: &Found) -> Option<Step> {
        match found {
            Found::Unread | Found::Foreign { .. } => None,
            // Nothing can be issued before the next step has made what signs.
            _ if self.dated.slots.signer().is_none() => None,
            Found::Missing | Found::Broken => Some(Step::Issue(leaf)),
            Found::Held(held) if !self.is_good(held) || self.is_to_be_renewed(held) => Some(Step::Issue(leaf)),
            Found::Held(held) if !self.is_told(held) => Some(Step::WriteBundle(leaf)),
            Found::Held(_) => None,
        }
    }

    fn is_good(&self, held: &Held) -> bool {
        held.fits && held.certificate.holds(self.now) && self.dated.slots.vouches_for(&held.certificate)
    }

    fn is_to_be_renewed(&self, held: &Held) -> bool {
        self.renewal(held).is_some_and(|renewal| self.now >= renewal)
    }

    /// When a certificate is to be renewed; `None` where another would last no longer, or nobody would know its signer.
    fn renewal(&self, held: &Held) -> Option<SystemTime> {
        let Active::Signs(signer) = &self.dated.slots.active else { return None };
        (held.certificate.not_after() < signer.certificate.not_after()).then(|| held.certificate.renewal())
    }

    fn is_told(&self, held: &Held) -> bool {
        held.authorities == self.bundle.as_str()
    }

    /// Whether all whom we can tell know the bundle.
    fn is_published(&self) -> bool {
        let leaves = self.seen.leaves.iter().all(|(_, found)| match found {
            Found::Held(held) => self.is_told(held),
            Found::Foreign { .. } => true,
            Found::Unread | Found::Missing | Found::Broken => false,
        });
        leaves && self.seen.spread && matches!(self.seen.hooks, Hooks::Absent | Hooks::Held(true))
    }

    /// Whether nothing that we have issued is the retired one's.
    fn is_reissued(&self) -> bool {
        self.seen.leaves.iter().all(|(_, found)| match found {
            Found::Held(held) => self.is_good(held),
            Found::Foreign { .. } => true,
            Found::Unread | Found::Missing | Found::Broken => false,
        })
    }

    /// A stamp from the future was written by a clock that was wrong.
    fn is_past(&self, stamp: Option<SystemTime>) -> bool {
        stamp.is_some_and(|stamp| stamp <= self.now)
    }

    fn is_over(&self, stamp: Option<SystemTime>) -> bool {
        stamp.is_some_and(|stamp| stamp + self.lifetimes.overlap <= self.now)
    }

    /// When a rotation is to begin.
    fn rotation(&self) -> SystemTime {
        match &self.dated.slots.active {
            Active::Signs(signer) => signer.certificate.after(0.5),
            Active::Orphaned(_) => self.now,
        }
    }

    /// When who still does not know the next one is not waited for any more: others would lose theirs.
    fn patience(&self) -> SystemTime {
        match &self.dated.slots.active {
            Active::Signs(signer) => signer.certificate.after(PATIENCE),
            Active::Orphaned(lost) => {
                let held = self.seen.leaves.iter().filter_map(|(_, found)| found.held());
                let ends = held.map(|held| &held.certificate).chain(lost).map(|ending| ending.after(PATIENCE));
                ends.min().unwrap_or(self.now)
            }
        }
    }

    /// When time alone will have changed what is due.
    fn next(&self) -> Option<SystemTime> {
        let Dated { slots, published, reissued, .. } = self.dated;
        let overlap = |stamp: &Option<SystemTime>| stamp.map(|stamp| stamp + self.lifetimes.overlap);
        let mut times: Vec<SystemTime> = slots.active.certificates().iter().map(Certificate::not_after).collect();
        match &slots.other {
            Other::Empty => times.push(self.rotation()),
            Other::Next(_) => times.extend(overlap(published).into_iter().chain([self.patience()])),
            Other::Retired(_) => times.extend(overlap(reissued)),
        }
        for held in self.seen.leaves.iter().filter_map(|(_, found)| found.held()) {
            times.push(held.certificate.not_after());
            times.extend(self.renewal(held));
        }
        times.into_iter().filter(|time| *time > self.now).min()
    }
}

#[cfg(test)]
mod tests;

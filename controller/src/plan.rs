//! There should be, there is: what to do about one object, or why not. Pure; nothing of a value is ever in a refusal.
//!
//! The rules: what is not ours is never touched, unless the `AzureKeyVaultSecret` says `keyward.dev/adopt`. Several of
//! them may fill one object, each with keys of its own; a key is not taken from another. What somebody else changed of
//! ours is set right.

mod observed;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub use self::observed::Observed;
use crate::{
    desired::{Desired, OPAQUE},
    fields::{self, Part},
    target::TargetKind,
};

/// On whose behalf.
#[derive(Clone, Copy, Debug)]
pub struct Me<'a> {
    /// Its UID.
    pub uid: &'a str,
    /// Since when it exists.
    pub created: Option<&'a Time>,
    /// Whether it may take over what exists.
    pub adopts: bool,
}

/// What is known of another `AzureKeyVaultSecret` that has a part in the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Namespace and name.
    pub shown: String,
    /// Since when it exists.
    pub created: Option<Time>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// It is as it should be.
    Keep,
    /// It does not exist: apply, and make sure afterwards that it did not come into being meanwhile.
    Create,
    /// It is not as it should be, or other people's updates own some of it too: apply, and make it ours alone.
    Apply {
        /// Whether what others than our own hold is taken from them.
        force: bool,
        /// What was looked at: anything newer is looked at again first.
        resource_version: String,
        /// UIDs of `AzureKeyVaultSecret`s that are gone: afterwards their parts are taken out.
        evict: Vec<String>,
    },
    /// Its type is another, which the API lets nobody change: delete it and make it anew, with whatever is not of this one.
    Recreate,
    /// It is on its way out: look again when it is gone.
    Wait,
    /// Nothing may be done.
    Refuse(Refusal),
}

/// Why nothing may be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It was there before, and is somebody else's.
    #[error(
        "{target} exists and was not made for this AzureKeyVaultSecret; choose another name, delete it, or set the \
         annotation keyward.dev/adopt: \"true\" to take it over"
    )]
    NotOwned {
        /// Kind, namespace and name.
        target: String,
    },
    /// It holds the key already, and somebody else wrote it.
    #[error(
        "key `{key}` of {target} was written by somebody else; choose another key, remove it, or set the annotation \
         keyward.dev/adopt: \"true\" to take it over"
    )]
    ForeignKey {
        /// Kind, namespace and name.
        target: String,
        /// The key.
        key: String,
    },
    /// Its type would have to change, and with it keys would be lost that are not ours.
    #[error(
        "{target} has type {found} and not {wanted}, and holds keys that are not of this AzureKeyVaultSecret ({keys}); \
         move them elsewhere, or choose another name"
    )]
    ForeignKeys {
        /// Kind, namespace and name.
        target: String,
        /// The type it has.
        found: String,
        /// The type it should have.
        wanted: String,
        /// The keys.
        keys: String,
    },
    /// Another `AzureKeyVaultSecret` writes the key.
    #[error("key `{key}` of {target} is written by AzureKeyVaultSecret {other}; choose another key or another name")]
    Key {
        /// Kind, namespace and name.
        target: String,
        /// The key.
        key: String,
        /// Who writes it.
        other: String,
        /// Whether this one has written it too, which it must give up.
        give_up: bool,
    },
    /// Another `AzureKeyVaultSecret` wants another type.
    #[error(
        "{target} has type {found}, as AzureKeyVaultSecret {other} wants it, and not {wanted}; choose another name"
    )]
    Type {
        /// Kind, namespace and name.
        target: String,
        /// The type it has.
        found: String,
        /// The type it should have.
        wanted: String,
        /// Who wants it otherwise.
        other: String,
    },
}

/// Decides. `peer` tells of the `AzureKeyVaultSecret` with a UID, if there is one.
pub fn plan(me: &Me<'_>, desired: &Desired, observed: Option<&Observed>, peer: &dyn Fn(&str) -> Option<Peer>) -> Plan {
    let Some(observed) = observed else { return Plan::Create };
    if observed.deleting {
        return Plan::Wait;
    }
    Case { me, desired, observed, peer }.decide()
}

struct Case<'a> {
    me: &'a Me<'a>,
    desired: &'a Desired,
    observed: &'a Observed,
    peer: &'a dyn Fn(&str) -> Option<Peer>,
}

impl Case<'_> {
    fn decide(&self) -> Plan {
        let owned = self.observed.owners.contains(self.me.uid) || self.mine().is_some();
        let evict: Vec<String> = self.vanished().map(str::to_owned).collect();
        // What was made for one that is gone was made by us.
        let joins = self.others().next().is_some() || !evict.is_empty();
        if !owned && !self.me.adopts && !joins {
            return Plan::Refuse(Refusal::NotOwned { target: self.desired.target.to_string() });
        }
        let refused = self.contested_key().or_else(|| self.foreign_key(owned)).or_else(|| self.other_type());
        if let Some(plan) = refused {
            return plan;
        }
        if evict.is_empty() && self.is_as_desired() {
            return Plan::Keep;
        }
        Plan::Apply {
            force: owned || self.me.adopts || !evict.is_empty(),
            resource_version: self.observed.resource_version.clone(),
            evict,
        }
    }

    /// This one's own part, unless there is nothing in it.
    fn mine(&self) -> Option<&Part> {
        self.observed.parts.iter().find(|part| part.uid() == Some(self.me.uid)).filter(|part| !part.is_given_up())
    }

    /// The parts of `AzureKeyVaultSecret`s other than this one, with their UIDs.
    fn all_others(&self) -> impl Iterator<Item = (&str, &Part)> {
        let parts = self.observed.parts.iter().filter(|part| !part.is_given_up());
        parts.filter_map(|part| Some((part.uid()?, part))).filter(|(uid, _)| *uid != self.me.uid)
    }

    /// Those that are there.
    fn others(&self) -> impl Iterator<Item = (&str, &Part, Peer)> {
        self.all_others().filter_map(|(uid, part)| Some((uid, part, (self.peer)(uid)?)))
    }

    /// The UIDs of those that are gone.
    fn vanished(&self) -> impl Iterator<Item = &str> {
        self.all_others().map(|(uid, _)| uid).filter(|uid| (self.peer)(uid).is_none())
    }

    /// A key that another one holds. If both do, having written the same value, the younger one gives it up.
    fn contested_key(&self) -> Option<Plan> {
        for (uid, part, peer) in self.others() {
            let Some(key) = self.desired.data.keys().find(|key| part.data.contains(*key)) else { continue };
            let both = self.mine().is_some_and(|mine| mine.data.contains(key));
            let older = match (self.me.created, peer.created.as_ref()) {
                (Some(mine), Some(theirs)) if mine != theirs => mine < theirs,
                _ => self.me.uid < uid,
            };
            if !(both && older) {
                let target = self.desired.target.to_string();
                let refusal = Refusal::Key { target, key: key.clone(), other: peer.shown, give_up: both };
                return Some(Plan::Refuse(refusal));
            }
        }
        None
    }

    /// A key that somebody wrote who is none of ours, in an object that this one has no part in yet.
    fn foreign_key(&self, owned: bool) -> Option<Plan> {
        if owned || self.me.adopts {
            return None;
        }
        let is_ours = |key: &String| self.all_others().any(|(_, part)| part.data.contains(key));
        let key = self.desired.data.keys().find(|key| self.observed.data.contains_key(*key) && !is_ours(key))?;
        let target = self.desired.target.to_string();
        Some(Plan::Refuse(Refusal::ForeignKey { target, key: key.clone() }))
    }

    /// A type that is not the one wanted.
    fn other_type(&self) -> Option<Plan> {
        if self.desired.target.kind != TargetKind::Secret {
            return None;
        }
        let found = self.observed.secret_type.as_deref().unwrap_or(OPAQUE);
        let is_mine = |part: &Part| part.uid() == Some(self.me.uid);
        let wanted = match self.desired.secret_type.as_deref() {
            Some(wanted) => wanted,
            // Whoever names no type takes any, unless it was this one that once named it.
            None if self.observed.parts.iter().any(|part| part.owns_type && !is_mine(part)) => found,
            None => OPAQUE,
        };
        if found == wanted {
            return None;
        }
        let (target, found, wanted) = (self.desired.target.to_string(), found.to_owned(), wanted.to_owned());
        if let Some((_, _, peer)) = self.others().find(|(_, part, _)| part.owns_type) {
            return Some(Plan::Refuse(Refusal::Type { target, found, wanted, other: peer.shown }));
        }
        let foreign = self.foreign_keys();
        if !foreign.is_empty() {
            return Some(Plan::Refuse(Refusal::ForeignKeys { target, found, wanted, keys: foreign.join(", ") }));
        }
        Some(Plan::Recreate)
    }

    /// Keys that no `AzureKeyVaultSecret` wrote.
    fn foreign_keys(&self) -> Vec<&str> {
        let ours = |key: &&String| {
            self.desired.data.contains_key(*key)
                || self.observed.parts.iter().any(|part| part.uid().is_some() && part.data.contains(*key))
        };
        self.observed.data.keys().filter(|key| !ours(key)).map(String::as_str).collect()
    }

    fn is_as_desired(&self) -> bool {
        let (desired, observed) = (self.desired, self.observed);
        let Some(mine) = self.mine() else { return false };
        let holds = |all: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>| {
            wanted.iter().all(|(key, value)| all.get(key) == Some(value))
        };
        desired.data.iter().all(|(key, value)| observed.data.get(key).is_some_and(|found| found == value))
            && mine.data.iter().eq(desired.data.keys())
            && observed.owners.contains(self.me.uid)
            && mine.owners.contains(self.me.uid)
            && holds(&observed.labels, &desired.labels)
            && mine.labels.iter().eq(desired.labels.keys())
            && holds(&observed.annotations, &desired.annotations)
            && mine.annotations.iter().eq(desired.annotations.keys())
            && mine.owns_type == desired.secret_type.is_some()
            && !fields::is_shared_with_updates(&observed.parts, mine)
    }
}

#[cfg(test)]
mod tests;

//! What was found at one look, and where a rotation is. Pure.

use std::time::SystemTime;

use super::{
    leaf::{Found, Leaf},
    slots::{Other, Slots},
};

/// What was found.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) authority: Authority,
    /// Of each certificate that there is to be.
    pub(super) leaves: Vec<(Leaf, Found)>,
    pub(super) hooks: Hooks,
    /// Whether every namespace that is ours to serve has the bundle.
    pub(super) spread: bool,
}

/// The authority's Secret.
#[derive(Clone, Debug)]
pub(super) enum Authority {
    /// It does not exist. This leader may still know what was in it.
    Missing {
        /// What that was.
        remembered: Option<Dated>,
    },
    /// It exists, and is never overwritten.
    Unusable,
    /// As it is.
    Held(Dated),
}

/// The slots, and when what happened to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dated {
    pub(super) slots: Slots,
    /// When the next one was known everywhere.
    pub(super) published: Option<SystemTime>,
    /// When nothing was left that the retired one has signed.
    pub(super) reissued: Option<SystemTime>,
    /// Whether somebody asks for a rotation.
    pub(super) rotate: bool,
}

/// The `MutatingWebhookConfiguration`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hooks {
    /// There is none, or none is wanted.
    Absent,
    /// It could not be read now.
    Unread,
    /// Whether all of it trusts the bundle.
    Held(bool),
}

/// Where a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// There is no authority that could be used.
    None,
    /// There is no rotation.
    Settled,
    /// The next one is being published.
    Publishing,
    /// The next one is known everywhere, and waits.
    Published,
    /// Certificates are being issued anew.
    Reissuing,
    /// The retired one is trusted for a while.
    Retiring,
}

impl Phase {
    /// Every one.
    pub const ALL: [Self; 6] =
        [Self::None, Self::Settled, Self::Publishing, Self::Published, Self::Reissuing, Self::Retiring];

    /// As metrics say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Settled => "settled",
            Self::Publishing => "publishing",
            Self::Published => "published",
            Self::Reissuing => "reissuing",
            Self::Retiring => "retiring",
        }
    }

    pub(super) fn of(authority: &Authority) -> Self {
        let Authority::Held(Dated { slots, published, reissued, .. }) = authority else { return Self::None };
        match (&slots.other, published, reissued) {
            (Other::Empty, ..) => Self::Settled,
            (Other::Next(_), None, _) => Self::Publishing,
            (Other::Next(_), Some(_), _) => Self::Published,
            (Other::Retired(_), _, None) => Self::Reissuing,
            (Other::Retired(_), _, Some(_)) => Self::Retiring,
        }
    }
}

//! Why a bound token has nothing to be had.

use std::fmt;

use keyward_types::Reference;

use super::redemptions::Unreachable;
use crate::{authn::Caller, cluster::pods::PodError};

/// References named in one message.
const NAMED: usize = 5;

/// Who asked from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pod: String,
    container: Option<String>,
}

/// Why. Each text says who can do what about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The pod has no such container.
    #[error("{0}: the pod has no such container")]
    NoContainer(Place),
    /// The pod's launchers know their containers, and this one does not say.
    #[error(
        "{0}: the pod's launchers are told their container's name (KEYWARD_CONTAINER), and this request names none: the \
         launcher is older than the webhook, or the variable was taken from it"
    )]
    Unnamed(Place),
    /// The container does not carry what it asks for.
    #[error(
        "{at} does not carry {}: neither a variable of it in the pod says so, nor did the webhook find it when the pod was \
         created; a ConfigMap that was edited or created later needs a new pod", named(.lacking)
    )]
    NotCarried {
        /// Who.
        at: Place,
        /// Those.
        lacking: Vec<Reference>,
    },
    /// No such pod, or another one by now.
    #[error("{0} is gone, and its token with it")]
    Gone(Place),
    /// Nothing of the pod will ever start again.
    #[error("{0} has ended, and its token with it")]
    Ended(Place),
    /// This start of the container has been given its values.
    #[error(
        "{0} was given its values when it started, and has not been started again since: its token was used once more. \
         If this was no launcher run by hand, find out who has the token"
    )]
    Replayed(Place),
    /// The same, or its restart does not show in the pod's status yet.
    #[error(
        "{0} was given its values when it started, and its pod does not show that it has been started again; try again"
    )]
    RestartUnseen(Place),
    /// It is not known what the pod is.
    #[error("{at} cannot be looked at now: {source}; try again")]
    Unreadable {
        /// Who.
        at: Place,
        /// Why.
        source: PodError,
    },
    /// It is not known what was recorded.
    #[error("{at}: {source}; try again")]
    NoRecords {
        /// Who.
        at: Place,
        /// Why.
        source: Unreachable,
    },
}

impl Place {
    /// Of a caller, and the container it says to be.
    pub(super) fn of(caller: &Caller, container: Option<&str>) -> Self {
        let pod = format!("{}/{}", caller.namespace, caller.pod_name);
        Self { pod, container: container.map(str::to_owned) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.container {
            Some(container) => write!(f, "container {container} of pod {}", self.pod),
            None => write!(f, "pod {}", self.pod),
        }
    }
}

impl Refusal {
    /// What it comes to.
    pub fn reason(&self) -> Reason {
        match self {
            Self::NoContainer(_) => Reason::NoContainer,
            Self::Unnamed(_) => Reason::NoName,
            Self::NotCarried { .. } => Reason::NotCarried,
            Self::Gone(_) => Reason::Gone,
            Self::Ended(_) => Reason::Ended,
            Self::Replayed(_) => Reason::Replayed,
            Self::RestartUnseen(_) => Reason::RestartUnseen,
            Self::Unreadable { .. } => Reason::Unreadable,
            Self::NoRecords { .. } => Reason::NoRecords,
        }
    }

    /// The first reference at fault, where it is about references.
    pub fn reference(&self) -> Option<&Reference> {
        if let Self::NotCarried { lacking, .. } = self { lacking.first() } else { None }
    }
}

/// The kinds of refusals, for metrics and audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is a refusal's name")]
pub enum Reason {
    NoContainer,
    NoName,
    NotCarried,
    Gone,
    Ended,
    Replayed,
    RestartUnseen,
    Unreadable,
    NoRecords,
}

impl Reason {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 9] = [
        Self::NoContainer,
        Self::NoName,
        Self::NotCarried,
        Self::Gone,
        Self::Ended,
        Self::Replayed,
        Self::RestartUnseen,
        Self::Unreadable,
        Self::NoRecords,
    ];

    /// As metrics and audit lines spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoContainer => "no_container",
            Self::NoName => "no_name",
            Self::NotCarried => "not_carried",
            Self::Gone => "gone",
            Self::Ended => "ended",
            Self::Replayed => "replayed",
            Self::RestartUnseen => "restart_unseen",
            Self::Unreadable => "unreadable",
            Self::NoRecords => "no_records",
        }
    }
}

fn named(references: &[Reference]) -> String {
    let mut list: Vec<_> = references.iter().take(NAMED).map(ToString::to_string).collect();
    if references.len() > NAMED {
        list.push(format!("{} more", references.len() - NAMED));
    }
    list.join(", ")
}

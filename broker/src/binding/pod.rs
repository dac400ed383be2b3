//! A pod as the API server shows it → what its containers carry and which of their starts it shows. Pure.
//!
//! Nothing else of it is kept: variables of a pod may hold what its author would rather have put into a Secret.

mod read;

use std::time::SystemTime;

use keyward_types::Reference;

use super::start::{Shown, Start};

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Which of those that had this name.
    pub uid: String,
    /// When it was created, in seconds since 1970 by the API server's clock.
    created: Option<i64>,
    /// Whether all of it has ended for good.
    pub has_ended: bool,
    containers: Vec<Container>,
    states: Vec<State>,
}

/// What a container carries. Its variables cannot change while the pod exists.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Container {
    name: String,
    /// Whether its launcher was told its name.
    is_told: bool,
    /// Sorted.
    carried: Vec<Reference>,
}

/// What the status says of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    name: String,
    start: Start,
    is_running: bool,
}

/// It is no pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the API server's answer is not a pod")]
pub struct NoPod;

impl Pod {
    /// Reads one.
    pub fn parse(json: &str) -> Result<Self, NoPod> {
        read::pod(json).ok_or(NoPod)
    }

    /// Whether it has such a container: an init container, a sidecar, one of the others, or one that was added for debugging.
    pub fn has(&self, container: &str) -> bool {
        self.container(container).is_some()
    }

    /// Whether any launcher in it was told its container's name: then all of them were.
    pub fn tells_names(&self) -> bool {
        self.containers.iter().any(|container| container.is_told)
    }

    /// Those of `asked` that `container` does not carry; where none is named, those that none carries.
    ///
    /// A reference is carried as it stands: `db` does not carry `db?username`, nor the other way round. Of a certificate the
    /// whole is public, and a part of it is the private key.
    pub fn lacking<'r>(&self, container: Option<&str>, asked: &'r [Reference]) -> Vec<&'r Reference> {
        let meant = |one: &&Container| container.is_none_or(|name| one.name == name);
        let containers: Vec<_> = self.containers.iter().filter(meant).collect();
        asked.iter().filter(|reference| !containers.iter().any(|one| one.carries(reference))).collect()
    }

    /// The containers that carry `reference`.
    pub fn carriers(&self, reference: &Reference) -> impl Iterator<Item = &str> {
        self.containers.iter().filter(|one| one.carries(reference)).map(|one| one.name.as_str())
    }

    /// What it shows of `container` at `now`.
    pub fn shown(&self, container: &str, now: SystemTime) -> Shown {
        let state = self.states.iter().find(|state| state.name == container);
        state.map_or_else(Shown::default, |state| Shown::new(state.start, state.is_running, self.created, now))
    }

    /// Whether any container with references may be launching at `now`.
    pub fn is_launching(&self, now: SystemTime) -> bool {
        let mut carrying = self.containers.iter().filter(|container| !container.carried.is_empty());
        carrying.any(|container| !self.shown(&container.name, now).is_over)
    }

    fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.name == name)
    }
}

impl Container {
    fn carries(&self, reference: &Reference) -> bool {
        self.carried.binary_search(reference).is_ok()
    }
}

#[cfg(test)]
mod tests;

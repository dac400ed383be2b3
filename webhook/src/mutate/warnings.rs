//! What whoever creates the pod should know. The API server shows the first 4 KiB.

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};

use super::{Facts, Finding, Unresolved, references};
use crate::{denial::Denial, scan::Scanned};

/// More say no more.
const MOST: usize = 15;

/// So far.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    unresolved: Vec<String>,
    others: Vec<String>,
}

impl Warnings {
    /// Those of one container.
    pub(super) fn of_container(&mut self, scanned: &Scanned<'_>, facts: &Facts) {
        let name = &scanned.container.name;
        let image = facts.images.get(scanned.container.image.as_deref().unwrap_or_default());
        for reference in references(scanned, image) {
            if let Some(Finding::Unresolved(reason)) = facts.verdicts.get(&reference) {
                self.unresolved.push(format!("container {name}: {reference}: {reason}"));
            }
        }
        for variable in &scanned.hidden {
            let warning = format!(
                "container {name}: the name that {variable} refers to is known only at start, and a broker that binds pods \
                 will refuse it"
            );
            self.others.push(warning);
        }
        for config_map in &scanned.missing {
            self.others.push(format!(
                "container {name}: ConfigMap {config_map} lacks what is asked of it; injected in case it brings references, \
                 which a broker that binds pods will refuse: create it before the pod"
            ));
        }
        if let Some(place) = executed(scanned.container).filter(|_| !scanned.references.is_empty()) {
            self.others
                .push(format!("container {name}: {place} runs a command that sees the references and not the values"));
        }
    }

    /// Those of the pod.
    pub(super) fn of_pod(&mut self, facts: &Facts) {
        if let Some(reason) = &facts.unchecked {
            self.others.push(format!("references were not checked: {reason}"));
        }
    }

    /// All of them, or the denial that some are to be.
    pub(super) fn finish(mut self, unresolved: Unresolved) -> Result<Vec<String>, Denial> {
        if unresolved == Unresolved::Deny && !self.unresolved.is_empty() {
            cut(&mut self.unresolved);
            return Err(Denial::Unresolved(self.unresolved));
        }
        self.unresolved.append(&mut self.others);
        cut(&mut self.unresolved);
        Ok(self.unresolved)
    }
}

fn cut(warnings: &mut Vec<String>) {
    if warnings.len() > MOST {
        let more = warnings.len() - MOST;
        warnings.truncate(MOST);
        warnings.push(format!("and {more} more of the kind"));
    }
}

/// Where a container runs another command in itself.
fn executed(container: &Container) -> Option<&'static str> {
    let probes = [
        ("livenessProbe", &container.liveness_probe),
        ("readinessProbe", &container.readiness_probe),
        ("startupProbe", &container.startup_probe),
    ];
    let probe = probes.into_iter().find(|(_, probe)| probe.as_ref().is_some_and(|probe| probe.exec.is_some()));
    let hook = |handler: Option<&LifecycleHandler>| handler.is_some_and(|handler| handler.exec.is_some());
    let lifecycle = container.lifecycle.as_ref();
    probe.map(|(name, _)| name).or_else(|| {
        let hooks = [
            ("lifecycle.postStart", lifecycle.and_then(|lifecycle| lifecycle.post_start.as_ref())),
            ("lifecycle.preStop", lifecycle.and_then(|lifecycle| lifecycle.pre_stop.as_ref())),
        ];
        hooks.into_iter().find(|(_, handler)| hook(*handler)).map(|(name, _)| name)
    })
}

//! A pod and what is known of it → the pod as it is to be created. Pure, and without effect where it was done before: other
//! webhooks may change a pod after us, and it then comes again.
//!
//! | room | does |
//! |---|---|
//! | `container` | command, environment and mounts of one container |
//! | `copier` | the init container that brings the launcher, first of all |
//! | `volumes` | the pod's two volumes |
//! | `warnings` | what whoever creates the pod should know |

mod container;
mod copier;
#[cfg(test)]
mod tests;
mod volumes;
mod warnings;

use std::{collections::BTreeMap, net::IpAddr};

use json_patch::Patch;
use k8s_openapi::api::core::v1::PodSpec;
use keyward_types::Reference;

use self::warnings::Warnings;
use crate::{denial::Denial, edits::Edits, image::SharedConfig, names::REFERENCES, scan::Scanned};

/// How pods are injected: the same for all.
#[derive(Clone, Debug)]
pub struct Injection {
    /// The broker's address for pods: `https://HOST:PORT`.
    pub broker: String,
    /// The launcher's image.
    pub image: String,
    /// `Always`, `IfNotPresent` or `Never`.
    pub pull_policy: String,
    /// What the copier requests and is limited to.
    pub cpu: String,
    /// The same of memory.
    pub memory: String,
    /// `KEYWARD_DEADLINE`, where it is not the launcher's own.
    pub deadline: Option<String>,
    /// What becomes of a pod with a reference that would not resolve now.
    pub unresolved: Unresolved,
}

/// What becomes of a pod with a reference that would not resolve now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// It is created with a warning: what is missing may come before it starts.
    Warn,
    /// It is not created.
    Deny,
}

/// What is known of one pod besides itself.
#[derive(Debug, Default)]
pub struct Facts {
    /// What images start, by their names, for containers that do not say.
    pub images: BTreeMap<String, SharedConfig>,
    /// What the broker says of references; those it was not asked for, or did not answer, are absent.
    pub verdicts: BTreeMap<Reference, Finding>,
    /// Why the broker said nothing, where it did not.
    pub unchecked: Option<String>,
    /// The broker's address without its name, where it is known.
    pub broker_ip: Option<IpAddr>,
}

/// What the broker says of one reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It would resolve, as far as manifests say.
    Known,
    /// It would not, and why.
    Unresolved(String),
}

/// A pod's changes.
#[derive(Debug)]
pub struct Mutation {
    /// Empty where there is nothing to change.
    pub patch: Patch,
    /// For whoever creates it.
    pub warnings: Vec<String>,
}

/// The references of one container: those in its variables, those in its image's, and those that were found when the pod
/// came before and its image was asked. Sorted.
pub fn references(scanned: &Scanned<'_>, image: Option<&SharedConfig>) -> Vec<Reference> {
    let named = |variable: &str| {
        scanned.references.contains_key(variable)
            || scanned.container.env.iter().flatten().any(|env| env.name == variable)
    };
    let of_image = image.into_iter().flat_map(|image| &image.env).filter_map(|line| {
        let (variable, value) = line.split_once('=')?;
        let reference = Reference::parse(value)?.ok()?;
        (!named(variable)).then_some(reference)
    });
    // Of several the last counts, and is the one that is replaced.
    let last = scanned.container.env.iter().flatten().rfind(|env| env.name == REFERENCES);
    let last = last.filter(|_| scanned.is_wrapped);
    let before =
        last.into_iter().flat_map(|env| env.value.iter().flat_map(|names| names.split(','))).filter_map(listed);
    let mut all: Vec<Reference> = scanned.references.values().cloned().chain(of_image).chain(before).collect();
    all.sort();
    all.dedup();
    all
}

/// Of [`REFERENCES`], one entry. It is without the marker: the list itself must not be taken for a reference.
fn entry(reference: &Reference) -> String {
    match reference.query() {
        Some(query) => format!("{}?{query}", reference.name()),
        None => reference.name().to_owned(),
    }
}

/// The reference that an entry stands for.
fn listed(entry: &str) -> Option<Reference> {
    let (name, query) = entry.split_once('?').map_or((entry, None), |(name, query)| (name, Some(query)));
    Reference::new(name, query).ok()
}

/// What is to be changed so that the launcher starts first in each of `scanned`.
pub fn mutate(
    spec: &PodSpec,
    scanned: &[Scanned<'_>],
    facts: &Facts,
    injection: &Injection,
) -> Result<Mutation, Denial> {
    if scanned.is_empty() {
        return Ok(Mutation { patch: Patch(Vec::new()), warnings: Vec::new() });
    }
    let (mut edits, mut warnings) = (Edits::default(), Warnings::default());
    volumes::add(spec, &mut edits)?;
    for one in scanned {
        container::inject(spec, one, facts, injection, &mut edits)?;
        warnings.of_container(one, facts);
    }
    // Last, because it moves the places of the others.
    copier::put_first(spec, scanned, injection, &mut edits);
    warnings.of_pod(facts);
    let warnings = warnings.finish(injection.unresolved)?;
    Ok(Mutation { patch: edits.finish(), warnings })
}

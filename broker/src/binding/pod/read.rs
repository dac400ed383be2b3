//! A pod's JSON. What is not looked at is skipped, whatever it is; what is looked at and is not what it should be makes it no
//! pod.

use std::{borrow::Cow, ops::Deref};

use keyward_proto::{CONTAINER_VARIABLE, REFERENCES_VARIABLE};
use keyward_types::Reference;
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Container, Pod, State};
use crate::binding::start::Start;

/// A text that is not copied where the JSON holds it as it is: also where it may be absent, which serde alone copies.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    spec: Spec<'a>,
    status: Option<Status<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    uid: Text<'a>,
    creation_timestamp: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(borrow)]
    init_containers: Option<Vec<Carrier<'a>>>,
    containers: Option<Vec<Carrier<'a>>>,
    ephemeral_containers: Option<Vec<Carrier<'a>>>,
}

#[derive(Deserialize)]
struct Carrier<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    env: Option<Vec<Variable<'a>>>,
}

#[derive(Deserialize)]
struct Variable<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    value: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    #[serde(borrow)]
    phase: Option<Text<'a>>,
    init_container_statuses: Option<Vec<ContainerStatus<'a>>>,
    container_statuses: Option<Vec<ContainerStatus<'a>>>,
    ephemeral_container_statuses: Option<Vec<ContainerStatus<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerStatus<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    restart_count: Option<u32>,
    state: Option<ContainerState<'a>>,
    last_state: Option<ContainerState<'a>>,
}

#[derive(Default, Deserialize)]
struct ContainerState<'a> {
    #[serde(borrow)]
    running: Option<Began<'a>>,
    terminated: Option<Began<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Began<'a> {
    #[serde(borrow)]
    started_at: Option<Text<'a>>,
}

pub(super) fn pod(json: &str) -> Option<Pod> {
    let Document { metadata, spec, status } = serde_json::from_str(json).ok()?;
    let status = status.unwrap_or_default();
    let Spec { init_containers, containers, ephemeral_containers } = spec;
    let carriers = [init_containers, containers, ephemeral_containers].into_iter().flatten().flatten();
    let Status { phase, init_container_statuses, container_statuses, ephemeral_container_statuses } = status;
    let statuses = [init_container_statuses, container_statuses, ephemeral_container_statuses];
    Some(Pod {
        uid: metadata.uid.to_owned(),
        created: time(metadata.creation_timestamp.as_deref())?,
        has_ended: matches!(phase.as_deref(), Some("Succeeded" | "Failed")),
        containers: carriers.map(container).collect(),
        states: statuses.into_iter().flatten().flatten().map(state).collect::<Option<_>>()?,
    })
}

fn container(carrier: Carrier<'_>) -> Container {
    let variables = carrier.env.unwrap_or_default();
    let literals = variables.iter().filter_map(|variable| Reference::parse(variable.value.as_deref()?)?.ok());
    // Of several the last counts: it is the one that the webhook wrote.
    let listed = variables.iter().rfind(|variable| *variable.name == *REFERENCES_VARIABLE);
    let listed = listed.and_then(|variable| variable.value.as_deref()).unwrap_or_default();
    let mut carried: Vec<_> = literals.chain(listed.split(',').filter_map(entry)).collect();
    carried.sort_unstable();
    carried.dedup();
    let is_told = variables.iter().any(|variable| *variable.name == *CONTAINER_VARIABLE);
    Container { name: carrier.name.to_owned(), is_told, carried }
}

/// `NAME` or `NAME?QUERY`, as the webhook writes them.
fn entry(entry: &str) -> Option<Reference> {
    let (name, query) = entry.split_once('?').map_or((entry, None), |(name, query)| (name, Some(query)));
    Reference::new(name, query).ok()
}

fn state(status: ContainerStatus<'_>) -> Option<State> {
    let state = status.state.unwrap_or_default();
    let is_running = state.running.is_some();
    // While a container waits, its last start is in its last state.
    let last = state.running.or(state.terminated).or(status.last_state.and_then(|last| last.terminated));
    let began = time(last.and_then(|last| last.started_at).as_deref())?;
    let start = Start { restarts: status.restart_count.unwrap_or_default(), began };
    Some(State { name: status.name.to_owned(), start, is_running })
}

/// Seconds since 1970. `None` where it is no time.
#[allow(clippy::option_option, reason = "no time at all is as good as a time, and a bad one is not")]
fn time(text: Option<&str>) -> Option<Option<i64>> {
    text.map_or(Some(None), |text| OffsetDateTime::parse(text, &Rfc3339).ok().map(|at| Some(at.unix_timestamp())))
}

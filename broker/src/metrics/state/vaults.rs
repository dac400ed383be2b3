//! The series that have a vault: of two identities that read one vault the figures are taken together.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{Sample, Samples, State, number, one, series};
use crate::{
    budget::{BreakerState, GateStatus},
    figures::{self, Held},
    readers::OpenVault,
    vault::{observe::Operation, origin::Origin},
};

/// A vault's figures of this moment.
#[derive(Default)]
struct Figures {
    requests: BTreeMap<(Operation, &'static str), u64>,
    gate: Option<GateStatus>,
    share: f64,
    held: Held,
    polls_ok: u64,
    polls_failed: u64,
    changes: u64,
    poll_age: Option<Duration>,
    poll_interval: Duration,
}

/// Every sample that has a vault, and how many of these there are.
pub(super) fn samples(state: &State) -> Vec<Samples> {
    let now = Instant::now();
    let open = figures::all(&state.readers, &state.cache, now);
    let mut vaults: BTreeMap<&Origin, Figures> = BTreeMap::new();
    for (id, figures) in &open {
        vaults.entry(&id.origin).or_default().add(&figures.vault, figures.held, now);
    }
    let requests = vaults.iter().flat_map(|(vault, figures)| {
        let requests = figures.requests.iter();
        requests.map(|((operation, status), count)| {
            (vec![vault.to_string(), operation.as_str().to_owned(), (*status).to_owned()], number(*count))
        })
    });
    let polls = vaults.iter().flat_map(|(vault, figures)| {
        let outcomes = [("ok", figures.polls_ok), ("failed", figures.polls_failed)];
        outcomes.map(|(outcome, count)| (vec![vault.to_string(), outcome.to_owned()], number(count)))
    });
    let each = |value: fn(&Figures) -> Option<f64>| -> Vec<Sample> {
        vaults.iter().filter_map(|(vault, figures)| Some((vec![vault.to_string()], value(figures)?))).collect()
    };
    vec![
        one(&series::VAULTS_OPEN, open.len() as u64),
        (&series::VAULT_REQUESTS, requests.collect()),
        (&series::VAULT_POLLS, polls.collect()),
        (&series::VAULT_CHANGES, each(|figures| Some(number(figures.changes)))),
        (&series::VAULT_OBJECTS, each(|figures| Some(number(figures.held.objects)))),
        (&series::VAULT_STALE_OBJECTS, each(|figures| Some(number(figures.held.stale_objects)))),
        (&series::VAULT_STALEST, each(|figures| Some(figures.held.stalest.as_secs_f64()))),
        (&series::VAULT_BUDGET, each(|figures| Some(f64::from(figures.gate?.capacity)))),
        (&series::VAULT_BUDGET_LEFT, each(|figures| Some(f64::from(figures.gate?.left)))),
        (&series::VAULT_BREAKER_OPEN, each(|figures| Some(f64::from(figures.gate?.breaker != BreakerState::Closed)))),
        (&series::VAULT_POLL_AGE, each(|figures| Some(figures.poll_age?.as_secs_f64()))),
        (&series::VAULT_SHARE, each(|figures| Some(figures.share))),
        (&series::VAULT_POLL_INTERVAL, each(|figures| Some(figures.poll_interval.as_secs_f64()))),
    ]
}

impl Figures {
    fn add(&mut self, vault: &OpenVault, held: Held, now: Instant) {
        self.held.objects += held.objects;
        self.held.stale_objects += held.stale_objects;
        self.held.stalest = self.held.stalest.max(held.stalest);
        for (key, count) in vault.requests_by_outcome() {
            *self.requests.entry(key).or_default() += count;
        }
        self.gate = Some(vault.gate().status());
        self.share = vault.gate().share().part();
        self.poll_interval = vault.settings().poll_interval;
        let progress = vault.progress();
        self.polls_ok += progress.ended_well;
        self.polls_failed += progress.failed;
        self.changes += progress.changes;
        let age = progress.checked.map(|checked| now.saturating_duration_since(checked));
        self.poll_age = self.poll_age.max(age);
    }
}

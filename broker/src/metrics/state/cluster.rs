//! The series about the API server.

use std::sync::{Arc, atomic::Ordering};

use super::{Sample, Samples, number, one, series};
use crate::{
    binding::refusal::Reason,
    cluster::reviews::{Counts, Reviews},
    setup::BoundPods,
    source::kubernetes::health::{Health, Watched},
};

/// Of what is watched; none where nothing is.
pub(super) fn watches(health: Option<&Health>) -> Vec<Samples> {
    let Some(health) = health else { return Vec::new() };
    let each = |value: fn(&Health, Watched) -> f64| -> Vec<Sample> {
        Watched::ALL.map(|watched| (vec![watched.as_str().to_owned()], value(health, watched))).into()
    };
    vec![
        (&series::WATCH_HEALTHY, each(|health, watched| f64::from(health.is_well(watched)))),
        (&series::WATCH_FAILURES, each(|health, watched| number(health.failures(watched)))),
        one(&series::SNAPSHOTS, health.snapshots()),
    ]
}

/// Of reviews; none where none are asked for.
pub(super) fn reviews(reviews: &[(&'static str, Arc<Reviews>)]) -> Vec<Samples> {
    if reviews.is_empty() {
        return Vec::new();
    }
    let samples = reviews.iter().flat_map(|(of, reviews)| {
        let Counts { accepted, refused, failed } = reviews.counts();
        [("accepted", accepted), ("refused", refused), ("failed", failed)]
            .map(|(outcome, count)| (vec![(*of).to_owned(), outcome.to_owned()], number(count.load(Ordering::Relaxed))))
    });
    vec![(&series::REVIEWS, samples.collect())]
}

/// Of pods that tokens are bound to; none where they are not.
pub(super) fn bound_pods(bound: Option<&BoundPods>) -> Vec<Samples> {
    let Some(BoundPods { binding, pods, records, .. }) = bound else { return Vec::new() };
    let (reads, counts) = (pods.counts(), binding.counts());
    let outcomes = [("found", &reads.found), ("missing", &reads.missing), ("failed", &reads.failed)];
    let outcomes = outcomes.map(|(outcome, count)| (vec![outcome.to_owned()], number(count.load(Ordering::Relaxed))));
    let refusals = Reason::ALL.map(|reason| (vec![reason.as_str().to_owned()], number(counts.refusals(reason))));
    let (held, dropped) = records.count();
    vec![
        (&series::POD_READS, outcomes.into()),
        (&series::BINDING_REFUSALS, refusals.into()),
        one(&series::BINDING_UNRECORDED, counts.unrecorded()),
        one(&series::BINDING_LEGACY, counts.unnamed()),
        one(&series::BINDING_RECORDS, held as u64),
        one(&series::BINDING_RECORDS_DROPPED, dropped),
    ]
}

//! What one poll finds becomes visible in one swap, to whoever resolves however often.

use std::sync::atomic::{AtomicUsize, Ordering};

use keyward_types::Reference;
use tokio::task::JoinSet;

use super::*;
use crate::resolve::{Outcome, Resolver};

/// Objects that belong together: a user and its password, say, and more, so that a swap takes its time.
const PARTS: usize = 24;

fn references() -> Vec<Reference> {
    (0..PARTS).map(|n| Reference::new(&format!("s{n}"), None).unwrap()).collect()
}

/// The number of the version that was served; `None` where there is no such object.
fn number(outcome: &Outcome) -> Option<u32> {
    match &outcome.value {
        Ok(value) => Some(value.expose_str().unwrap().rsplit('-').next().unwrap().parse().unwrap()),
        Err(error) => {
            assert!(error.to_string().contains("no such object"), "{error}");
            None
        }
    }
}

/// Resolves from many tasks while `change` is made and found, again and again. Returns what was seen of each `Resolve`.
async fn resolved_across(polls: usize, resolves: usize, change: impl Fn(&FakeVault, usize)) -> Vec<Vec<Option<u32>>> {
    let all = fixture(PARTS, PARTS).await;
    all.vault.gate().set_budget(10_000_000);
    let Rounds { snapshot, cache, .. } = all.rounds.clone();
    let resolver = Resolver::new(snapshot, cache, Arc::clone(&all.readers));
    let made = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..4 {
        let (resolver, made) = (resolver.clone(), Arc::clone(&made));
        callers.spawn(async move {
            let mut seen = Vec::new();
            while made.fetch_add(1, Ordering::Relaxed) < resolves {
                let outcomes = resolver.resolve("shop", references()).await;
                seen.push(outcomes.iter().map(number).collect());
                tokio::task::yield_now().await;
            }
            seen
        });
    }
    let mut poll = 0;
    while poll < polls || made.load(Ordering::Relaxed) < resolves {
        change(&all.fake, poll);
        assert_eq!(all.round().await.0.error, None);
        poll += 1;
    }
    callers.join_all().await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_resolves_across_polls_never_see_a_mixed_pair() {
    let seen = resolved_across(50, 10_000, |fake, _| {
        for n in 0..PARTS {
            fake.set(&format!("s{n}"));
        }
    })
    .await;
    assert_eq!(seen.len(), 10_000);
    for one in &seen {
        assert!(one[0].is_some() && one.iter().all(|part| *part == one[0]), "{one:?}");
    }
    let mut versions: Vec<_> = seen.iter().map(|one| one[0]).collect();
    versions.sort_unstable();
    versions.dedup();
    assert!(versions.len() > 10, "resolved across swaps: {}", versions.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_poll_finds_gone_goes_with_what_it_finds_changed() {
    let seen = resolved_across(50, 2_000, |fake, poll| {
        for n in 0..PARTS - 1 {
            fake.set(&format!("s{n}"));
        }
        let last = format!("s{}", PARTS - 1);
        // There beside odd versions only.
        if poll % 2 == 0 { fake.delete(&last) } else { fake.set(&last) }
    })
    .await;
    let (mut with, mut without) = (0, 0);
    for one in &seen {
        let (version, parts) = (one[0].unwrap(), &one[..PARTS - 1]);
        assert!(parts.iter().all(|part| *part == one[0]), "{one:?}");
        match one[PARTS - 1] {
            Some(_) => with += 1,
            None => without += 1,
        }
        assert_eq!(one[PARTS - 1].is_some(), version % 2 == 1, "{one:?}");
    }
    assert!(with > 0 && without > 0, "{with} {without}");
}

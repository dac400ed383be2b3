//! One read for each key at a time, whoever comes and goes.

use std::sync::Arc;

use shuttle::{
    future::{block_on, spawn, yield_now},
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

use crate::{
    flights::{Flights, Passengers, Stranded},
    sync::TaskTracker,
    try_orders,
};

/// A vault that is read. Each read takes a while and brings its own number.
#[derive(Clone, Default)]
struct Vault(Arc<Counts>);

#[derive(Default)]
struct Counts {
    under_way: AtomicU64,
    begun: AtomicU64,
}

impl Vault {
    async fn read(self) -> Option<u64> {
        assert_eq!(self.0.under_way.fetch_add(1, SeqCst), 0, "two reads of one key overlap");
        let number = self.0.begun.fetch_add(1, SeqCst) + 1;
        yield_now().await;
        self.0.under_way.fetch_sub(1, SeqCst);
        Some(number)
    }

    /// Waits for the budget first, and is given up where nobody waits any more.
    async fn read_in_line(self, waiting: Passengers<u64>) -> Option<u64> {
        let mut gone = std::pin::pin!(waiting.gone());
        for _ in 0..3 {
            if futures::poll!(&mut gone).is_ready() {
                return None;
            }
            yield_now().await;
        }
        self.read().await
    }

    fn begun(&self) -> u64 {
        self.0.begun.load(SeqCst)
    }
}

#[test]
fn all_who_come_while_a_read_is_under_way_share_it() {
    try_orders(|| {
        let (flights, vault) = (Flights::new(TaskTracker), Vault::default());
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let (flights, vault) = (flights.clone(), vault.clone());
                spawn(async move { flights.join(&"key", |_| vault.clone().read()).await })
            })
            .collect();
        for caller in callers {
            let number = block_on(caller).unwrap().unwrap();
            assert!(number <= vault.begun());
        }
        assert!((1..=3).contains(&vault.begun()));
    });
}

#[test]
fn a_check_is_never_answered_by_a_read_that_began_before_it() {
    try_orders(|| {
        let (flights, vault) = (Flights::new(TaskTracker), Vault::default());
        let joining = {
            let (flights, vault) = (flights.clone(), vault.clone());
            spawn(async move { flights.join(&"key", |_| vault.clone().read()).await })
        };
        let checks: Vec<_> = (0..2)
            .map(|_| {
                let (flights, vault) = (flights.clone(), vault.clone());
                spawn(async move {
                    let before = vault.begun();
                    let number = flights.begin(&"key", |_| vault.clone().read()).await.unwrap();
                    assert!(number > before, "read {number} began before it was asked for, behind {before}");
                    number
                })
            })
            .collect();
        let mut numbers: Vec<_> = checks.into_iter().map(|check| block_on(check).unwrap()).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), 2, "each has its own");
        block_on(joining).unwrap().unwrap();
    });
}

#[test]
fn whoever_waits_is_answered_though_others_give_up() {
    try_orders(|| {
        let (flights, vault) = (Flights::new(TaskTracker), Vault::default());
        let ask = || {
            let (flights, vault) = (flights.clone(), vault.clone());
            async move { flights.join(&"key", |waiting| vault.read_in_line(waiting)).await }
        };
        let (leaving, staying) = (spawn(ask()), spawn(ask()));
        leaving.abort();
        match block_on(staying).unwrap() {
            Ok(number) => assert!((1..=vault.begun()).contains(&number)),
            Err(stranded) => panic!("stranded: {stranded:?}"),
        }
        // Nothing is left behind that the next one would wait for.
        assert!(block_on(ask()).is_ok());
        assert_ne!(block_on(ask()), Err(Stranded::GivenUp));
    });
}

//! Everybody at once.

use std::time::Duration;

use futures::future::{join_all, try_join_all};
use keyward_tests::{
    resilience::shop::{Building, Shop, Vault, reference},
    vault::Rule,
};

/// How many have waited for a vault.
const MISSES: &str = "keyward_cache_misses_total";
const ASKERS: usize = 50;
/// Of each; one connection carries 256 at a time.
const REQUESTS: usize = 200;
/// The broker waits for its vault 15 s. Who has not arrived by then on a busy machine comes to what was read.
const HELD: Duration = Duration::from_secs(10);
/// So many wait at the same time on any machine.
const WAITING: u32 = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_at_once_for_an_object_nobody_has_read_cost_one_read() {
    let shop = Shop::open(Building::of(&[Vault { name: "acme", secrets: 2, used: 2, settings: "" }])).await.unwrap();
    // The vault is signed in to, and each pod's token is known: what is left is the stampede.
    let shared = &shop;
    let askers = (0..ASKERS).map(|n| async move { shared.asker(&format!("checkout-{n}")).await });
    let askers = try_join_all(askers).await.unwrap();
    try_join_all(askers.iter().map(|asker| asker.warm("acme", 1))).await.unwrap();
    let missed = shop.metric(MISSES, "").await.unwrap().unwrap();
    shop.stand.emulator.reset_calls();
    shop.stand.emulator.faults().arm(Rule::hold("stampede")).unwrap();
    let gate = shop.stand.emulator.faults().gate("stampede");

    let name = [reference("acme", 1)];
    let asked = join_all(askers.iter().flat_map(|asker| (0..REQUESTS).map(|_| asker.ask(&name))));
    let released = async {
        let arrived = |number: u32| shop.until_metric(MISSES, "", move |misses| misses >= missed + f64::from(number));
        arrived(WAITING).await.unwrap();
        let all = arrived(u32::try_from(ASKERS * REQUESTS).unwrap());
        if let Ok(all) = tokio::time::timeout(HELD, all).await {
            all.unwrap();
        }
        gate.release();
    };
    let (answers, ()) = tokio::join!(asked, released);
    let values: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().into_inner()).collect();
    assert_eq!(values.len(), 10_000);
    assert!(values.iter().all(|values| values.len() == 1 && values[0].starts_with(b"kwcanary-00001")));
    let calls = shop.stand.emulator.calls();
    let read =
        calls.matching(|call| call.operation == "SecretGet" && call.object == "secret-00001" && call.status == 200);
    assert_eq!((read, calls.total()), (1, 1));
}

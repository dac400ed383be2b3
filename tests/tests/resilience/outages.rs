//! An outage that outlasts what is fresh, in each of its forms.

use std::time::Instant;

use futures::future::join_all;
use keyward_tests::{
    resilience::shop::{Building, LOOK_EVERY, PATIENCE, Shop, Vault, reference},
    vault::{Fault, Rule},
};
use tonic::Code;

use super::support::{asks_again, is_served_and_marked_stale};

/// The first object of each is cached, the second is not.
const VAULTS: [Vault<'_>; 4] = [
    Vault { name: "unavailable", secrets: 2, used: 2, settings: "pollInterval: 1s" },
    Vault { name: "reset", secrets: 2, used: 2, settings: "pollInterval: 1s" },
    Vault { name: "hanging", secrets: 2, used: 2, settings: "pollInterval: 1s" },
    Vault { name: "strict", secrets: 2, used: 2, settings: "pollInterval: 1s, maxStale: 0s" },
];
const SERVED: &[Vault<'_>] = VAULTS.split_at(3).0;
const STRICT: &str = "strict";

fn strike(shop: &Shop) {
    for rule in [
        Rule::unavailable("unavailable"),
        Rule::outage("reset"),
        Rule::always(Fault::Hang).vault("hanging").unauthenticated(),
        Rule::outage(STRICT),
    ] {
        shop.stand.emulator.faults().arm(rule).unwrap();
    }
}

async fn until_all_are_stale(shop: &Shop) {
    for vault in VAULTS {
        shop.until_stale(vault.name, 1).await.unwrap();
    }
}

#[tokio::test]
async fn whatever_the_outage_is_what_is_cached_is_served_and_marked_stale_and_what_is_not_says_when_to_ask_again() {
    let shop = Shop::open(Building::of(&VAULTS)).await.unwrap();
    let asker = shop.asker("checkout-1").await.unwrap();
    for vault in VAULTS {
        asker.warm(vault.name, 1).await.unwrap();
    }
    strike(&shop);
    let cold = join_all(VAULTS.map(|vault| {
        let asker = asker.clone();
        async move { asker.ask(&[reference(vault.name, 1)]).await.unwrap_err() }
    }));
    let (cold, ()) = tokio::join!(cold, until_all_are_stale(&shop));
    cold.iter().for_each(asks_again);

    for vault in SERVED {
        is_served_and_marked_stale(&shop, &asker, vault.name).await;
    }
    asks_again(&asker.ask(&[reference(STRICT, 0)]).await.unwrap_err());

    let status = shop.status().await.unwrap();
    assert!(status.vaults.iter().all(|vault| vault.stale_objects == 1 && vault.objects == 1), "{:?}", status.vaults);
    assert!(status.objects.iter().all(|object| object.stale_ms > 0) && status.objects.len() == VAULTS.len());

    shop.stand.emulator.faults().clear();
    let began = Instant::now();
    for vault in VAULTS {
        let names = [0, 1].map(|n| reference(vault.name, n));
        while asker.ask(&names).await.is_err_and(|status| status.code() == Code::Unavailable) {
            assert!(began.elapsed() < PATIENCE, "{} does not come back", vault.name);
            tokio::time::sleep(LOOK_EVERY).await;
        }
        asker.ask(&names).await.unwrap();
    }
}

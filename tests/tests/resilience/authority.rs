//! A vault that refuses an older token: only what it says to a new one counts.

use std::time::{Duration, Instant};

use keyward_tests::{
    resilience::shop::{Building, LOOK_EVERY, PATIENCE, Shop, Vault, reference},
    vault::{Fault, Revocation, Rule},
};
use tonic::Code;

use super::support::{asks_again, is_served_and_marked_stale};

/// A younger token counts as new.
const OLD: Duration = Duration::from_secs(30);

const VAULTS: [Vault<'_>; 2] = [
    Vault { name: "refusing", secrets: 2, used: 2, settings: "pollInterval: 1s" },
    Vault { name: "revoked", secrets: 2, used: 2, settings: "" },
];

#[tokio::test]
async fn a_refused_token_ends_serving_only_once_entra_gives_another_and_that_is_refused_too() {
    let shop = Shop::open(Building::of(&VAULTS)).await.unwrap();
    let (asker, faults) = (shop.asker("checkout-1").await.unwrap(), shop.stand.emulator.faults());
    for vault in VAULTS {
        asker.warm(vault.name, 1).await.unwrap();
    }
    shop.until_metric("keyward_identity_token_age_seconds", "", |age| age > OLD.as_secs_f64()).await.unwrap();

    // No other token is to be had: an outage.
    faults.arm(Rule::outage("entra")).unwrap();
    let refused = Fault::Status { code: 401, retry_after: None, inner: None };
    faults.arm(Rule::always(refused).vault("refusing").unauthenticated()).unwrap();
    faults.arm(Rule::revoked(Revocation::Rights).vault("revoked")).unwrap();
    shop.refresh().await.unwrap();
    asker.ask(&[reference("revoked", 0)]).await.unwrap();
    shop.until_stale("refusing", 1).await.unwrap();
    is_served_and_marked_stale(&shop, &asker, "refusing").await;
    asks_again(&asker.ask(&[reference("refusing", 1)]).await.unwrap_err());

    // Another one is: an answer.
    shop.stand.emulator.reset_calls();
    faults.lift_vault("entra");
    let began = Instant::now();
    for vault in VAULTS {
        while asker.ask(&[reference(vault.name, 0)]).await.is_ok() {
            assert!(began.elapsed() < PATIENCE, "{} serves still", vault.name);
            shop.refresh().await.unwrap();
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let refused = asker.ask(&[reference(vault.name, 0)]).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{}", refused.message());
    }
    let tokens = shop.stand.emulator.calls().matching(|call| call.vault == "entra" && call.status == 200);
    assert_eq!(tokens, 1, "one new token is enough for both");
}

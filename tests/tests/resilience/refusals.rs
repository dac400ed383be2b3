//! What a vault refuses is not served after one poll; what it cannot answer for is.

use keyward_tests::{
    resilience::shop::{Asker, Building, Shop, Vault, object, reference},
    vault::{Collection, Revocation, Rule},
};
use tonic::Code;

async fn code(asker: &Asker, vault: &str, n: usize) -> Code {
    asker.ask(&[reference(vault, n)]).await.err().map_or(Code::Ok, |status| status.code())
}

async fn warm(vaults: &[Vault<'_>]) -> (Shop, Asker) {
    let shop = Shop::open(Building::of(vaults)).await.unwrap();
    let asker = shop.asker("checkout-1").await.unwrap();
    for vault in vaults {
        asker.warm(vault.name, vault.used).await.unwrap();
    }
    shop.refresh().await.unwrap();
    (shop, asker)
}

/// So many that the vault is listed, and so few that each object is read.
const SIZES: [usize; 2] = [40, 1];

#[tokio::test]
async fn an_object_that_was_disabled_or_deleted_is_served_no_more_after_one_poll_and_again_after_it_is_back() {
    for used in SIZES {
        let (shop, asker) = warm(&[Vault { name: "acme", secrets: 40, used, settings: "" }]).await;
        let vault = shop.vault("acme").unwrap();
        let secrets = Collection::Secrets;
        vault.set_enabled(secrets, &object(0), false).unwrap();
        assert_eq!(shop.refresh().await.unwrap()[0].changed, 1);
        assert_eq!(code(&asker, "acme", 0).await, Code::FailedPrecondition, "disabled, {used} in use");
        vault.set_enabled(secrets, &object(0), true).unwrap();
        shop.refresh().await.unwrap();
        assert_eq!(code(&asker, "acme", 0).await, Code::Ok, "enabled again, {used} in use");

        vault.delete(secrets, &object(0)).unwrap();
        assert_eq!(shop.refresh().await.unwrap()[0].changed, 1);
        assert_eq!(code(&asker, "acme", 0).await, Code::NotFound, "deleted, {used} in use");
        vault.recover(secrets, &object(0)).unwrap();
        shop.refresh().await.unwrap();
        assert_eq!(code(&asker, "acme", 0).await, Code::Ok, "recovered, {used} in use");
        for n in 1..used {
            assert_eq!(code(&asker, "acme", n).await, Code::Ok, "its neighbour {n}");
        }
    }
}

#[tokio::test]
async fn revoked_rights_end_serving_after_one_poll_and_are_back_after_another() {
    let vaults = SIZES.map(|used| {
        let name = if used == 1 { "one-used" } else { "all-used" };
        Vault { name, secrets: 40, used, settings: "" }
    });
    let (shop, asker) = warm(&vaults).await;
    for vault in &vaults {
        shop.stand.emulator.faults().arm(Rule::revoked(Revocation::Rights).vault(vault.name)).unwrap();
    }
    shop.refresh().await.unwrap();
    for vault in &vaults {
        for n in 0..vault.used {
            assert_eq!(code(&asker, vault.name, n).await, Code::FailedPrecondition, "{} {n}", vault.name);
        }
    }
    shop.stand.emulator.faults().clear();
    shop.refresh().await.unwrap();
    for vault in &vaults {
        for n in 0..vault.used {
            assert_eq!(code(&asker, vault.name, n).await, Code::Ok, "{} {n}", vault.name);
        }
    }
}

#[tokio::test]
async fn an_outage_of_one_poll_takes_nothing_away() {
    let names = ["all-used", "one-used"];
    let vaults: Vec<_> =
        names.into_iter().zip(SIZES).map(|(name, used)| Vault { name, secrets: 40, used, settings: "" }).collect();
    let (shop, asker) = warm(&vaults).await;
    for fault in [Rule::unavailable, Rule::outage] {
        for name in names {
            shop.stand.emulator.faults().arm(fault(name)).unwrap();
        }
        let polled = shop.refresh().await.unwrap();
        assert!(polled.iter().all(|vault| !vault.error.is_empty() && vault.changed == 0), "{polled:?}");
        for vault in &vaults {
            let names: Vec<_> = (0..vault.used).map(|n| reference(vault.name, n)).collect();
            let reply = asker.ask(&names).await.unwrap();
            assert!(!reply.metadata().contains_key(keyward_proto::STALE_METADATA), "its time is not over yet");
        }
        shop.stand.emulator.faults().clear();
    }
}

//! What comparing a vault costs it.

use keyward_tests::resilience::shop::{Building, Shop, Vault};

/// Objects of these vaults and how many of them are in use.
const VAULTS: [Vault<'_>; 2] = [
    Vault { name: "all-used", secrets: 400, used: 400, settings: "" },
    Vault { name: "few-used", secrets: 400, used: 5, settings: "" },
];

fn calls(shop: &Shop) -> Vec<(String, String, u16, u64)> {
    let calls = shop.stand.emulator.calls();
    let mut rows: Vec<_> =
        calls.rows().iter().map(|row| (row.vault.clone(), row.operation.clone(), row.status)).collect();
    rows.dedup();
    let count = |(vault, operation, status): &(String, String, u16)| {
        calls.matching(|row| row.vault == *vault && row.operation == *operation && row.status == *status)
    };
    rows.into_iter().map(|row| (row.0.clone(), row.1.clone(), row.2, count(&row))).collect()
}

#[tokio::test]
async fn a_poll_that_finds_nothing_costs_a_listing_or_a_read_of_each_object_in_use_whichever_is_less() {
    let shop = Shop::open(Building::of(&VAULTS)).await.unwrap();
    let asker = shop.asker("checkout-1").await.unwrap();
    for vault in VAULTS {
        asker.warm(vault.name, vault.used).await.unwrap();
    }
    // The first poll finds out how large each vault is.
    shop.refresh().await.unwrap();
    for poll in 0..3 {
        shop.stand.emulator.reset_calls();
        let polled = shop.refresh().await.unwrap();
        assert!(polled.iter().all(|vault| vault.error.is_empty() && vault.changed == 0), "{polled:?}");
        assert_eq!(polled.iter().map(|vault| vault.checked).sum::<u64>(), 405);
        let expected =
            [("all-used".into(), "SecretList".into(), 200, 16), ("few-used".into(), "SecretGet".into(), 200, 5)];
        assert_eq!(calls(&shop), expected, "poll {poll}");
    }
}

#[tokio::test]
async fn a_poll_reads_no_more_than_what_changed() {
    let shop = Shop::open(Building::of(&VAULTS[..1])).await.unwrap();
    shop.asker("checkout-1").await.unwrap().warm("all-used", 400).await.unwrap();
    shop.refresh().await.unwrap();
    shop.stand.emulator.reset_calls();
    // Not of this very second, else the next poll would look at it once more.
    shop.stand.emulator.clock().skew(-60);
    shop.vault("all-used").unwrap().set_secret("secret-00007", "kwcanary-changed").unwrap();
    shop.stand.emulator.clock().follow_system();
    let polled = shop.refresh().await.unwrap();
    assert_eq!((polled[0].checked, polled[0].changed), (400, 1), "{polled:?}");
    let list = ("all-used".into(), "SecretList".into(), 200, 16);
    assert_eq!(calls(&shop), [("all-used".into(), "SecretGet".into(), 200, 1), list.clone()]);
    shop.stand.emulator.reset_calls();
    shop.refresh().await.unwrap();
    assert_eq!(calls(&shop), [list]);
}

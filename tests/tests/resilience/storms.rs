//! A vault that throttles.

use std::time::Duration;

use keyward_tests::resilience::{
    shop::{Building, Shop, Vault},
    storm::{self, Storm},
};

#[tokio::test]
async fn nothing_reaches_a_vault_inside_the_pauses_it_asks_for_and_cached_reads_do_not_notice() {
    let vault = Vault { name: "acme", secrets: 30, used: 30, settings: "pollInterval: 1s" };
    let shop = Shop::open(Building::of(&[vault])).await.unwrap();
    let (lasts, pause) = (Duration::from_secs(7), Duration::from_secs(2));
    let weathered = storm::run(&shop, Storm { vault: "acme", used: 30, lasts, pause, askers: 4 }).await.unwrap();
    assert_eq!(weathered.inside, [0; 0], "milliseconds after a 429");
    // One for each pause that ended within the storm, and the one that began it. Fewer where the machine was slow.
    assert!((2..=4).contains(&weathered.throttled), "{}", weathered.throttled);
    assert!(weathered.told_to_wait > weathered.throttled, "nobody wanted anything of the vault");
    assert!(!weathered.stormy.is_empty());
}

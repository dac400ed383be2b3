//! When a changed value is seen.

use std::time::{Duration, Instant};

use keyward_tests::resilience::{
    changes::{self, Changes, Seen},
    shop::{Building, Shop, Vault, reference},
};

/// Listings that began after a change and before the last request that missed it.
fn listings_missed(seen: &Seen, listings: &[Instant]) -> usize {
    let missed = |at: &&Instant| seen.last_missed.is_some_and(|last| seen.made < **at && **at < last);
    listings.iter().filter(missed).count()
}

#[tokio::test]
async fn a_hundred_changes_at_random_moments_are_each_seen_by_the_first_poll_after_them() {
    let vault = Vault { name: "acme", secrets: 25, used: 25, settings: "pollInterval: 1s" };
    let shop = Shop::open(Building::of(&[vault])).await.unwrap();
    let plan = Changes { vault: "acme", objects: 25, each: 4, apart: Duration::from_secs(2), seed: 4 };
    let seen = changes::run(&shop, plan).await.unwrap();
    assert_eq!(seen.len(), 100);
    // One page holds all 25 objects, so each listing is a poll. While the first one after a change is under way an older
    // value may still be served; when the next one comes, it has ended.
    let calls = shop.stand.emulator.calls();
    let listings: Vec<_> =
        calls.log().iter().filter(|call| call.operation == "SecretList").map(|call| call.at).collect();
    for change in &seen {
        assert!(listings_missed(change, &listings) <= 1, "{change:?}");
    }
}

#[tokio::test]
async fn changes_that_share_one_second_and_so_one_stamp_are_each_seen_by_the_next_poll() {
    let vault = Vault { name: "acme", secrets: 30, used: 30, settings: "" };
    let shop = Shop::open(Building::of(&[vault])).await.unwrap();
    let asker = shop.asker("checkout-1").await.unwrap();
    asker.warm("acme", 30).await.unwrap();
    let clock = shop.stand.emulator.clock();
    clock.stop_at(clock.now());
    for change in 0..5 {
        let value = format!("kwcanary-{change}");
        shop.vault("acme").unwrap().set_secret("secret-00007", &value).unwrap();
        let polled = shop.refresh().await.unwrap();
        assert_eq!(polled[0].changed, 1, "change {change}");
        let values = asker.ask(&[reference("acme", 7)]).await.unwrap().into_inner();
        assert!(values == [value.into_bytes()], "change {change}");
    }
    // Read once more after its second is over, it is left in peace.
    clock.advance(Duration::from_secs(2));
    shop.refresh().await.unwrap();
    shop.stand.emulator.reset_calls();
    shop.refresh().await.unwrap();
    let calls = shop.stand.emulator.calls();
    assert_eq!((calls.matching(|row| row.operation == "SecretList"), calls.total()), (2, 2));
}

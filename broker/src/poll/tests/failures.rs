//! Rounds that do not end well, and what is left behind by vaults and rights that end.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_round_that_panics_ends_for_those_who_wait_and_is_tried_again_after_a_while() {
    let all = fixture(400, 40).await;
    let (refresher, stop, running) = all.poller();
    all.fake.break_list(true);
    let refreshed = refresher.refresh(None).await;
    assert!(matches!(&refreshed[..], [Refreshed { error: Some(_), .. }]), "{refreshed:?}");
    assert_eq!(all.vault.progress().failed, 1);
    all.fake.take_calls();
    tokio::time::sleep(Duration::from_secs(61)).await;
    let calls = all.fake.take_calls().len();
    assert!((1..=3).contains(&calls), "tried again, and not in a loop: {calls}");
    all.fake.break_list(false);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(all.vault.progress().ended_well > 0);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_operator_is_not_left_waiting_for_a_vault_that_was_closed_meanwhile() {
    let all = fixture(400, 1).await;
    let (refresher, stop, running) = all.poller();
    all.fake.shut();
    let ask = || {
        let refresher = refresher.clone();
        tokio::spawn(async move { refresher.refresh(None).await })
    };
    let first = ask();
    all.fake.arrived(2).await;
    let second = ask();
    tokio::task::yield_now().await;
    all.readers.retain(&snapshot_of(""));
    all.fake.let_in(2);
    assert_eq!(first.await.unwrap().len(), 1);
    let second = tokio::time::timeout(Duration::from_secs(60), second).await;
    assert_eq!(second.expect("an answer").unwrap(), []);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_object_that_makes_no_sense_does_not_have_the_whole_vault_polled_more_often() {
    let all = fixture(400, 40).await;
    let (_, stop, running) = all.poller();
    all.fake.break_object("s7", true);
    all.fake.set("s7");
    tokio::time::sleep(Duration::from_secs(600)).await;
    let calls = all.fake.take_calls();
    let lists = calls.iter().filter(|call| *call == "list").count();
    assert!(lists <= 14 * 16, "ten intervals and a few tries: {lists} pages");
    assert!(calls.iter().filter(|call| *call == "get s7").count() >= 9, "and it is still asked for");
    assert!(all.vault.progress().last_error.as_ref().is_some_and(|error| error.contains("s7")), "and named");
    assert_eq!(all.value("s7").await.unwrap(), "kwcanary-s7-1", "what was known holds for a while");
    all.fake.break_object("s7", false);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(all.value("s7").await.unwrap(), "kwcanary-s7-2");
    assert_eq!(all.vault.progress().last_error, None);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_makes_no_sense_is_not_asked_for_again_for_a_while() {
    let all = fixture(400, 40).await;
    all.fake.confuse_list(true);
    assert!(all.round().await.0.error.is_some());
    let (refreshed, made) = all.round().await;
    assert_eq!((refreshed.checked, refreshed.error), (40, None));
    assert_eq!(made.len(), 40);
    advance(Duration::from_secs(600)).await;
    all.fake.confuse_list(false);
    assert_eq!(all.round().await.1.len(), 16);
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_goes_round_in_circles_ends_at_once_and_confirms_nothing() {
    let all = fixture(400, 400).await;
    all.fake.circle_list(true);
    let (refreshed, made) = all.round().await;
    assert_eq!((refreshed.checked, made.len()), (0, 2));
    assert!(refreshed.error.unwrap().contains("circles"));
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_compared_once_even_where_a_read_of_it_failed() {
    let all = fixture(400, 40).await;
    all.fake.set("s7");
    all.fake.break_object("s7", true);
    all.round().await;
    let made = all.round().await.1;
    assert_eq!(made.iter().filter(|call| *call == "get s7").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_policy_admits_nobody_to_any_more_is_forgotten() {
    let all = fixture(400, 40).await;
    let names: Vec<String> = (0..40).map(|n| format!("s{n}")).collect();
    let closed = manifests_of(&names).replace("names: [shop]", "names: [bank]");
    all.rounds.snapshot.publish(Arc::new(snapshot_of(&closed)));
    let (refreshed, made) = all.round().await;
    assert_eq!((refreshed.checked, made.len()), (0, 0));
    all.rounds.cache.settle();
    assert_eq!(all.rounds.cache.totals().entries, 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_held_of_a_closed_vault_is_not_served_when_it_is_declared_anew() {
    let all = fixture(400, 40).await;
    all.value("none").await.unwrap_err();
    let (_, stop, running) = all.poller();
    tokio::time::sleep(Duration::from_secs(1)).await;
    all.readers.retain(&snapshot_of(""));
    tokio::time::sleep(Duration::from_secs(1)).await;
    all.rounds.cache.settle();
    assert_eq!((all.rounds.cache.totals().entries, all.rounds.cache.refused().len()), (0, 0));
    all.fake.set("s7");
    let again = all.readers.open(&testing::vault("{vaultName: acme, pollInterval: 60s}")).unwrap();
    let served = all.rounds.cache.get(&all.key("s7"), &again).await.unwrap();
    assert_eq!(served.entry.version.to_string(), format!("{:032x}", 2));
    stop.cancel();
    running.await.unwrap();
}

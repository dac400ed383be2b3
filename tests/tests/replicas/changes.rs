//! What one replica finds out, all of them serve, and nobody sees it go back.

use std::sync::atomic::{AtomicBool, Ordering};

use keyward_proto::v1::{SecretChanged, WatchRequest, sync_client::SyncClient, watch_response::Event};
use keyward_tests::fleet::Fleet;

use super::shop::{ask_for_all, fleet, reference};

/// Which version of the first secret of `acme` a replica serves.
fn version(value: &str) -> u32 {
    value.strip_prefix("kwcanary-acme-0-").unwrap_or_default().parse().unwrap_or_default()
}

fn set(fleet: &Fleet, version: u32) {
    let store = fleet.emulator.store("acme").unwrap();
    store.set_secret("s0", &format!("kwcanary-acme-0-{version}")).unwrap();
}

#[tokio::test]
async fn a_change_is_seen_at_all_of_them_and_never_goes_back_for_who_moves_between_them() {
    let fleet = fleet("", 3).await;
    let mut askers = Vec::new();
    for number in 0..3 {
        askers.push(fleet.asker(number, "checkout-1").await.unwrap());
    }
    ask_for_all(&askers[0]).await;
    let over = AtomicBool::new(false);
    let moving = async {
        let (mut seen, mut asked) = (1, 0);
        for asker in askers.iter().cycle() {
            let served = version(&asker.value(&reference("acme", 0)).await.unwrap());
            assert!(served >= seen, "{served} after {seen}");
            (seen, asked) = (served, asked + 1);
            if over.load(Ordering::Relaxed) {
                return asked;
            }
        }
        asked
    };
    let changing = async {
        for next in 2..=10 {
            set(&fleet, next);
            let asked = next as usize % 3;
            let checked = fleet.refresh(asked).await.unwrap();
            assert_eq!(checked.iter().map(|vault| vault.changed).sum::<u64>(), 1, "{checked:?}");
            for (number, asker) in askers.iter().enumerate() {
                let served = version(&asker.value(&reference("acme", 0)).await.unwrap());
                assert_eq!(served, next, "replica {number}, checked by way of {asked}");
            }
        }
        over.store(true, Ordering::Relaxed);
    };
    let (asked, ()) = tokio::join!(moving, changing);
    assert!(asked > 100, "{asked}");
}

#[tokio::test]
async fn what_the_vault_refuses_is_served_by_none_of_them() {
    let fleet = fleet("", 3).await;
    let name = reference("acme", 0);
    for number in 0..3 {
        fleet.asker(number, "checkout-1").await.unwrap().value(&name).await.unwrap();
    }
    let secrets = keyward_tests::vault::Collection::Secrets;
    fleet.emulator.store("acme").unwrap().set_enabled(secrets, "s0", false).unwrap();
    fleet.refresh(0).await.unwrap();
    for number in 0..3 {
        let refused = fleet.asker(number, "checkout-1").await.unwrap().value(&name).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "replica {number}: {}", refused.message());
        assert!(refused.message().contains("the object is disabled"), "{}", refused.message());
    }
}

#[tokio::test]
async fn who_watches_any_of_them_hears_of_it() {
    let fleet = fleet("", 3).await;
    ask_for_all(&fleet.asker(0, "checkout-1").await.unwrap()).await;
    let mut streams = Vec::new();
    for number in 0..3 {
        let mut sync = SyncClient::new(fleet.channel(number, Some("controller")).await.unwrap());
        let mut told = sync.watch(WatchRequest {}).await.unwrap().into_inner();
        let first = told.message().await.unwrap().unwrap().event;
        assert!(matches!(first, Some(Event::Resync(_))));
        streams.push(told);
    }
    set(&fleet, 2);
    fleet.refresh(0).await.unwrap();
    let changed = Event::Changed(SecretChanged { namespace: "shop".into(), name: reference("acme", 0) });
    for (number, told) in streams.iter_mut().enumerate() {
        let event = told.message().await.unwrap().unwrap().event.unwrap();
        assert_eq!(event, changed, "replica {number}");
    }
}

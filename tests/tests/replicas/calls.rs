//! What three replicas cost the vaults: what one does.

use std::time::Duration;

use futures::future::join_all;

use super::shop::{SECRETS, VAULTS, ask_for_all, calls, fleet, reference};

const ALL: u64 = (VAULTS.len() * SECRETS) as u64;

#[tokio::test]
async fn whoever_is_asked_each_object_is_read_once() {
    for replicas in [1, 3] {
        let fleet = fleet("", replicas).await;
        let askers = join_all((0..replicas).map(|number| fleet.asker(number, "checkout-1"))).await;
        let askers: Vec<_> = askers.into_iter().map(Result::unwrap).collect();
        // Each object is asked of all of them at the same time.
        for vault in VAULTS {
            for n in 0..SECRETS {
                let name = reference(vault, n);
                for value in join_all(askers.iter().map(|asker| asker.value(&name))).await {
                    assert!(value.unwrap() == format!("kwcanary-{vault}-{n}-1"), "{name}");
                }
            }
        }
        assert_eq!(calls(&fleet), ALL, "{replicas} replicas: {:?}", fleet.emulator.calls().rows());
        for asker in &askers {
            ask_for_all(asker).await;
        }
        assert_eq!(calls(&fleet), ALL, "{replicas} replicas, and everything is held");
    }
}

#[tokio::test]
async fn one_of_them_polls_each_vault() {
    for replicas in [1, 3] {
        let fleet = fleet(", pollInterval: 1s", replicas).await;
        ask_for_all(&fleet.asker(0, "checkout-1").await.unwrap()).await;
        fleet.refresh(0).await.unwrap();
        fleet.emulator.reset_calls();
        tokio::time::sleep(Duration::from_secs(5)).await;
        // A round comes 0.8 to 1 s after the one before, and lists a page.
        let polls = calls(&fleet);
        let most = VAULTS.len() as u64 * 7;
        assert!((2..=most).contains(&polls), "{replicas} replicas: {polls} calls in five seconds");
        for vault in VAULTS {
            let owner = fleet.owner(0, vault).await.unwrap();
            let status = fleet.status(owner).await.unwrap();
            let polled = status.vaults.iter().find(|one| one.name == vault).unwrap();
            assert!(polled.checked_at.is_some() && polled.requests > 0, "{polled:?}");
        }
    }
}

#[tokio::test]
async fn a_check_that_is_asked_of_any_of_them_is_made_once_by_each_vault_s_owner() {
    let fleet = fleet("", 3).await;
    ask_for_all(&fleet.asker(0, "checkout-1").await.unwrap()).await;
    fleet.refresh(0).await.unwrap();
    for asked in 0..3 {
        fleet.emulator.reset_calls();
        let checked = fleet.refresh(asked).await.unwrap();
        assert!(checked.iter().all(|vault| vault.error.is_empty() && vault.checked == SECRETS as u64), "{checked:?}");
        assert_eq!((checked.len(), calls(&fleet)), (VAULTS.len(), VAULTS.len() as u64), "asked of {asked}");
    }
}

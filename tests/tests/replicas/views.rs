//! Replicas that do not see each other, and others that must not be taken for replicas.

use keyward_proto::v1::{FollowHello, FollowRequest, follow_request::Word, peers_client::PeersClient};
use keyward_tests::fleet::{Fleet, until};
use tonic::Code;

use super::shop::{VAULTS, ask_for_all, fleet, plan};

/// What part of a vault's budget each may spend.
async fn shares(fleet: &Fleet, vault: &str) -> Vec<f64> {
    let url = fleet.emulator.vault_url(vault);
    let mut shares = Vec::new();
    for number in 0..fleet.count() {
        shares.push(fleet.metric(number, "keyward_vault_budget_share", &url).await.unwrap().unwrap_or_default());
    }
    shares
}

#[tokio::test]
async fn who_all_recognise_has_the_whole_budget_and_the_others_have_none_of_it() {
    let fleet = fleet("", 3).await;
    ask_for_all(&fleet.asker(0, "checkout-1").await.unwrap()).await;
    for vault in VAULTS {
        let owner = fleet.owner(0, vault).await.unwrap();
        let expected: Vec<f64> = (0..3).map(|number| f64::from(u8::from(number == owner))).collect();
        until("shares to settle", async || Ok(shares(&fleet, vault).await == expected)).await.unwrap();
    }
}

#[tokio::test]
async fn replicas_that_do_not_see_each_other_have_their_share_each() {
    let mut fleet = Fleet::prepare(plan(""), 3).await.unwrap();
    for number in 0..3 {
        let own = fleet.grpc(number).to_string();
        fleet.set(number, "KEYWARD_PEERS", &own);
        fleet.launch(number).await.unwrap();
        fleet.until_ready(number).await.unwrap();
        ask_for_all(&fleet.asker(number, "checkout-1").await.unwrap()).await;
        assert_eq!(fleet.others(number).await.unwrap(), 0);
    }
    for vault in VAULTS {
        let shares = shares(&fleet, vault).await;
        assert!(shares.iter().all(|share| (share - 1.0 / 3.0).abs() < 1e-9), "{vault}: {shares:?}");
    }
}

#[tokio::test]
async fn one_that_two_do_not_see_spends_its_share_and_they_theirs() {
    let mut fleet = Fleet::prepare(plan(""), 3).await.unwrap();
    let (one, two) = (fleet.grpc(0).to_string(), fleet.grpc(1).to_string());
    fleet.set(0, "KEYWARD_PEERS", &two);
    fleet.set(1, "KEYWARD_PEERS", &one);
    let alone = fleet.grpc(2).to_string();
    fleet.set(2, "KEYWARD_PEERS", &alone);
    for number in 0..3 {
        fleet.launch(number).await.unwrap();
    }
    for number in 0..3 {
        fleet.until_ready(number).await.unwrap();
        ask_for_all(&fleet.asker(number, "checkout-1").await.unwrap()).await;
    }
    for vault in VAULTS {
        let settled = async || {
            let shares = shares(&fleet, vault).await;
            let pair = (shares[0] + shares[1] - 2.0 / 3.0).abs() < 1e-9 && shares[0] * shares[1] == 0.0;
            Ok(pair && (shares[2] - 1.0 / 3.0).abs() < 1e-9)
        };
        until("shares to settle", settled).await.unwrap();
    }
}

#[tokio::test]
async fn nobody_but_a_broker_is_told_anything() {
    let fleet = fleet("", 1).await;
    let hello = || {
        let word = Some(Word::Hello(FollowHello { id: 1 }));
        tokio_stream::once(FollowRequest { word })
    };
    for (role, expected) in [
        (None, Code::Unauthenticated),
        (Some("controller"), Code::PermissionDenied),
        (Some("webhook"), Code::PermissionDenied),
        (Some("operator"), Code::PermissionDenied),
    ] {
        let mut peers = PeersClient::new(fleet.channel(0, role).await.unwrap());
        let refused = peers.follow(hello()).await.unwrap_err();
        assert_eq!(refused.code(), expected, "{role:?}: {}", refused.message());
    }
    let mut peers = PeersClient::new(fleet.channel(0, Some("broker")).await.unwrap());
    let mut told = peers.follow(hello()).await.unwrap().into_inner();
    assert!(told.message().await.unwrap().is_some());
}

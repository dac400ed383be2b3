//! Where requests may not go, how long they may take, how much they may bring.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::body::Body;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    http::{ClientOptions, HttpClient, RetryOptions, Transport},
    time::OffsetDateTime,
};
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use futures::{StreamExt, TryStreamExt, stream};
use keyward_broker::{
    budget::Closed,
    vault::{
        ReadError, VaultReader,
        azure::ConnectError,
        observe::{Operation, RequestObserver},
        origin::Origin,
        transport::{MAX_OBJECT, Pinned, Roots, http_client},
    },
};
use keyward_crds::azure_key_vault::Cloud;
use serde_json::json;
use tempfile::NamedTempFile;
use tokio::net::TcpListener;

use super::{
    server::{Answer, Ca, Server},
    world::{Seen, World, any_secret, challenging, current, tokens},
};

/// Far above what any of these should take, far below for ever.
const PATIENCE: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(200);

#[derive(Debug)]
struct Bearer;

#[async_trait]
impl TokenCredential for Bearer {
    async fn get_token(&self, _: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        Ok(AccessToken::new("kwcanary-bearer", OffsetDateTime::now_utc() + azure_core::time::Duration::HOUR))
    }
}

/// Lists secrets by the bare SDK, over `transport`.
async fn list(vault: &Origin, transport: Arc<dyn HttpClient>) -> azure_core::Result<usize> {
    let client_options = ClientOptions {
        transport: Some(Transport::new(transport)),
        retry: RetryOptions::none(),
        ..ClientOptions::default()
    };
    let options = SecretClientOptions {
        client_options,
        verify_challenge_resource: Some(false),
        ..SecretClientOptions::default()
    };
    let client = SecretClient::new(&vault.to_string(), Arc::new(Bearer), Some(options))?;
    Ok(client.list_secret_properties(None)?.try_collect::<Vec<_>>().await?.len())
}

#[tokio::test]
async fn a_next_link_to_another_port_is_not_followed_with_the_token_or_at_all() {
    let ca = Ca::new();
    let thief = Arc::new(Server::start(&ca, |_| Answer::json(200, json!({"value": []}))).await);
    let next = format!("{}/secrets?page=2", thief.origin);
    let vault =
        Server::start(&ca, challenging(move |_| Answer::json(200, json!({"value": [], "nextLink": next})))).await;
    let mut ca_file = NamedTempFile::new().unwrap();
    ca_file.write_all(ca.pem().as_bytes()).unwrap();
    let plain = Arc::new(http_client(&Roots::Only(ca_file.path().to_owned()), PATIENCE).unwrap());

    let pinned = Pinned::new(plain.clone(), vault.origin.clone(), MAX_OBJECT, Arc::new(Seen::default()));
    let error = list(&vault.origin, Arc::new(pinned)).await.unwrap_err();
    assert_eq!((thief.calls().len(), error.to_string().as_str()), (0, "it leads to another origin"));

    // Without the pin the token does arrive there: this is what the test above would miss if it proved nothing.
    list(&vault.origin, plain).await.unwrap();
    assert_eq!(thief.calls()[0].authorization.as_deref(), Some("Bearer kwcanary-bearer"));
}

/// Permits so many requests.
struct Few(AtomicUsize);

impl RequestObserver for Few {
    fn request(&self, _: Operation, _: Option<u16>, _: Duration) {}

    fn permitted(&self) -> Result<(), Closed> {
        let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| Closed { retry_after: Duration::from_secs(2), throttled: true })
    }
}

#[tokio::test]
async fn a_pause_that_comes_between_a_challenge_and_its_answer_is_kept() {
    let ca = Ca::new();
    let vault = Server::start(&ca, challenging(|_| Answer::json(200, json!({"value": []})))).await;
    let mut ca_file = NamedTempFile::new().unwrap();
    ca_file.write_all(ca.pem().as_bytes()).unwrap();
    let plain = Arc::new(http_client(&Roots::Only(ca_file.path().to_owned()), PATIENCE).unwrap());
    for (permitted, sent) in [(0, 0), (1, 1)] {
        let few = Arc::new(Few(AtomicUsize::new(permitted)));
        let pinned = Pinned::new(plain.clone(), vault.origin.clone(), MAX_OBJECT, few);
        let before = vault.calls().len();
        let error = list(&vault.origin, Arc::new(pinned)).await.unwrap_err();
        assert_eq!(error.to_string(), "the vault is left alone for now");
        assert_eq!(vault.calls().len() - before, sent);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let ca = Ca::new();
    let elsewhere = Server::start(&ca, any_secret).await;
    let target = format!("{}/secrets/db/", elsewhere.origin);
    let world =
        World::trusting(&ca, challenging(move |_| Answer::with(302, &[("location", &target)], "")), tokens()).await;
    let error = world.reader().read(&current("db")).await.unwrap_err();
    assert_eq!(error, ReadError::Malformed("status 302".to_owned()));
    assert!(elsewhere.calls().is_empty());
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    for status in ["200", "500"] {
        let world = World::new(move |_| {
            let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 64 * 1024]));
            let Answer::Reply(mut response) = Answer::body(Body::from_stream(endless)) else { unreachable!() };
            *response.status_mut() = status.parse().unwrap();
            Answer::Reply(response)
        })
        .await;
        let error = tokio::time::timeout(PATIENCE, world.reader().read(&current("db"))).await.unwrap().unwrap_err();
        assert_eq!(error, ReadError::Malformed(format!("it is longer than {MAX_OBJECT} bytes")));
    }
}

#[tokio::test]
async fn a_vault_that_hangs_is_unreachable_within_the_timeout() {
    let silent = || Answer::Hang;
    let stalling =
        || Answer::body(Body::from_stream(stream::iter([Ok::<_, std::io::Error>("{")]).chain(stream::pending())));
    for hang in [silent as fn() -> Answer, stalling] {
        let mut world = World::new(move |_| hang()).await;
        world.timeout = SHORT;
        let error = tokio::time::timeout(PATIENCE, world.reader().read(&current("db"))).await.unwrap().unwrap_err();
        assert!(matches!(error, ReadError::Unreachable(_)), "{error}");
    }
}

#[tokio::test]
async fn readers_behind_a_hanging_first_call_give_up_in_time_too() {
    let mut world = World::open(|_| Answer::Hang).await;
    world.timeout = SHORT;
    let reader = world.reader();
    let object = current("db");
    let reads = (0..100).map(|_| reader.read(&object));
    let all = tokio::time::timeout(PATIENCE, futures::future::join_all(reads)).await.unwrap();
    assert!(all.iter().all(|read| matches!(read, Err(ReadError::Unreachable(_)))));
    assert!(world.seen.all().iter().all(|(_, status)| status.is_none()), "given up is counted as unanswered");
}

#[tokio::test]
async fn a_closed_port_is_unreachable_and_says_so() {
    let world = World::new(any_secret).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = Origin::parse(&format!("https://{}", closed.local_addr().unwrap())).unwrap();
    drop(closed);
    let reader = world.vaults().connect(&origin, Cloud::AzurePublic, &world.identity, world.seen.clone()).unwrap();
    let error = reader.read(&current("db")).await.unwrap_err();
    assert!(matches!(&error, ReadError::Unreachable(cause) if cause.contains("refused")), "{error}");
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_not_trusted() {
    let world = World::new(any_secret).await;
    let impostor = Server::start(&Ca::new(), challenging(any_secret)).await;
    let reader =
        world.vaults().connect(&impostor.origin, Cloud::AzurePublic, &world.identity, world.seen.clone()).unwrap();
    let error = reader.read(&current("db")).await.unwrap_err();
    assert!(matches!(&error, ReadError::Unreachable(cause) if cause.contains("certificate")), "{error}");
    assert!(impostor.calls().is_empty());
}

#[tokio::test]
async fn a_vault_is_not_opened_as_one_of_another_cloud() {
    let world = World::new(any_secret).await;
    let government = Origin::parse("https://acme.vault.usgovcloudapi.net").unwrap();
    let refused = world.vaults().connect(&government, Cloud::AzurePublic, &world.identity, world.seen.clone());
    assert!(matches!(refused, Err(ConnectError::Cloud { .. })));
}

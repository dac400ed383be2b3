use keyward_kit::ready::{Readiness, Status};
use serde_json::json;

use super::super::{
    source::Place,
    testing::{IssuerServer, Signer, claims, token},
};
use super::*;

/// Never reads again, whoever asks.
const ONCE: Pace = Pace { refresh: Duration::from_hours(1), pause: Duration::from_hours(1) };
/// Reads whenever asked, and never unasked.
const ASKED: Pace = Pace { refresh: Duration::from_hours(1), pause: Duration::ZERO };

fn issued_by(server: &IssuerServer) -> String {
    let mut claims = claims();
    claims["iss"] = json!(server.url);
    claims.to_string()
}

/// Runs `test` with an authenticator whose refresher runs beside it.
async fn with<F: Future<Output = ()>>(
    server: &IssuerServer,
    pace: Pace,
    test: impl FnOnce(Arc<JwksAuthenticator>, Readiness) -> F,
) {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.crt");
    std::fs::write(&ca, &server.ca_pem).unwrap();
    let place = Place::parse(Some(&format!("{}/keys", server.url))).unwrap();
    let source = KeySource::new(&server.url, place, Some(ca)).unwrap();
    let (authenticator, refresher) = jwks(&server.url, source, pace);
    let (readiness, stop) = (Readiness::new(), CancellationToken::new());
    let running = refresher.run(readiness.require("issuer keys"), stop.clone());
    let test = async {
        test(Arc::new(authenticator), readiness).await;
        stop.cancel();
    };
    let _ = tokio::join!(running, test);
}

#[tokio::test]
async fn a_good_token_names_its_pod_and_bad_ones_do_not() {
    IssuerServer::with(|server| async move {
        let (rsa, ec, stranger) = (Signer::rsa("rsa"), Signer::ec("ec"), Signer::ec("ec"));
        server.publish(&[&rsa, &ec]);
        let good = issued_by(&server);
        with(&server, ONCE, |authenticator, _| async move {
            for signer in [&rsa, &ec] {
                let caller = authenticator.authenticate(&signer.sign(&good)).await.unwrap();
                assert_eq!((&*caller.namespace, &*caller.pod_name), ("shop", "web-0"));
            }
            let none = token(&json!({ "alg": "none", "kid": "ec" }), &good, b"");
            for (token, expected) in [
                (String::new(), AuthnError::Missing),
                (none, AuthnError::Algorithm("none".into())),
                (rsa.confuse(&good), AuthnError::Algorithm("HS256".into())),
                (stranger.sign(&good), AuthnError::BadSignature),
                (Signer::ec("other").sign(&good), AuthnError::UnknownKey("other".into())),
            ] {
                assert_eq!(authenticator.authenticate(&token).await, Err(expected));
            }
            let mut old: serde_json::Value = serde_json::from_str(&good).unwrap();
            old["exp"] = json!(1_700_000_001);
            let expired = authenticator.authenticate(&ec.sign(&old.to_string())).await;
            assert!(matches!(expired, Err(AuthnError::Expired { .. })));
            old["iss"] = json!("https://other.example");
            let foreign = authenticator.authenticate(&ec.sign(&old.to_string())).await;
            assert!(matches!(foreign, Err(AuthnError::WrongIssuer { .. })));
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_new_key_is_read_when_its_first_token_comes() {
    IssuerServer::with(|server| async move {
        let (old, new) = (Signer::ec("old"), Signer::ec("new"));
        server.publish(&[&old]);
        let (good, server) = (issued_by(&server), server.clone());
        with(&server.clone(), ASKED, |authenticator, _| async move {
            authenticator.authenticate(&old.sign(&good)).await.unwrap();
            server.publish(&[&old, &new]);
            authenticator.authenticate(&new.sign(&good)).await.unwrap();
            authenticator.authenticate(&new.sign(&good)).await.unwrap();
            assert_eq!(server.asked(), 2);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_withdrawn_key_stops_verifying_at_the_next_read() {
    IssuerServer::with(|server| async move {
        let (old, new) = (Signer::ec("old"), Signer::ec("new"));
        server.publish(&[&old]);
        let good = issued_by(&server);
        with(&server.clone(), ASKED, |authenticator, _| async move {
            authenticator.authenticate(&old.sign(&good)).await.unwrap();
            server.publish(&[&new]);
            authenticator.authenticate(&new.sign(&good)).await.unwrap();
            let refused = authenticator.authenticate(&old.sign(&good)).await;
            assert_eq!(refused, Err(AuthnError::UnknownKey("old".into())));
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn made_up_keys_do_not_reach_the_issuer_within_the_pause() {
    IssuerServer::with(|server| async move {
        server.publish(&[&Signer::ec("known")]);
        let good = issued_by(&server);
        with(&server.clone(), ONCE, |authenticator, readiness| async move {
            readiness.ready().await;
            for n in 0..50 {
                let kid = format!("made-up-{n}");
                let refused = authenticator.authenticate(&Signer::ec(&kid).sign(&good)).await;
                assert_eq!(refused, Err(AuthnError::UnknownKey(kid)));
            }
            assert_eq!(server.asked(), 1);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn callers_at_once_share_one_read() {
    IssuerServer::with(|server| async move {
        let signer = Signer::ec("k");
        server.publish(&[&signer]);
        let good = issued_by(&server);
        with(&server.clone(), ONCE, |authenticator, _| async move {
            let token = signer.sign(&good);
            let calls = (0..100).map(|_| authenticator.authenticate(&token));
            assert!(futures::future::join_all(calls).await.iter().all(Result::is_ok));
            assert_eq!(server.asked(), 1);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn while_the_issuer_is_down_known_keys_go_on_verifying() {
    IssuerServer::with(|server| async move {
        let (known, new) = (Signer::ec("known"), Signer::ec("new"));
        server.publish(&[&known]);
        let good = issued_by(&server);
        with(&server.clone(), ASKED, |authenticator, _| async move {
            authenticator.authenticate(&known.sign(&good)).await.unwrap();
            server.answer("/keys", "503 Service Unavailable", "");
            let refused = authenticator.authenticate(&new.sign(&good)).await;
            assert!(matches!(&refused, Err(AuthnError::Unavailable(why)) if why.contains("503")), "{refused:?}");
            authenticator.authenticate(&known.sign(&good)).await.unwrap();
            server.publish(&[&new]);
            authenticator.authenticate(&new.sign(&good)).await.unwrap();
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn without_any_keys_it_is_unavailable_and_not_ready() {
    IssuerServer::with(|server| async move {
        server.answer("/keys", "503 Service Unavailable", "");
        let good = issued_by(&server);
        with(&server.clone(), ONCE, |authenticator, readiness| async move {
            let refused = authenticator.authenticate(&Signer::ec("k").sign(&good)).await;
            assert!(matches!(refused, Err(AuthnError::Unavailable(_))), "{refused:?}");
            assert_eq!(readiness.status(), Status::Pending(vec!["issuer keys"]));
        })
        .await;
    })
    .await;
}

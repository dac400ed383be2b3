//! Registries that want something else than to serve images.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keyward_tests::registry::{Does, Kind, digest_of};

use super::*;

/// A registry with a token service, an image, and a pull secret `regcred` for it.
async fn scene() -> (Scene, Wanted) {
    let scene = Scene::new(Auth::Bearer).await;
    scene.registry.push("app", "1", &app());
    scene.registry.allow("app", &["alice"]);
    scene.registry.add_user("alice", "kwcanary-a");
    let entry = json!({"auth": STANDARD.encode("alice:kwcanary-a")});
    scene.secrets.add("shop", "regcred", &scene.registry.host(), &entry);
    let image = with_secrets(&scene.image("app:1"), &["regcred"]);
    (scene, image)
}

#[tokio::test]
async fn bodies_without_an_end_are_not_read_to_it() {
    let (scene, image) = scene().await;
    for (kind, limit) in [(Kind::Manifest, "4194304"), (Kind::Blob, "4194304"), (Kind::Token, "65536")] {
        scene.registry.mend();
        scene.registry.fault(kind, Does::Endless);
        let said = refused(&scene.images(), &image).await;
        assert!(said.contains(&format!("sends more than {limit} bytes")), "{kind:?}: {said}");
    }
}

#[tokio::test]
async fn content_that_is_not_what_was_named_is_refused() {
    let (scene, image) = scene().await;
    for (kind, what) in [(Kind::Manifest, "manifest"), (Kind::Blob, "configuration")] {
        scene.registry.mend();
        scene.registry.fault(kind, Does::Corrupt);
        let said = refused(&scene.images(), &image).await;
        assert!(said.contains(&format!("it sent a {what} that does not have the digest sha256:")), "{said}");
    }
    scene.registry.fault(Kind::Head, Does::Status(405));
    scene.registry.fault(Kind::Manifest, Does::Corrupt);
    let by_digest = scene.image(&format!("app@{}", digest_of(b"something else")));
    scene.registry.push_manifest("app", &digest_of(b"something else"), "application/json", b"{}");
    let said = refused(&scene.images(), &with_secrets(&by_digest, &["regcred"])).await;
    assert!(said.contains("it sent a manifest that does not have the digest"), "{said}");
}

#[tokio::test]
async fn documents_that_are_no_images_are_refused() {
    let scene = Scene::new(Auth::Open).await;
    let inner = scene.registry.push_index("app", "inner", &[("linux/amd64", app())]);
    let nested = json!({"manifests": [{"digest": inner, "platform": {"os": "linux", "architecture": "amd64"}}]});
    let config = scene.registry.push_blob(b"[]");
    for (tag, manifest, expected) in [
        ("nested", nested, "leads to another index"),
        ("old", json!({"schemaVersion": 1}), "schema 1"),
        ("nothing", json!({}), "neither that of an image nor an index"),
        ("text", json!("kwcanary"), "no OCI or Docker manifest"),
        ("config", json!({"config": {"digest": config}}), "no OCI image configuration"),
        ("gone", json!({"config": {"digest": digest_of(b"gone")}}), "404 BLOB_UNKNOWN"),
        ("escape", json!({"config": {"digest": "../../../etc"}}), "no digest that can be verified"),
    ] {
        let text = manifest.to_string().replace("kwcanary", "words");
        scene.registry.push_manifest("app", tag, "application/json", text.as_bytes());
        let said = refused(&scene.images(), &wanted(&scene.image(&format!("app:{tag}")))).await;
        assert!(said.contains(expected), "{tag}: {said}");
    }
}

#[tokio::test]
async fn passwords_go_to_no_token_service_without_tls() {
    let (scene, image) = scene().await;
    let plain = FakeRegistry::start(None, Auth::Bearer).await.unwrap();
    scene.registry.set_realm(&format!("http://{}/token", plain.host()));
    let said = refused(&scene.images(), &image).await;
    assert!(said.contains(&format!("leads to http://{}, which is not followed", plain.host())), "{said}");
    assert!(said.contains("a token service must be at HTTPS"), "{said}");
    // Nor where other registries may be without it.
    let lenient = scene.images_with(ImagesConfig { plain_http: vec![plain.host()], ..scene.settings() });
    refused(&lenient, &image).await;
    assert_eq!(plain.total(), 0);
}

#[tokio::test]
async fn a_plain_registry_may_have_a_plain_token_service_at_the_same_host() {
    let scene = Scene::new(Auth::Open).await;
    let plain = FakeRegistry::start(None, Auth::Bearer).await.unwrap();
    plain.push("app", "1", &app());
    let images = scene.images_with(ImagesConfig { plain_http: vec![plain.host()], ..scene.settings() });
    let image = wanted(&format!("{}/app:1", plain.host()));
    assert!(images.config(&image).await.is_ok());
    plain.set_realm(&format!("http://localhost:{}/token", plain.elsewhere_port()));
    let said = refused(&images, &image).await;
    assert!(said.contains("a token service must be at HTTPS"), "{said}");
}

#[tokio::test]
async fn token_services_that_are_none_are_refused() {
    let (scene, image) = scene().await;
    for (realm, expected) in [
        ("ftp://auth.example/token", "is no URL"),
        ("/token", "is no URL"),
        ("https://user:pass@auth.example/token", "it carries credentials"),
        ("https://169.254.169.254/metadata/identity", "its cloud's metadata"),
        ("https://[::ffff:169.254.169.254]/metadata", "its cloud's metadata"),
        ("https://168.63.129.16/", "its cloud's metadata"),
        ("https://[::1]:1/token", "this machine"),
    ] {
        scene.registry.set_realm(realm);
        let said = refused(&scene.images(), &image).await;
        assert!(said.contains(expected), "{realm}: {said}");
    }
    // A name of this machine, where the registry goes by another.
    scene.registry.set_realm(&format!("https://localhost:{}/token", scene.registry.elsewhere_port()));
    let said = refused(&scene.images(), &image).await;
    assert!(said.contains("cannot be reached") && said.contains("this machine"), "{said}");
    assert_eq!(scene.registry.count(Kind::Token), 0);
}

#[tokio::test]
async fn a_token_that_is_none_is_refused() {
    let (scene, image) = scene().await;
    for body in ["", "{}", "[]", r#"{"token": ""}"#, r#"{"token": "a\nb"}"#, r#"{"token": 1}"#] {
        scene.registry.fault(Kind::Token, Does::Body(body.to_owned()));
        let said = refused(&scene.images(), &image).await;
        assert!(said.contains("secret regcred: its token service answers without a token"), "{body}: {said}");
    }
}

#[tokio::test]
async fn redirects_end() {
    let (scene, image) = scene().await;
    let own = format!("https://{}", scene.registry.host());
    for (to, expected) in [
        (format!("{own}/v2/app/blobs/DIGEST"), "too many redirects"),
        (format!("http://{}/x", scene.registry.host()), "a redirect must not leave HTTPS"),
        ("file:///etc/passwd".to_owned(), "a redirect must not leave HTTPS"),
        ("https://user@blobs.example/".to_owned(), "it carries credentials"),
        ("https://169.254.169.254/latest".to_owned(), "its cloud's metadata"),
        (format!("https://localhost:{}/store/DIGEST", scene.registry.elsewhere_port()), "this machine"),
        ("https://".to_owned(), "no readable Location"),
    ] {
        scene.registry.fault(Kind::Blob, Does::Redirect(to.clone()));
        let said = refused(&scene.images(), &image).await;
        assert!(said.contains(expected), "{to}: {said}");
    }
    assert_eq!(scene.registry.count(Kind::Stored), 0);
}

#[tokio::test]
async fn no_credential_follows_a_redirect_to_another_host() {
    let (scene, image) = scene().await;
    let thief = FakeRegistry::start(Some(&scene.ca), Auth::Basic).await.unwrap();
    let to = format!("https://{}/v2/app/manifests/1", thief.host());
    for kind in [Kind::Head, Kind::Manifest, Kind::Token] {
        scene.registry.mend();
        scene.registry.fault(kind, Does::Redirect(to.clone()));
        refused(&scene.images(), &image).await;
    }
    let seen = thief.seen();
    assert!(seen.len() >= 3, "it was asked");
    assert!(seen.iter().all(|seen| seen.authorization.is_none() && !format!("{seen:?}").contains("kwcanary")));
}

#[tokio::test]
async fn a_foreign_registry_that_claims_a_digest_learns_nothing_of_it() {
    let (scene, image) = scene().await;
    let images = scene.images();
    images.config(&image).await.unwrap();
    let digest = scene.registry.push("app", "1", &app());
    let foreign = FakeRegistry::start(Some(&scene.ca), Auth::Open).await.unwrap();
    // It has a manifest under this digest, and it is not that.
    foreign.push_manifest("app", "1", "application/json", b"{}");
    foreign.fault(Kind::Manifest, Does::Body("{}".to_owned()));
    foreign.fault(Kind::Head, Does::Body(String::new()));
    let said = refused(&images, &wanted(&format!("{}/app@{digest}", foreign.host()))).await;
    assert!(said.contains("does not have the digest"), "{said}");
}

//! With whose credentials images are read.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keyward_tests::registry::{Does, Kind};

use super::*;

fn entry(user: &str, password: &str) -> serde_json::Value {
    json!({"auth": STANDARD.encode(format!("{user}:{password}"))})
}

/// `private/app` is for `alice`, whose password is `kwcanary-a`; `bob` exists.
async fn private(auth: Auth) -> Scene {
    let scene = Scene::new(auth).await;
    scene.registry.push("private/app", "1", &app());
    scene.registry.allow("private/app", &["alice"]);
    scene.registry.add_user("alice", "kwcanary-a");
    scene.registry.add_user("bob", "kwcanary-b");
    scene
}

impl Scene {
    fn add(&self, namespace: &str, secret: &str, user: &str, password: &str) {
        self.secrets.add(namespace, secret, &self.registry.host(), &entry(user, password));
    }

    fn private_image(&self) -> String {
        self.image("private/app:1")
    }
}

#[tokio::test]
async fn a_pull_secret_opens_a_private_image() {
    for auth in [Auth::Basic, Auth::Bearer] {
        let scene = private(auth).await;
        scene.add("shop", "regcred", "alice", "kwcanary-a");
        let images = scene.images();
        let config = images.config(&with_secrets(&scene.private_image(), &["regcred"])).await.unwrap();
        assert_eq!(config.entrypoint, ["/app"], "{auth:?}");
        let said = refused(&images, &wanted(&scene.private_image())).await;
        assert!(
            said.contains("it answers 401: there is no such image, or none of the credentials"),
            "{auth:?}: {said}"
        );
        assert!(said.contains("Tried: anonymous: 401") && said.contains("imagePullSecret"), "{auth:?}: {said}");
    }
}

#[tokio::test]
async fn every_fitting_entry_is_tried_in_order() {
    for auth in [Auth::Basic, Auth::Bearer] {
        let scene = private(auth).await;
        scene.add("shop", "wrong", "alice", "kwcanary-wrong");
        scene.secrets.add("shop", "foreign", "other.example", &entry("alice", "kwcanary-a"));
        scene.add("shop", "weak", "bob", "kwcanary-b");
        let images = scene.images();
        let said = refused(&images, &with_secrets(&scene.private_image(), &["wrong", "foreign", "weak"])).await;
        let order = [said.find("secret wrong: "), said.find("secret weak: 401"), said.find("anonymous: 401")];
        assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{auth:?}: {said}");
        assert!(!said.contains("foreign"), "{said}");
        scene.add("shop", "right", "alice", "kwcanary-a");
        let all = with_secrets(&scene.private_image(), &["wrong", "foreign", "weak", "right"]);
        assert!(images.config(&all).await.is_ok(), "{auth:?}");
    }
}

#[tokio::test]
async fn the_service_accounts_secrets_count_where_the_pod_has_none() {
    let scene = private(Auth::Bearer).await;
    scene.add("shop", "of-account", "alice", "kwcanary-a");
    scene.add("shop", "of-pod", "bob", "kwcanary-b");
    scene.secrets.add_account("shop", "default", &["of-account"]);
    let (image, images) = (scene.private_image(), scene.images());
    assert!(images.config(&wanted(&image)).await.is_ok());
    let said = refused(&images, &with_secrets(&image, &["of-pod"])).await;
    assert!(said.contains("secret of-pod") && !said.contains("of-account"), "{said}");
    let other = Wanted { service_account: "other".into(), ..wanted(&image) };
    assert!(images.config(&other).await.is_err());
}

#[tokio::test]
async fn secrets_that_cannot_be_used_are_passed_over_and_named() {
    let scene = private(Auth::Bearer).await;
    let broken = DockerConfig { shape: Shape::DockerConfigJson, bytes: Zeroizing::new(b"\"kwcanary".to_vec()) };
    scene.secrets.put("shop", "broken", Ok(broken));
    let reason = "the webhook may not read it (403)".to_owned();
    scene.secrets.put("shop", "forbidden", Err(PullSecretsError { reason }));
    let (image, images) = (scene.private_image(), scene.images());
    let mut names = vec!["gone", "broken", "forbidden", "../escape"];
    let said = refused(&images, &with_secrets(&image, &names)).await;
    for part in [
        "Not used: secret gone: it does not exist",
        "secret broken: it is no Docker configuration (line 1",
        "secret forbidden: the webhook may not read it (403)",
        "secret ../escape: no Secret can have this name",
    ] {
        assert!(said.contains(part), "{said}");
    }
    scene.add("shop", "right", "alice", "kwcanary-a");
    names.push("right");
    assert!(images.config(&with_secrets(&image, &names)).await.is_ok());
}

#[tokio::test]
async fn secrets_are_read_only_for_registries_that_ask() {
    let scene = Scene::new(Auth::Open).await;
    scene.registry.push("app", "1", &app());
    scene.add("shop", "regcred", "alice", "kwcanary-a");
    scene.images().config(&with_secrets(&scene.image("app:1"), &["regcred"])).await.unwrap();
    assert_eq!(scene.secrets.reads.load(Ordering::Relaxed), 0);
    assert!(scene.registry.seen().iter().all(|seen| seen.authorization.is_none()));
}

#[tokio::test]
async fn public_images_need_no_secret() {
    let scene = Scene::new(Auth::Bearer).await;
    scene.registry.push("app", "1", &app());
    scene.add("shop", "wrong", "alice", "kwcanary-wrong");
    let images = scene.images();
    for secrets in [&[][..], &["wrong"]] {
        assert!(images.config(&with_secrets(&scene.image("app:1"), secrets)).await.is_ok(), "{secrets:?}");
    }
}

#[tokio::test]
async fn an_identity_token_is_shown_to_the_token_service_only() {
    let scene = private(Auth::Bearer).await;
    scene.registry.add_identity_token("kwcanary-identity", "alice");
    let entry = json!({"auth": STANDARD.encode("alice:"), "identitytoken": "kwcanary-identity"});
    scene.secrets.add("shop", "login", &scene.registry.host(), &entry);
    let image = with_secrets(&scene.private_image(), &["login"]);
    assert!(scene.images().config(&image).await.is_ok());
    for seen in scene.registry.seen() {
        let shown = format!("{seen:?}").contains("kwcanary-identity");
        assert_eq!(shown, seen.kind == Kind::Token && seen.method == "POST", "{seen:?}");
    }
}

#[tokio::test]
async fn registries_that_hide_what_they_have_are_asked_for_their_challenge() {
    let scene = private(Auth::Basic).await;
    scene.add("shop", "regcred", "alice", "kwcanary-a");
    scene.registry.fault(Kind::Head, Does::Status(404));
    let said = refused(&scene.images(), &with_secrets(&scene.private_image(), &["regcred"])).await;
    assert!(said.contains("secret regcred: 404"), "{said}");
    assert_eq!(scene.registry.count(Kind::Greeting), 1);
}

#[tokio::test]
async fn rights_of_one_namespace_never_answer_another() {
    let scene = private(Auth::Bearer).await;
    let digest = scene.registry.push("private/app", "1", &app());
    scene.add("shop", "regcred", "alice", "kwcanary-a");
    let hour = Duration::from_secs(3_600);
    let images = scene.images_with(ImagesConfig { proof: hour, proof_by_digest: hour, ..scene.settings() });
    for image in [scene.private_image(), scene.image(&format!("private/app@{digest}"))] {
        let right = with_secrets(&image, &["regcred"]);
        assert!(images.config(&right).await.is_ok());
        let asked = scene.registry.total();
        assert!(images.config(&right).await.is_ok());
        assert_eq!(scene.registry.total(), asked, "proven a moment ago");
        for stranger in [
            wanted(&image),
            with_secrets(&image, &["other"]),
            Wanted { namespace: "elsewhere".into(), ..right.clone() },
            Wanted { namespace: "elsewhere".into(), ..wanted(&image) },
        ] {
            refused(&images, &stranger).await;
        }
    }
}

#[tokio::test]
async fn rights_are_proven_anew_without_reading_again() {
    let scene = private(Auth::Bearer).await;
    scene.add("shop", "regcred", "alice", "kwcanary-a");
    let (image, images) = (with_secrets(&scene.private_image(), &["regcred"]), scene.images());
    images.config(&image).await.unwrap();
    images.config(&image).await.unwrap();
    assert_eq!((scene.registry.count(Kind::Manifest), scene.registry.count(Kind::Blob)), (1, 1));
    assert_eq!((count(&images, "fetched"), count(&images, "cached")), (1, 1));
    scene.registry.push("private/app", "1", &named("/new"));
    assert_eq!(images.config(&image).await.unwrap().entrypoint, ["/new"], "the tag moved");
    scene.registry.allow("private/app", &["bob"]);
    refused(&images, &image).await;
}

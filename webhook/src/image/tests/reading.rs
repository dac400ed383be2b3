//! What is read, from registries that behave.

use keyward_tests::registry::{Does, Kind};

use super::*;

#[tokio::test]
async fn an_image_tells_what_it_starts() {
    let scene = Scene::new(Auth::Open).await;
    scene.registry.push("team/app", "1", &app());
    let config = scene.images().config(&wanted(&scene.image("team/app:1"))).await.unwrap();
    assert_eq!(config.entrypoint, ["/app"]);
    assert_eq!((&config.cmd[..], &config.env[..]), (&["serve".to_owned()][..], &["A=b".to_owned()][..]));
    assert_eq!(scene.registry.total(), 3, "a manifest asked for, and read, and a configuration");
}

#[tokio::test]
async fn images_can_be_named_by_digest() {
    let scene = Scene::new(Auth::Open).await;
    let digest = scene.registry.push("app", "latest", &app());
    for name in [format!("app@{digest}"), format!("app:gone@{digest}"), "app".to_owned()] {
        assert_eq!(scene.images().config(&wanted(&scene.image(&name))).await.unwrap().entrypoint, ["/app"]);
    }
}

#[tokio::test]
async fn registries_without_tls_are_those_on_the_list() {
    let scene = Scene::new(Auth::Open).await;
    let plain = FakeRegistry::start(None, Auth::Open).await.unwrap();
    plain.push("app", "1", &app());
    let image = wanted(&format!("{}/app:1", plain.host()));
    let listed = scene.images_with(ImagesConfig { plain_http: vec![plain.host()], ..scene.settings() });
    assert_eq!(listed.config(&image).await.unwrap().entrypoint, ["/app"]);
    let before = plain.total();
    let said = refused(&scene.images(), &image).await;
    assert!(said.contains("cannot be reached") && said.contains("plain-HTTP"), "{said}");
    assert_eq!(plain.total(), before);
}

#[tokio::test]
async fn a_private_authority_counts_where_it_is_configured() {
    let scene = Scene::new(Auth::Open).await;
    scene.registry.push("app", "1", &app());
    let image = wanted(&scene.image("app:1"));
    let strange = scene.images_with(ImagesConfig { extra_ca: None, ..scene.settings() });
    let said = refused(&strange, &image).await;
    assert!(said.contains("certificate") && said.contains("its CA"), "{said}");
    assert!(scene.images().config(&image).await.is_ok());
}

#[tokio::test]
async fn a_ca_file_that_is_none_is_named() {
    let scene = Scene::new(Auth::Open).await;
    let empty = NamedTempFile::new().unwrap();
    for path in [empty.path().to_owned(), "/nonexistent/ca.pem".into()] {
        let settings = ImagesConfig { extra_ca: Some(path.clone()), ..scene.settings() };
        let error = Images::new(settings, scene.secrets.clone(), None).err().unwrap().to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
    }
}

#[tokio::test]
async fn the_nodes_architecture_decides_among_platforms() {
    let scene = Scene::new(Auth::Open).await;
    let images = [("linux/amd64", named("/amd")), ("linux/arm64", named("/arm")), ("windows/amd64", named("/win"))];
    scene.registry.push_index("app", "1", &images);
    let (image, lookups) = (scene.image("app:1"), scene.images());
    assert_eq!(lookups.config(&wanted(&image)).await.unwrap().entrypoint, ["/amd"]);
    assert_eq!(lookups.config(&for_architecture(&image, "arm64")).await.unwrap().entrypoint, ["/arm"]);
    let said = refused(&lookups, &for_architecture(&image, "s390x")).await;
    assert!(said.contains("no image for linux/s390x; it has linux/amd64, linux/arm64, windows/amd64"), "{said}");
    assert!(said.ends_with("or select nodes of an architecture that the image has"), "{said}");
}

#[tokio::test]
async fn an_image_for_one_architecture_is_taken_for_any() {
    let scene = Scene::new(Auth::Open).await;
    scene.registry.push_index("app", "1", &[("linux/arm64", named("/arm"))]);
    assert_eq!(scene.images().config(&wanted(&scene.image("app:1"))).await.unwrap().entrypoint, ["/arm"]);
}

#[tokio::test]
async fn images_for_windows_are_refused_as_such() {
    let scene = Scene::new(Auth::Open).await;
    scene.registry.push("app", "1", &app().os("windows"));
    let said = refused(&scene.images(), &wanted(&scene.image("app:1"))).await;
    assert!(said.contains("image for windows; only Linux"), "{said}");
    scene.registry.push_index("app", "2", &[("windows/amd64", app())]);
    let said = refused(&scene.images(), &wanted(&scene.image("app:2"))).await;
    assert!(said.contains("it has windows/amd64"), "{said}");
}

#[tokio::test]
async fn registries_may_leave_out_what_is_optional() {
    let scene = Scene::new(Auth::Bearer).await;
    scene.registry.push("app", "1", &app());
    let image = wanted(&scene.image("app:1"));
    scene.registry.fault(Kind::Head, Does::Status(405));
    assert_eq!(scene.images().config(&image).await.unwrap().entrypoint, ["/app"]);
    scene.registry.fault(Kind::Head, Does::NoDigest);
    scene.registry.fault(Kind::Manifest, Does::NoDigest);
    assert_eq!(scene.images().config(&image).await.unwrap().entrypoint, ["/app"]);
}

#[tokio::test]
async fn blobs_may_be_elsewhere_but_credentials_stay_at_home() {
    let scene = Scene::new(Auth::Bearer).await;
    scene.registry.push("app", "1", &app());
    scene.registry.fault(Kind::Blob, Does::Redirect(format!("{}/store/DIGEST", scene.registry.elsewhere())));
    assert_eq!(scene.images().config(&wanted(&scene.image("app:1"))).await.unwrap().entrypoint, ["/app"]);
    let seen = scene.registry.seen();
    let stored = seen.iter().find(|seen| seen.kind == Kind::Stored).unwrap();
    assert!(!stored.home && stored.authorization.is_none(), "{stored:?}");
    assert!(seen.iter().any(|seen| seen.kind == Kind::Blob && seen.authorization.is_some()));
}

#[tokio::test]
async fn what_the_registry_answers_is_passed_on_without_its_prose() {
    let scene = Scene::new(Auth::Open).await;
    scene.registry.push("app", "1", &app());
    let images = scene.images();
    let said = refused(&images, &wanted(&scene.image("gone:1"))).await;
    assert!(
        said.contains("it answers 404: there is no such image") && said.contains("Tried: anonymous: 404"),
        "{said}"
    );
    for status in [429, 500, 503] {
        scene.registry.fault(Kind::Manifest, Does::Status(status));
        let said = refused(&images, &wanted(&scene.image("app:1"))).await;
        assert!(said.contains(&format!("it answers {status} FAULT. Set `command`")), "{said}");
        assert!(said.contains(&format!("registry {}", scene.registry.host())) && !said.contains("a message"), "{said}");
    }
    assert_eq!((count(&images, "denied"), count(&images, "status")), (1, 3));
}

#[tokio::test]
async fn names_that_are_none_ask_no_registry() {
    let scene = Scene::new(Auth::Open).await;
    let images = scene.images();
    for image in [scene.image("App:1"), scene.image("app:1@sha256:12"), "127.0.0.999/app".to_owned()] {
        let said = refused(&images, &wanted(&image)).await;
        assert!(said.contains("or correct the image's name"), "{said}");
    }
    assert_eq!((scene.registry.total(), count(&images, "reference")), (0, 3));
}

#[tokio::test]
async fn a_registry_that_hangs_is_waited_for_until_the_deadline() {
    let scene = Scene::new(Auth::Open).await;
    scene.registry.push("app", "1", &app());
    scene.registry.fault(Kind::Manifest, Does::Hang);
    let images = scene.images_with(ImagesConfig { deadline: Duration::from_secs(2), ..scene.settings() });
    let said = refused(&images, &wanted(&scene.image("app:1"))).await;
    assert!(said.contains("there was no answer within 2s while reading the manifest"), "{said}");
    assert_eq!(count(&images, "deadline"), 1);
    scene.registry.mend();
    assert!(images.config(&wanted(&scene.image("app:1"))).await.is_ok(), "a failure is not remembered");
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_named() {
    let scene = Scene::new(Auth::Open).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = refused(&scene.images(), &wanted(&format!("{closed}/app"))).await;
    assert!(said.contains(&format!("registry {closed}: {closed} cannot be reached")), "{said}");
}

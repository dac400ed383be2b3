//! What is remembered, and who waits for whom.

use futures::future::join_all;
use keyward_tests::registry::{Does, Kind};

use super::*;

#[tokio::test]
async fn a_rollout_of_fifty_pods_is_one_lookup() {
    let scene = Scene::new(Auth::Open).await;
    scene.registry.push("app", "1", &app());
    let images = scene.images_with(ImagesConfig { proof: Duration::from_secs(60), ..scene.settings() });
    let image = wanted(&scene.image("app:1"));
    let held = scene.registry.hold(Kind::Manifest);
    let askers = join_all((0..50).map(|_| images.config(&image)));
    let opening = async {
        scene.registry.came(Kind::Manifest, 1).await;
        held.open();
    };
    let (answers, ()) = tokio::join!(askers, opening);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(scene.registry.total(), 3);
    assert_eq!((count(&images, "fetched"), count(&images, "shared")), (1, 49));
    images.config(&image).await.unwrap();
    assert_eq!((scene.registry.total(), count(&images, "proven")), (3, 1));
}

#[tokio::test]
async fn who_gives_up_does_not_end_it_for_others() {
    let scene = Scene::new(Auth::Open).await;
    scene.registry.push("app", "1", &app());
    let (images, image) = (scene.images(), wanted(&scene.image("app:1")));
    let held = scene.registry.hold(Kind::Manifest);
    let ask = || {
        let (images, image) = (images.clone(), image.clone());
        tokio::spawn(async move { images.config(&image).await })
    };
    let first = ask();
    scene.registry.came(Kind::Manifest, 1).await;
    let second = ask();
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    scene.registry.came(Kind::Manifest, 2).await;
    held.open();
    assert_eq!(second.await.unwrap().unwrap().entrypoint, ["/app"]);
}

#[tokio::test]
async fn a_failure_is_shared_by_those_who_wait_and_by_nobody_after() {
    let scene = Scene::new(Auth::Open).await;
    scene.registry.push("app", "1", &app());
    scene.registry.fault(Kind::Head, Does::Status(500));
    let (images, image) = (scene.images(), wanted(&scene.image("app:1")));
    let answers = join_all((0..10).map(|_| images.config(&image))).await;
    assert!(answers.iter().all(Result::is_err));
    assert_eq!((scene.registry.total(), count(&images, "status")), (1, 10));
    scene.registry.mend();
    assert!(images.config(&image).await.is_ok());
}

#[tokio::test]
async fn different_questions_do_not_wait_for_each_other() {
    let scene = Scene::new(Auth::Open).await;
    let slow = FakeRegistry::start(Some(&scene.ca), Auth::Open).await.unwrap();
    slow.fault(Kind::Head, Does::Hang);
    scene.registry.push("app", "1", &app());
    let images = scene.images();
    // More than one namespace may run at a time.
    let stuck: Vec<_> = (0..20)
        .map(|number| {
            let (images, image) = (images.clone(), wanted(&format!("{}/app:{number}", slow.host())));
            tokio::spawn(async move { images.config(&image).await })
        })
        .collect();
    slow.came(Kind::Head, 8).await;
    let elsewhere = Wanted { namespace: "elsewhere".into(), ..wanted(&scene.image("app:1")) };
    assert!(images.config(&elsewhere).await.is_ok());
    assert_eq!(slow.count(Kind::Head), 8, "one namespace does not take every place");
    stuck.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn memory_is_bounded() {
    let scene = Scene::new(Auth::Open).await;
    let images = scene.images_with(ImagesConfig { cache_bytes: 64 * 1024, ..scene.settings() });
    let padding = format!("PAD={}", "x".repeat(8_000));
    for number in 0..20 {
        let name = format!("/app{number}");
        scene.registry.push("app", &number.to_string(), &named(&name).env(&[&padding]));
        let config = images.config(&wanted(&scene.image(&format!("app:{number}")))).await.unwrap();
        assert_eq!(config.entrypoint, [name]);
        images.settle().await;
        let figures = images.figures();
        assert!(figures.bytes <= 64 * 1024 && figures.entries <= 8, "{figures:?}");
    }
    assert!(images.figures().entries >= 1);
}

#[tokio::test]
async fn figures_count_every_question_once() {
    let scene = Scene::new(Auth::Open).await;
    scene.registry.push("app", "1", &app());
    let images = scene.images();
    let image = wanted(&scene.image("app:1"));
    for _ in 0..3 {
        images.config(&image).await.unwrap();
    }
    refused(&images, &wanted("No Image")).await;
    images.settle().await;
    let figures = images.figures();
    assert_eq!(figures.outcomes.iter().map(|(_, count)| count).sum::<u64>(), 4);
    assert_eq!((figures.entries, figures.bytes > 600), (1, true), "{figures:?}");
}

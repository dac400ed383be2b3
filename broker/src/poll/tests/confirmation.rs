//! What a listing proves, and what it does not.

use keyward_types::ObjectKind;

use super::*;
use crate::object::ObjectId;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("s{n}")).collect()
}

fn manifest(name: &str, object: &str) -> String {
    format!(
        "---\napiVersion: spv.no/v1\nkind: AzureKeyVaultSecret\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{vault: {{name: acme, object: {{{object}}}}}}}\n"
    )
}

#[tokio::test(start_paused = true)]
async fn a_pinned_version_is_not_confirmed_by_the_listing_of_the_current_one() {
    let all = fixture(400, 400).await;
    let version = ObjectVersion::new(&format!("{:032x}", 1)).unwrap();
    let pinned = manifest("pinned", &format!("name: s7, type: secret, version: '{version}'"));
    all.rounds.snapshot.publish(Arc::new(snapshot_of(&format!("{}{pinned}", manifests_of(&names(400))))));
    let object = Arc::new(ObjectId { version: Some(version), ..secret("s7") });
    all.rounds.cache.get(&CacheKey { object, ..all.key("s7") }, &all.vault).await.unwrap();
    all.fake.take_calls();
    let made = all.round().await.1;
    assert_eq!((made.len(), made.last().map(String::as_str)), (17, Some("get s7")));
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_confirmed_by_its_twin_among_the_secrets() {
    let all = fixture(400, 400).await;
    let certificate = manifest("tls", "name: s7, type: certificate");
    all.rounds.snapshot.publish(Arc::new(snapshot_of(&format!("{}{certificate}", manifests_of(&names(400))))));
    let object = Arc::new(ObjectId { kind: ObjectKind::Certificate, ..secret("s7") });
    all.rounds.cache.get(&CacheKey { object, ..all.key("s7") }, &all.vault).await.unwrap();
    all.fake.take_calls();
    let (refreshed, made) = all.round().await;
    assert_eq!((refreshed.checked, made.len()), (401, 16), "{made:?}");
    all.fake.set("s7");
    assert_eq!(all.round().await.1.iter().filter(|call| *call == "get s7").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_listing_confirms_what_was_true_when_it_began_and_not_when_it_ended() {
    let all = fixture(400, 400).await;
    all.vault.gate().set_budget(10);
    let began = Instant::now();
    all.round().await;
    assert!(began.elapsed() > Duration::from_secs(10), "a slow round");
    let served = all.rounds.cache.get(&all.key("s7"), &all.vault).await.unwrap();
    assert!(served.entry.age(Instant::now()) >= began.elapsed());
}

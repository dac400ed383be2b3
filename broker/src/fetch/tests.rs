use std::sync::{Arc, atomic::Ordering};

use super::*;
use crate::testing::{self, ACME, Memory};

const OUTPUT: &str = ", output: {secret: {name: out, dataKey: value}}";

fn secret(metadata: &str, object: &str, more: &str) -> String {
    testing::secret_with(&format!("name: db, namespace: shop{metadata}"), "acme", object, more)
}

fn manifests(metadata: &str, object: &str) -> Snapshot {
    testing::snapshot(&format!("{ACME}{}", secret(metadata, object, OUTPUT)))
}

fn wanted(uid: &str, generation: i64) -> Wanted {
    Wanted { namespace: "shop".into(), name: "db".into(), uid: uid.into(), generation }
}

/// A resolver on `snapshot`, which can be swapped, and the vault that it reads.
fn world(snapshot: Snapshot, turns: usize) -> (Arc<Current>, Arc<Memory>, Resolver) {
    let (snapshot, vault) = (Arc::new(Current::new(snapshot)), Memory::new(turns));
    let resolver = testing::resolver(&snapshot, &vault);
    (snapshot, vault, resolver)
}

async fn fetched(snapshot: Snapshot, wanted: &Wanted) -> (Outcome, usize) {
    let (snapshot, vault, resolver) = world(snapshot, 1);
    let outcome = fetch(&resolver, &snapshot, wanted, Instant::now()).await;
    (outcome, vault.reads.load(Ordering::SeqCst))
}

#[tokio::test]
async fn the_secrets_data_comes_with_its_version_and_generation() {
    for (metadata, uid, generation) in [("", "", 0), (", uid: u-1, generation: 3", "u-1", 3)] {
        let (outcome, _) = fetched(manifests(metadata, "password"), &wanted(uid, generation)).await;
        let fetched = outcome.data.unwrap();
        let data = fetched.data.secret.unwrap().data;
        assert_eq!(data["value"].expose(), b"kwcanary-password");
        assert_eq!((fetched.version.as_str(), fetched.generation), ("a".repeat(32).as_str(), generation));
        assert_eq!(outcome.trail.unwrap().object().to_string(), "secret/password");
    }
}

#[tokio::test]
async fn a_newer_generation_than_the_one_named_will_do() {
    let (outcome, _) = fetched(manifests(", uid: u-1, generation: 3", "password"), &wanted("u-1", 2)).await;
    assert_eq!(outcome.data.unwrap().generation, 3);
}

#[tokio::test]
async fn another_identity_is_not_known_and_the_vault_is_not_asked() {
    for (metadata, uid, generation) in [
        (", uid: u-1, generation: 3", "u-2", 1),
        (", uid: u-1, generation: 3", "u-1", 4),
        (", uid: u-1, generation: 3", "", 0),
        ("", "u-1", 1),
        ("", "", 1),
    ] {
        let (outcome, reads) = fetched(manifests(metadata, "password"), &wanted(uid, generation)).await;
        let error = outcome.data.unwrap_err();
        assert!(matches!(error, FetchError::Unknown { .. }), "{metadata} {uid}: {error}");
        assert_eq!(reads, 0);
    }
}

#[tokio::test]
async fn a_secret_that_is_not_there_may_yet_come_only_where_there_are_uids() {
    let (outcome, _) = fetched(testing::snapshot(ACME), &wanted("u-1", 1)).await;
    assert!(matches!(outcome.data, Err(FetchError::Unknown { .. })));
    let (outcome, _) = fetched(testing::snapshot(ACME), &wanted("", 0)).await;
    let denied = outcome.data.unwrap_err();
    assert!(matches!(denied, FetchError::Resolve(ResolveError::Denied(Denial::UnknownSecret { .. }))), "{denied}");
}

#[tokio::test]
async fn what_is_denied_to_a_pod_is_denied_to_the_controller_and_the_vault_is_not_asked() {
    let closed = ACME.replace("[shop]", "[bank]");
    let snapshot = testing::snapshot(&format!("{closed}{}", secret("", "password", OUTPUT)));
    let (outcome, reads) = fetched(snapshot, &wanted("", 0)).await;
    let denied = outcome.data.unwrap_err();
    assert!(matches!(denied, FetchError::Resolve(ResolveError::Denied(Denial::Namespace { .. }))), "{denied}");
    assert!(outcome.trail.is_none());
    assert_eq!(reads, 0);
}

#[tokio::test]
async fn a_secret_for_references_only_is_refused_and_the_vault_is_not_asked() {
    for more in ["", ", output: {}"] {
        let snapshot = testing::snapshot(&format!("{ACME}{}", secret("", "password", more)));
        let (outcome, reads) = fetched(snapshot, &wanted("", 0)).await;
        assert!(matches!(outcome.data, Err(FetchError::NoOutput { .. })), "{more}");
        assert_eq!(reads, 0);
    }
}

/// What a fetch of `before` says when the manifests are `after` by the time the vault answers.
async fn swapped(before: Snapshot, after: Snapshot, wanted: Wanted) -> Result<Fetched, FetchError> {
    let (snapshot, vault, resolver) = world(before, 0);
    let fetching = async { fetch(&resolver, &snapshot, &wanted, Instant::now()).await.data };
    let swapping = async {
        vault.read_begun().await;
        snapshot.publish(Arc::new(after));
        vault.turns.add_permits(1);
    };
    tokio::join!(fetching, swapping).0
}

#[tokio::test]
async fn a_secret_made_anew_during_the_read_does_not_get_the_others_data() {
    let before = || manifests(", uid: u-1, generation: 1", "password");
    let after = manifests(", uid: u-2, generation: 1", "password");
    let error = swapped(before(), after, wanted("u-1", 1)).await.unwrap_err();
    assert!(matches!(error, FetchError::Unknown { .. }), "{error}");
    let error = swapped(before(), testing::snapshot(ACME), wanted("u-1", 1)).await.unwrap_err();
    assert!(matches!(error, FetchError::Unknown { .. }), "{error}");
}

#[tokio::test]
async fn a_secret_that_names_another_object_by_then_gets_nothing() {
    for (metadata, uid) in [("", ""), (", uid: u-1", "u-1")] {
        let (before, after) = (manifests(metadata, "password"), manifests(metadata, "other"));
        let error = swapped(before, after, wanted(uid, 0)).await.unwrap_err();
        assert!(matches!(error, FetchError::Replaced { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_grant_that_ends_during_the_read_ends_the_fetch() {
    let closed = testing::snapshot(&format!("{}{}", ACME.replace("[shop]", "[]"), secret("", "password", OUTPUT)));
    let error = swapped(manifests("", "password"), closed, wanted("", 0)).await.unwrap_err();
    assert!(matches!(error, FetchError::Resolve(ResolveError::Denied(_))), "{error}");
}

#[tokio::test]
async fn an_output_changed_during_the_read_is_rendered_as_it_is_now() {
    let before = manifests(", uid: u-1, generation: 1", "password");
    let text = secret(", uid: u-1, generation: 2", "password", &OUTPUT.replace("value", "renamed"));
    let fetched = swapped(before, testing::snapshot(&format!("{ACME}{text}")), wanted("u-1", 1)).await.unwrap();
    assert_eq!(fetched.generation, 2);
    assert!(fetched.data.secret.unwrap().data.contains_key("renamed"));
}

#[tokio::test]
async fn an_invalid_generation_is_not_taken_for_the_next_one() {
    let invalid = manifests(", uid: u-1, generation: 1", "a/b");
    let (outcome, _) = fetched(invalid.clone(), &wanted("u-1", 2)).await;
    assert!(matches!(outcome.data, Err(FetchError::Unknown { .. })));
    let (outcome, _) = fetched(invalid, &wanted("u-1", 1)).await;
    let denied = outcome.data.unwrap_err();
    assert!(matches!(denied, FetchError::Resolve(ResolveError::Denied(Denial::InvalidSecret { .. }))), "{denied}");
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_the_caller_has_heard_of_first_is_waited_for() {
    let unread = Snapshot::unread(crate::policy::testing::defaults(crate::policy::DefaultAccess::Deny));
    let (snapshot, _vault, resolver) = world(unread, 1);
    let began = Instant::now();
    let (wanted, patience) = (wanted("u-1", 2), began + Duration::from_secs(2));
    let publishing = async {
        for metadata in ["", ", uid: u-0, generation: 9", ", uid: u-1, generation: 1", ", uid: u-1, generation: 2"] {
            tokio::time::sleep(Duration::from_millis(100)).await;
            snapshot.publish(Arc::new(manifests(metadata, "password")));
        }
    };
    let (outcome, ()) = tokio::join!(fetch(&resolver, &snapshot, &wanted, patience), publishing);
    assert_eq!(outcome.data.unwrap().generation, 2);
    assert_eq!(began.elapsed(), Duration::from_millis(400));
    let held = describe(&resolver, &snapshot, &wanted, patience).await.unwrap();
    assert!(held.held.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_does_not_come_is_waited_for_no_longer_than_patience() {
    let (snapshot, _vault, resolver) = world(testing::snapshot(ACME), 1);
    let began = Instant::now();
    let outcome = fetch(&resolver, &snapshot, &wanted("u-1", 1), began + Duration::from_secs(2)).await;
    assert!(matches!(outcome.data, Err(FetchError::Unknown { .. })));
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    // Files have no UIDs: there is nothing to wait for.
    let outcome = fetch(&resolver, &snapshot, &wanted("", 0), began + Duration::from_secs(9)).await;
    assert!(outcome.data.is_err());
    assert_eq!(began.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn before_everything_was_read_a_fetch_is_told_to_come_again() {
    let unread = Snapshot::unread(crate::policy::testing::defaults(crate::policy::DefaultAccess::Allow));
    for uid in ["", "u-1"] {
        let (outcome, reads) = fetched(unread.clone(), &wanted(uid, 0)).await;
        let denied = outcome.data.unwrap_err();
        assert!(matches!(denied, FetchError::Resolve(ResolveError::Denied(Denial::NotSynced))), "{denied}");
        assert_eq!(reads, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_vault_that_does_not_answer_is_not_waited_for_for_ever() {
    let (snapshot, _vault, resolver) = world(manifests("", "password"), 0);
    let outcome = fetch(&resolver, &snapshot, &wanted("", 0), Instant::now()).await;
    assert!(matches!(outcome.data, Err(FetchError::Resolve(ResolveError::Late { .. }))));
    assert!(outcome.trail.is_some(), "the audit names the object all the same");
}

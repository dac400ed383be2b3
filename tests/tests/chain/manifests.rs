//! Manifests that are wrong, and manifests that change.

use keyward_proto::v1::{StatusRequest, StatusResponse};
use keyward_tests::{process::Process, stand::Stand};

use super::support::{OBJECTS, VAULT, cache, launch, secret, secret_of, shop, shop_token, stand, value};

async fn status(stand: &Stand) -> StatusResponse {
    cache(stand).await.status(StatusRequest::default()).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_bad_manifest_is_named_and_its_neighbours_work() {
    let manifests = [
        VAULT.to_owned(),
        secret("shop", "db-password", "secret"),
        secret("shop", "typo", "secret").replace("type: secret", "typ: secret"),
        "---\n{this is: [not yaml\n".to_owned(),
        secret("shop", "mail-login", "secret"),
    ]
    .concat();
    let stand = stand(OBJECTS, &manifests).await;
    assert!(value(&stand, "db-password@azurekeyvault").await == "kwcanary-db-1");
    assert!(value(&stand, "mail-login@azurekeyvault?username").await == "kwcanary-user");
    let places: Vec<_> = status(&stand).await.invalid_manifests.into_iter().map(|invalid| invalid.place).collect();
    assert_eq!(places, ["all.yaml#3", "all.yaml#4"]);
    let finished = launch(&stand, &shop_token(), "typo@azurekeyvault").await;
    assert_eq!(finished.status.code(), Some(76), "{}", finished.stderr);
    assert!(finished.stderr.contains("typ"), "{}", finished.stderr);
}

#[tokio::test]
async fn every_api_version_of_the_secret_is_read() {
    for version in ["v1alpha1", "v1", "v2alpha1", "v2beta1"] {
        let stand = shop(&secret("shop", "db-password", "secret").replace("v2beta1", version)).await;
        assert!(value(&stand, "db-password@azurekeyvault").await == "kwcanary-db-1", "{version}");
    }
}

/// Waits until the broker has said for the `nth` time that it read the manifests, which it does once they are in use.
async fn reread(stand: &Stand, nth: usize) {
    let read = |line: &str| line.contains("\"manifests read\"").then_some(());
    stand.broker.nth_line(nth, "that manifests were read again", read).await.unwrap();
}

#[tokio::test]
async fn a_change_of_rights_takes_effect_without_a_restart_and_on_cached_values_too() {
    let stand = shop(&secret("shop", "db-password", "secret")).await;
    assert!(value(&stand, "db-password@azurekeyvault").await == "kwcanary-db-1");

    let closed = VAULT.replace("[shop]", "[bank]");
    stand.write_manifest("all.yaml", &format!("{closed}{}", secret("shop", "db-password", "secret"))).unwrap();
    reread(&stand, 2).await;
    let finished = launch(&stand, &shop_token(), "db-password@azurekeyvault").await;
    assert_eq!(finished.status.code(), Some(77), "{}", finished.stderr);

    let added = secret_of("shop", "another-name", "acme", "db-password", "type: secret");
    stand.write_manifest("all.yaml", &format!("{VAULT}{added}")).unwrap();
    reread(&stand, 3).await;
    assert!(value(&stand, "another-name@azurekeyvault").await == "kwcanary-db-1");
    let finished = launch(&stand, &shop_token(), "db-password@azurekeyvault").await;
    assert_eq!(finished.status.code(), Some(66), "{}", finished.stderr);
}

#[tokio::test]
async fn an_objects_version_can_be_pinned() {
    let stand = shop(&secret("shop", "db-password", "secret")).await;
    assert!(value(&stand, "db-password@azurekeyvault").await == "kwcanary-db-1");
    let first = status(&stand).await.objects.remove(0).version;
    stand.emulator.store("acme").unwrap().set_secret("db-password", "kwcanary-db-2").unwrap();
    let pinned = secret_of("shop", "pinned", "acme", "db-password", &format!("type: secret, version: {first}"));
    stand.write_manifest("more.yaml", &pinned).unwrap();
    reread(&stand, 2).await;
    assert!(value(&stand, "pinned@azurekeyvault").await == "kwcanary-db-1");
    let objects = status(&stand).await.objects;
    assert_eq!(objects.iter().map(|object| object.pinned).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn a_client_secret_signs_in_too() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut plan = keyward_tests::stand::Plan { objects: OBJECTS.to_owned(), ..Default::default() };
    plan.manifests.insert("all.yaml".into(), format!("{VAULT}{}", secret("shop", "db-password", "secret")));
    let secret_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret_file.path(), "kwcanary-client-secret\n").unwrap();
    plan.without.push("AZURE_FEDERATED_TOKEN_FILE".into());
    plan.broker_environment.insert("AZURE_CLIENT_SECRET_FILE".into(), secret_file.path().display().to_string());
    let stand = Stand::start(plan).await.unwrap();
    assert!(value(&stand, "db-password@azurekeyvault").await == "kwcanary-db-1");
}

#[tokio::test]
async fn a_bad_setting_names_the_variable_and_the_value() {
    let stand = shop("").await;
    for (variable, value) in [
        ("KEYWARD_POLL_INTERVAL", "soon"),
        ("KEYWARD_LISTEN", "nowhere"),
        ("KEYWARD_ACCESS_DEFAULT", "maybe"),
        ("KEYWARD_LOG_FORMAT", "xml"),
        ("KEYWARD_CACHE_MAX_BYTES", "lots"),
        ("AZURE_AUTHORITY_HOST", "not a url"),
    ] {
        let mut broker = tokio::process::Command::new(stand.programs.path("keyward-broker").unwrap());
        broker.arg("serve").env_clear().env(variable, value);
        let finished = Process::spawn("keyward-broker", &mut broker).unwrap().finish().await.unwrap();
        assert_eq!(finished.status.code(), Some(2), "{variable}: {}", finished.stderr);
        assert!(finished.stderr.contains(variable) && finished.stderr.contains(value), "{}", finished.stderr);
    }
}

//! The official clients accept the emulator unchanged.

use std::collections::BTreeSet;

use azure_core::http::StatusCode;
use azure_security_keyvault_certificates::{
    CertificateClient, CertificateClientOptions,
    models::{CertificatePolicy, CreateCertificateParameters, CurveName, IssuerParameters, KeyProperties, KeyType},
};
use azure_security_keyvault_keys::{
    KeyClient, KeyClientOptions,
    models::{CreateKeyParameters, KeyType as JsonKeyType},
};
use azure_security_keyvault_secrets::{
    ResourceExt, SecretClient, SecretClientOptions,
    models::{
        SecretAttributes, SecretClientGetSecretOptions, SecretClientListSecretPropertiesOptions, SetSecretParameters,
        UpdateSecretPropertiesParameters,
    },
};
use futures::TryStreamExt;
use keyward_tests::vault::Emulator;

use super::support::{client_options, count, credential, empty};

fn secrets(emulator: &Emulator) -> SecretClient {
    let options = SecretClientOptions {
        client_options: client_options(emulator),
        verify_challenge_resource: Some(false),
        ..SecretClientOptions::default()
    };
    SecretClient::new(&emulator.vault_url("acme"), credential(emulator), Some(options)).unwrap()
}

fn keys(emulator: &Emulator) -> KeyClient {
    let options = KeyClientOptions {
        client_options: client_options(emulator),
        verify_challenge_resource: Some(false),
        ..KeyClientOptions::default()
    };
    KeyClient::new(&emulator.vault_url("acme"), credential(emulator), Some(options)).unwrap()
}

fn certificates(emulator: &Emulator) -> CertificateClient {
    let options = CertificateClientOptions {
        client_options: client_options(emulator),
        verify_challenge_resource: Some(false),
        ..CertificateClientOptions::default()
    };
    CertificateClient::new(&emulator.vault_url("acme"), credential(emulator), Some(options)).unwrap()
}

async fn set(client: &SecretClient, name: &str, value: &str) -> azure_core::Result<String> {
    let parameters = SetSecretParameters { value: Some(value.to_owned()), ..Default::default() };
    let secret = client.set_secret(name, parameters.try_into()?, None).await?.into_model()?;
    Ok(secret.resource_id()?.version.unwrap_or_default())
}

#[tokio::test]
async fn a_secret_is_set_read_by_version_changed_deleted_and_recovered() {
    let emulator = empty().await;
    let client = secrets(&emulator);
    let first = set(&client, "db-password", "kwcanary-1").await.unwrap();
    let second = set(&client, "db-password", "kwcanary-2").await.unwrap();
    assert_ne!(first, second);

    let current = client.get_secret("db-password", None).await.unwrap().into_model().unwrap();
    assert!(current.value.as_deref() == Some("kwcanary-2"), "the current version has another value");
    let pinned = SecretClientGetSecretOptions { secret_version: Some(first.clone()), ..Default::default() };
    let old = client.get_secret("db-password", Some(pinned)).await.unwrap().into_model().unwrap();
    assert!(old.value.as_deref() == Some("kwcanary-1"), "the first version has another value");

    let versions: BTreeSet<String> = client
        .list_secret_properties_versions("db-password", None)
        .unwrap()
        .map_ok(|version| version.resource_id().unwrap().version.unwrap())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(versions, BTreeSet::from([first, second]));

    let off = SecretAttributes { enabled: Some(false), ..Default::default() };
    let change = UpdateSecretPropertiesParameters { secret_attributes: Some(off), ..Default::default() };
    client.update_secret_properties("db-password", change.try_into().unwrap(), None).await.unwrap();
    let refused = client.get_secret("db-password", None).await.unwrap_err();
    assert_eq!(refused.http_status(), Some(StatusCode::Forbidden));

    client.delete_secret("db-password", None).await.unwrap();
    let gone = client.get_secret("db-password", None).await.unwrap_err();
    assert_eq!(gone.http_status(), Some(StatusCode::NotFound));
    client.recover_deleted_secret("db-password", None).await.unwrap();
    client.delete_secret("db-password", None).await.unwrap();
    client.purge_deleted_secret("db-password", None).await.unwrap();
    set(&client, "db-password", "kwcanary-3").await.unwrap();
}

#[tokio::test]
async fn a_list_of_sixty_comes_in_three_pages_and_whole() {
    let emulator = empty().await;
    let store = emulator.store("acme").unwrap();
    for number in 0..60 {
        store.set_secret(&format!("secret-{number:02}"), "kwcanary").unwrap();
    }
    let client = secrets(&emulator);
    let names: BTreeSet<String> = client
        .list_secret_properties(None)
        .unwrap()
        .map_ok(|item| item.resource_id().unwrap().name)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(names.len(), 60);
    assert_eq!(count(&emulator, "SecretList", 200), 3);

    emulator.reset_calls();
    let by_ten = SecretClientListSecretPropertiesOptions { maxresults: Some(10), ..Default::default() };
    let items: Vec<_> = client.list_secret_properties(Some(by_ten)).unwrap().try_collect().await.unwrap();
    assert_eq!((items.len(), count(&emulator, "SecretList", 200)), (60, 6));
}

#[tokio::test]
async fn each_client_is_challenged_once_and_asks_for_one_token() {
    let emulator = empty().await;
    let client = secrets(&emulator);
    for value in ["kwcanary-1", "kwcanary-2", "kwcanary-3"] {
        set(&client, "a", value).await.unwrap();
    }
    assert_eq!(count(&emulator, "SecretSet", 401), 1);
    assert_eq!(count(&emulator, "SecretSet", 200), 3);
    assert_eq!(count(&emulator, "Token", 200), 1);
}

#[tokio::test]
async fn a_certificate_is_created_by_the_poller_and_has_its_twins() {
    let emulator = empty().await;
    let client = certificates(&emulator);
    let policy = CertificatePolicy {
        key_properties: Some(KeyProperties {
            key_type: Some(KeyType::Ec),
            curve: Some(CurveName::P384),
            ..Default::default()
        }),
        issuer_parameters: Some(IssuerParameters { name: Some("Self".to_owned()), ..Default::default() }),
        ..Default::default()
    };
    let create = CreateCertificateParameters { certificate_policy: Some(policy), ..Default::default() };
    let poller = client.begin_create_certificate("web", create.try_into().unwrap(), None).unwrap();
    let certificate = poller.await.unwrap().into_model().unwrap();
    assert!(certificate.cer.is_some_and(|der| der.starts_with(&[0x30])));
    assert_eq!(certificate.x509_thumbprint.map(|print| print.len()), Some(20));

    let twin = secrets(&emulator).get_secret("web", None).await.unwrap().into_model().unwrap();
    assert_eq!(twin.managed, Some(true));
    assert_eq!(twin.content_type.as_deref(), Some("application/x-pkcs12"));
    assert_eq!(twin.id, certificate.sid);
    let key = keys(&emulator).get_key("web", None).await.unwrap().into_model().unwrap();
    assert_eq!(key.managed, Some(true));
    assert_eq!(key.key.and_then(|key| key.kid), certificate.kid);
}

#[tokio::test]
async fn keys_show_their_public_half_without_a_leading_zero() {
    let emulator = empty().await;
    let client = keys(&emulator);
    let rsa = CreateKeyParameters { kty: Some(JsonKeyType::Rsa), key_size: Some(2048), ..Default::default() };
    let key = client.create_key("rsa", rsa.try_into().unwrap(), None).await.unwrap().into_model().unwrap();
    let key = key.key.unwrap();
    assert_eq!(key.n.map(|modulus| modulus.len()), Some(256));
    assert!(key.d.is_none());

    let ec = CreateKeyParameters { kty: Some(JsonKeyType::Ec), ..Default::default() };
    client.create_key("ec", ec.clone().try_into().unwrap(), None).await.unwrap();
    client.create_key("ec", ec.try_into().unwrap(), None).await.unwrap();
    let versions: Vec<_> = client.list_key_properties_versions("ec", None).unwrap().try_collect().await.unwrap();
    assert_eq!(versions.len(), 2);
}

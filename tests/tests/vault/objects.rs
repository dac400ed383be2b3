//! Certificates and keys: what their secrets hold, imports, and who owns whom.

use base64::{Engine, engine::general_purpose::STANDARD};
use keyward_tests::vault::Emulator;
use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12ImportPolicy};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::{Raw, empty, emulator};

const CERTIFICATES: &str = "
vaults:
  acme:
    certificates:
      chained: {subject: CN=shop.example, dnsNames: [shop.example], chain: true}
      pem: {keyType: ec-p384, contentType: application/x-pem-file, chain: true}
      rsa: {keyType: rsa-2048}
      locked: {exportable: false}
      locked-pem: {exportable: false, contentType: application/x-pem-file}
";

async fn twin(raw: &Raw, name: &str) -> String {
    let answer = raw.get(&format!("/secrets/{name}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{name}");
    assert_eq!(answer.body["managed"], true, "{name}");
    answer.body["value"].as_str().unwrap().to_owned()
}

fn open(value: &str) -> KeyStore {
    KeyStore::from_pkcs12(&STANDARD.decode(value).unwrap(), "", Pkcs12ImportPolicy::Relaxed).unwrap()
}

#[tokio::test]
async fn a_certificates_secret_is_a_pfx_with_key_and_chain_or_pem() {
    let emulator = emulator(CERTIFICATES).await;
    let raw = Raw::new(&emulator, "acme").await;
    let store = open(&twin(&raw, "chained").await);
    let (_, chain) = store.private_key_chain().unwrap();
    assert_eq!(chain.certs().len(), 3);
    let bundle = raw.get("/certificates/chained").await.body;
    assert!(STANDARD.decode(bundle["cer"].as_str().unwrap()).unwrap() == chain.certs()[0].as_der());

    let pem = twin(&raw, "pem").await;
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----"), "the key comes first");
    assert_eq!(pem.matches("-----BEGIN CERTIFICATE-----").count(), 3);
    assert!(open(&twin(&raw, "rsa").await).private_key_chain().is_some());
}

#[tokio::test]
async fn a_key_that_may_not_be_exported_is_not_in_the_secret() {
    let emulator = emulator(CERTIFICATES).await;
    let raw = Raw::new(&emulator, "acme").await;
    let store = open(&twin(&raw, "locked").await);
    assert!(store.private_key_chain().is_none());
    assert!(store.entries().any(|(_, entry)| matches!(entry, KeyStoreEntry::Certificate(_))));
    assert!(!twin(&raw, "locked-pem").await.contains("PRIVATE KEY"));
}

#[tokio::test]
async fn a_certificate_and_what_it_owns_share_a_version() {
    let emulator = emulator(CERTIFICATES).await;
    let raw = Raw::new(&emulator, "acme").await;
    let bundle = raw.get("/certificates/rsa").await.body;
    let version = |id: &Value| id.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    assert_eq!(version(&bundle["id"]), version(&bundle["sid"]));
    assert_eq!(version(&bundle["id"]), version(&bundle["kid"]));
    let key = raw.get("/keys/rsa").await.body;
    assert_eq!(key["key"]["kid"], bundle["kid"]);
    assert_eq!(key["key"]["n"].as_str().unwrap().len(), 342);
    assert_eq!(raw.get("/secrets/rsa").await.body["kid"], bundle["kid"]);
    for member in ["key_props", "secret_props", "x509_props", "issuer", "id"] {
        assert!(bundle["policy"].get(member).is_some(), "{member}");
    }
}

#[tokio::test]
async fn what_a_certificate_owns_cannot_be_changed_on_its_own() {
    let emulator = emulator(CERTIFICATES).await;
    let raw = Raw::new(&emulator, "acme").await;
    let set = raw.send(Method::PUT, "/secrets/rsa", Some(json!({"value": "kwcanary"}))).await;
    assert_eq!((set.status, set.error().1), (StatusCode::FORBIDDEN, Some("SecretManagedByKeyVault")));
    let delete = raw.send(Method::DELETE, "/keys/rsa", None).await;
    assert_eq!((delete.status, delete.error().1), (StatusCode::FORBIDDEN, Some("KeyManagedByKeyVault")));

    let off = json!({"attributes": {"enabled": false}});
    assert_eq!(raw.send(Method::PATCH, "/certificates/rsa/", Some(off)).await.status, StatusCode::OK);
    assert_eq!(raw.get("/certificates/rsa").await.error().1, Some("CertificateDisabled"));
    assert_eq!(raw.get("/secrets/rsa").await.error().1, Some("SecretDisabled"));
    assert_eq!(raw.get("/keys/rsa").await.error().1, Some("KeyDisabled"));

    assert_eq!(raw.send(Method::DELETE, "/certificates/rsa", None).await.status, StatusCode::OK);
    assert_eq!(raw.get("/secrets/rsa").await.status, StatusCode::NOT_FOUND);
    assert_eq!(raw.send(Method::POST, "/deletedcertificates/rsa/recover", None).await.status, StatusCode::OK);
    assert_eq!(raw.send(Method::DELETE, "/certificates/rsa", None).await.status, StatusCode::OK);
    assert_eq!(raw.send(Method::DELETE, "/deletedcertificates/rsa", None).await.status, StatusCode::NO_CONTENT);
    raw.set("rsa", "kwcanary").await;
}

/// Imports what another certificate's secret held; the new one's bundle.
async fn import(raw: &Raw, name: &str, value: &str, policy: Value) -> super::support::Answer {
    raw.send(Method::POST, &format!("/certificates/{name}/import"), Some(json!({"value": value, "policy": policy})))
        .await
}

#[tokio::test]
async fn pfx_and_pem_are_imported_with_their_chain() {
    let emulator: Emulator = emulator(CERTIFICATES).await;
    let raw = Raw::new(&emulator, "acme").await;
    for (source, name, content_type) in
        [("chained", "from-pfx", "application/x-pkcs12"), ("pem", "from-pem", "application/x-pem-file")]
    {
        let value = twin(&raw, source).await;
        let imported = import(&raw, name, &value, json!({"secret_props": {"contentType": content_type}})).await;
        assert_eq!(imported.status, StatusCode::OK, "{name}");
        let original = raw.get(&format!("/certificates/{source}")).await.body;
        assert_eq!(imported.body["x5t"], original["x5t"], "{name}");
        assert_eq!(imported.body["policy"]["key_props"]["kty"], "EC");
        assert_eq!(raw.get(&format!("/secrets/{name}")).await.body["contentType"], content_type);
    }
    let pem = twin(&raw, "from-pem").await;
    assert_eq!(pem.matches("-----BEGIN CERTIFICATE-----").count(), 3);
}

#[tokio::test]
async fn imports_that_are_no_certificate_are_refused_without_quoting_them() {
    let emulator = empty().await;
    let raw = Raw::new(&emulator, "acme").await;
    for value in ["kwcanary", "a3djYW5hcnk=", "-----BEGIN PRIVATE KEY-----\nkwcanary\n-----END PRIVATE KEY-----"] {
        let refused = import(&raw, "bad", value, Value::Null).await;
        assert_eq!((refused.status, refused.error().0), (StatusCode::BAD_REQUEST, "BadParameter"));
        assert!(!refused.body.to_string().contains("kwcanary"), "a refusal must not quote the value");
    }
}

#[tokio::test]
async fn creating_answers_202_and_the_pending_operation_completes() {
    let emulator = empty().await;
    let raw = Raw::new(&emulator, "acme").await;
    let policy = json!({"key_props": {"kty": "EC"}, "x509_props": {"subject": "CN=a"}});
    let created = raw.send(Method::POST, "/certificates/a/create", Some(json!({"policy": policy}))).await;
    assert_eq!(created.status, StatusCode::ACCEPTED);
    assert_eq!(created.body["status"], "inProgress");
    let pending = raw.get("/certificates/a/pending").await.body;
    assert_eq!(pending["status"], "completed");
    assert_eq!(pending["request_id"], created.body["request_id"]);
    assert_eq!(raw.get("/certificates/a/policy").await.body["x509_props"]["subject"], "CN=a");
    let change = json!({"key_props": {"exportable": false}});
    let changed = raw.send(Method::PATCH, "/certificates/a/policy", Some(change)).await.body;
    assert_eq!(changed["key_props"]["exportable"], false);
    let unknown = json!({"policy": {"issuer": {"name": "DigiCert"}}});
    let refused = raw.send(Method::POST, "/certificates/b/create", Some(unknown)).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_imported_key_shows_only_its_public_members() {
    let emulator = empty().await;
    let raw = Raw::new(&emulator, "acme").await;
    let key = json!({"kty": "EC", "crv": "P-256", "x": "AQ", "y": "Ag", "d": "kwcanary"});
    let imported = raw.send(Method::PUT, "/keys/mine", Some(json!({"key": key}))).await;
    assert_eq!(imported.status, StatusCode::OK);
    assert!(imported.body["key"].get("d").is_none());
    let part = json!({"key": {"kty": "RSA", "n": "AQ"}});
    assert_eq!(raw.send(Method::PUT, "/keys/mine", Some(part)).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn certificate_files_are_found_beside_the_objects_file() {
    let made = rcgen::generate_simple_self_signed(vec!["file.example".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let pem = format!("{}{}", made.signing_key.serialize_pem(), made.cert.pem());
    std::fs::write(dir.path().join("tls.pem"), pem).unwrap();
    let objects = dir.path().join("objects.yaml");
    std::fs::write(
        &objects,
        format!("vaults: {{acme: {{certificates: {{a: {{pemFile: tls.pem}}}}}}}}{}", super::support::IDENTITY),
    )
    .unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let emulator = Emulator::builder().objects_file(&objects).start().await.unwrap();
    let raw = Raw::new(&emulator, "acme").await;
    let bundle = raw.get("/certificates/a").await.body;
    assert!(STANDARD.decode(bundle["cer"].as_str().unwrap()).unwrap() == made.cert.der().as_ref());
}

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::*;
use crate::vault::credential::{CertificateSource, Files, SecretSource, SignInError, Store, StoreError, Stored};

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("fixtures/", $name)).as_slice()
    };
}

pub(super) const KEY: &str = include_str!("fixtures/client.key");
pub(super) const CERTIFICATE: &str = include_str!("fixtures/client.crt");

fn pem(parts: &[&[u8]]) -> Result<Signer, CertificateError> {
    Signer::from_pem(&parts.concat())
}

fn der(pem: &[u8]) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem).unwrap().to_vec()
}

#[test]
fn pem_is_read_in_any_order_with_the_key_s_certificate_first() {
    let (key, own, other) = (fixture!("client.key"), fixture!("client.crt"), fixture!("other.crt"));
    for parts in [[key, own, other], [other, own, key], [own, key, other], [fixture!("client-pkcs1.key"), other, own]] {
        assert_eq!(pem(&parts).unwrap().chain, [der(own), der(other)]);
    }
    assert_eq!(pem(&[key, own]).unwrap().leaf(), der(own));
}

#[test]
fn a_pfx_is_read_with_its_password_new_or_old() {
    let (own, other) = (der(fixture!("client.crt")), der(fixture!("other.crt")));
    assert_eq!(Signer::from_pfx(fixture!("password.pfx"), "kwcanary").unwrap().chain, [own.clone(), other]);
    assert_eq!(Signer::from_pfx(fixture!("empty.pfx"), "").unwrap().leaf(), own);
    assert_eq!(Signer::from_pfx(fixture!("legacy.pfx"), "kwcanary").unwrap().leaf(), own);
}

#[test]
fn what_cannot_sign_in_says_why() {
    let (key, own) = (fixture!("client.key"), fixture!("client.crt"));
    for (parts, reason) in [
        (&[key, fixture!("other.crt")][..], CertificateError::NoPair),
        (&[key], CertificateError::NoPair),
        (&[own], CertificateError::NoKey),
        (&[key, own, fixture!("other.key")], CertificateError::SeveralKeys),
        (&[fixture!("ec.key"), fixture!("ec.crt")], CertificateError::NotRsa),
        (&[b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", key], CertificateError::Pem),
    ] {
        assert_eq!(pem(parts).unwrap_err(), reason);
    }
    for (pfx, password, reason) in [
        (fixture!("password.pfx"), "", CertificateError::Password),
        (fixture!("password.pfx"), "wrong", CertificateError::Password),
        (fixture!("nokey.pfx"), "", CertificateError::NoKey),
        (b"kwcanary", "", CertificateError::Form),
    ] {
        assert_eq!(Signer::from_pfx(pfx, password).unwrap_err(), reason);
    }
}

#[tokio::test]
async fn a_directory_is_read_as_a_secret_is_mounted() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| std::fs::write(directory.path().join(name), content).unwrap();
    let read = || async { read(&CertificateSource::Directory(directory.path().to_owned())).await };
    let own = der(fixture!("client.crt"));
    assert!(matches!(read().await, Err(SignInError::Read { .. })), "empty");
    write("tls.crt", CERTIFICATE.trim_end().as_bytes());
    assert!(matches!(read().await, Err(SignInError::Read { .. })), "no key");
    write("tls.key", KEY.as_bytes());
    assert_eq!(read().await.unwrap().leaf(), own);

    write("client.pfx", fixture!("password.pfx"));
    write("password", b"kwcanary\n");
    let error = read().await.unwrap_err();
    assert!(matches!(error, SignInError::Certificate { cause: CertificateError::Both, .. }), "{error}");
    std::fs::remove_file(directory.path().join("tls.crt")).unwrap();
    assert_eq!(read().await.unwrap().leaf(), own);
    write("password", b"kwcanary-wrong\n");
    let error = read().await.unwrap_err().to_string();
    assert!(error.contains(&directory.path().display().to_string()) && !error.contains("kwcanary"), "{error}");
}

#[tokio::test]
async fn one_file_is_recognised_by_what_it_holds() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("client");
    let source = |password: Option<&str>| CertificateSource::File {
        path: path.clone(),
        password: password.map(|text| SecretSource::Held(text.into())),
    };
    std::fs::write(&path, format!("{CERTIFICATE}{KEY}")).unwrap();
    assert!(read(&source(None)).await.is_ok());
    std::fs::write(&path, fixture!("password.pfx")).unwrap();
    assert!(read(&source(Some("kwcanary"))).await.is_ok());
    assert!(read(&source(None)).await.is_err());
}

/// A store that holds one thing under whatever name.
#[derive(Debug, Default)]
struct Shelf(Mutex<Files>);

#[async_trait]
impl Store for Shelf {
    async fn read(&self, name: &str) -> Result<Files, StoreError> {
        let files = self.0.lock().unwrap().clone();
        if files.is_empty() { Err(StoreError::Missing(name.to_owned())) } else { Ok(files) }
    }

    fn shown(&self, name: &str) -> String {
        format!("Secret keyward/{name}")
    }
}

#[tokio::test]
async fn what_is_stored_is_read_as_a_directory_of_the_same_names() {
    let shelf = Arc::new(Shelf::default());
    let source = CertificateSource::Stored(Stored { store: Arc::clone(&shelf) as Arc<dyn Store>, name: "app".into() });
    let write = |name: &str, content: &[u8]| {
        shelf.0.lock().unwrap().insert(name.to_owned(), Zeroizing::new(content.to_vec()));
    };
    let own = der(fixture!("client.crt"));
    assert!(matches!(read(&source).await, Err(SignInError::Store(StoreError::Missing(_)))));
    write("tls.crt", CERTIFICATE.trim_end().as_bytes());
    let error = read(&source).await.unwrap_err().to_string();
    assert_eq!(error, "Secret keyward/app/tls.key holds no key of the client certificate");
    write("tls.key", KEY.as_bytes());
    assert_eq!(read(&source).await.unwrap().leaf(), own);

    write("client.pfx", fixture!("password.pfx"));
    write("password", b"kwcanary\n");
    let error = read(&source).await.unwrap_err();
    assert!(matches!(error, SignInError::Certificate { cause: CertificateError::Both, .. }), "{error}");
    shelf.0.lock().unwrap().remove("tls.crt");
    assert_eq!(read(&source).await.unwrap().leaf(), own);
    write("password", b"kwcanary-wrong\n");
    let error = read(&source).await.unwrap_err().to_string();
    assert!(error.contains("Secret keyward/app") && !error.contains("kwcanary"), "{error}");
}

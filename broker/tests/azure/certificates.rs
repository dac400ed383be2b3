//! Client certificates: what Entra is sent, checked as Entra checks it; and where each cloud's identities sign in.

use std::{collections::BTreeMap, path::PathBuf};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use keyward_broker::vault::{
    ReadError, VaultReader,
    azure::{AzureConfig, AzureVaults, ConnectError},
    credential::{CertificateSource, IdentityConfig, SecretSource},
    origin::Origin,
};
use keyward_crds::azure_key_vault::Cloud;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};
use sha1::Digest as _;
use x509_parser::{pem::parse_x509_pem, prelude::FromDer as _, prelude::X509Certificate};

use super::{
    server::{Answer, Call},
    world::{World, any_secret, application, by_secret, challenging, current},
};

const CERTIFICATE: &[u8] = include_bytes!("../../src/vault/credential/certificate/fixtures/client.crt");

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/vault/credential/certificate/fixtures").join(name)
}

fn certified(certificate: CertificateSource, send_chain: bool) -> IdentityConfig {
    IdentityConfig::ClientCertificate { application: application("tenant-1", "client-1"), certificate, send_chain }
}

fn part(token: &str, number: usize) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(number)?).ok()?).ok()
}

/// Whether `call` carries an assertion of the application, good for here and now, by the registered certificate.
fn is_proven(call: &Call) -> Option<()> {
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(call.body.as_bytes()).into_owned().collect();
    let token = form.get("client_assertion")?;
    let der = parse_x509_pem(CERTIFICATE).ok()?.1.contents;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    let (text, signature) = token.rsplit_once('.')?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &certificate.public_key().subject_public_key.data)
        .verify(text.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?)
        .ok()?;
    let (header, claims) = (part(token, 0)?, part(token, 1)?);
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let proven = header["alg"] == "RS256"
        && header["x5t"] == URL_SAFE_NO_PAD.encode(sha1::Sha1::digest(&der))
        && header["x5t#S256"] == URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(&der))
        && claims["aud"] == format!("https://{}/tenant-1/oauth2/v2.0/token", call.host)
        && claims["iss"] == "client-1"
        && claims["sub"] == "client-1"
        && claims["nbf"].as_i64()? <= now
        && claims["exp"].as_i64()? > now
        && form.get("client_assertion_type")? == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        && !form.contains_key("client_secret");
    proven.then_some(())
}

fn entra(call: &Call) -> Answer {
    match is_proven(call) {
        Some(()) => Answer::json(200, json!({"token_type": "Bearer", "expires_in": 3600, "access_token": "token-1"})),
        None => {
            Answer::json(401, json!({"error": "invalid_client", "error_description": "", "error_codes": [700_027]}))
        }
    }
}

fn held(password: &str) -> SecretSource {
    SecretSource::Held(password.into())
}

#[tokio::test]
async fn a_certificate_in_each_form_proves_the_application() {
    let directory = tempfile::tempdir().unwrap();
    let one_file = directory.path().join("client.pem");
    let text = [fixture("client.key"), fixture("client.crt")].map(|path| std::fs::read_to_string(path).unwrap());
    std::fs::write(&one_file, text.concat()).unwrap();
    let mounted = tempfile::tempdir().unwrap();
    std::fs::copy(fixture("client.crt"), mounted.path().join("tls.crt")).unwrap();
    std::fs::copy(fixture("client-pkcs1.key"), mounted.path().join("tls.key")).unwrap();
    for source in [
        CertificateSource::File { path: one_file, password: None },
        CertificateSource::File { path: fixture("password.pfx"), password: Some(held("kwcanary")) },
        CertificateSource::File { path: fixture("legacy.pfx"), password: Some(held("kwcanary")) },
        CertificateSource::File { path: fixture("empty.pfx"), password: None },
        CertificateSource::Directory(mounted.path().to_owned()),
    ] {
        let mut world = World::with_entra(challenging(any_secret), entra).await;
        world.identity = certified(source.clone(), false);
        world.reader().read(&current("db")).await.unwrap_or_else(|error| panic!("{source:?}: {error}"));
        assert_eq!(world.entra.calls().len(), 1);
    }
}

#[tokio::test]
async fn the_chain_goes_along_where_it_is_wanted() {
    let mut world = World::with_entra(challenging(any_secret), entra).await;
    let source = CertificateSource::File { path: fixture("password.pfx"), password: Some(held("kwcanary")) };
    world.identity = certified(source, true);
    world.reader().read(&current("db")).await.unwrap();
    let body = world.entra.calls()[0].body.clone();
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let chain = part(&form["client_assertion"], 0).unwrap()["x5c"].clone();
    let own = STANDARD.encode(parse_x509_pem(CERTIFICATE).unwrap().1.contents);
    assert_eq!((chain[0].as_str(), chain.as_array().map(Vec::len)), (Some(own.as_str()), Some(2)));
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_told_before_anything_is_sent() {
    for (source, part) in [
        (CertificateSource::File { path: fixture("password.pfx"), password: Some(held("kwcanary-wrong")) }, "password"),
        (CertificateSource::File { path: fixture("client.crt"), password: None }, "no private key"),
        (CertificateSource::File { path: "/nonexistent/client.pfx".into(), password: None }, "/nonexistent/client.pfx"),
    ] {
        let mut world = World::with_entra(challenging(any_secret), entra).await;
        world.identity = certified(source, false);
        let error = world.reader().read(&current("db")).await.unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains("kwcanary"), "{error}");
        assert!(world.entra.calls().is_empty());
    }
}

#[tokio::test]
async fn another_certificate_is_refused_by_the_authority() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.pem");
    let text = [fixture("other.key"), fixture("other.crt")].map(|path| std::fs::read_to_string(path).unwrap());
    std::fs::write(&path, text.concat()).unwrap();
    let mut world = World::with_entra(challenging(any_secret), entra).await;
    world.identity = certified(CertificateSource::File { path, password: None }, false);
    let error = world.reader().read(&current("db")).await.unwrap_err();
    assert_eq!(error, ReadError::NoToken("the authority answers 401, AADSTS700027".to_owned()));
}

#[tokio::test]
async fn a_custom_cloud_s_tokens_are_for_its_own_audience() {
    let mut world = World::open(|call| match call.authorization {
        Some(_) => any_secret(call),
        None => {
            super::world::challenge(r#"Bearer authorization="https://l/t", resource="https://vault.stack.example""#)
        }
    })
    .await;
    let connect = |world: &World, config: AzureConfig| {
        let vaults = AzureVaults::new(config, world.seen.clone()).unwrap();
        vaults.connect(&world.vault.origin, Cloud::AzureCustom, &world.identity, world.seen.clone())
    };
    world.identity = by_secret("tenant-1", "client-1");
    let custom = AzureConfig { custom_audience: Some("https://vault.stack.example".to_owned()), ..world.config() };
    connect(&world, custom.clone()).unwrap().read(&current("db")).await.unwrap();
    assert!(world.entra.calls()[0].body.contains("scope=https%3A%2F%2Fvault.stack.example%2F.default"));

    for undescribed in [world.config(), AzureConfig { authority_host: None, ..custom }] {
        let error = connect(&world, undescribed).err().unwrap();
        assert!(matches!(error, ConnectError::Custom { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_vault_of_one_cloud_is_not_opened_in_another() {
    let world = World::new(any_secret).await;
    let origin = Origin::parse("https://acme.vault.usgovcloudapi.net").unwrap();
    for (cloud, opens) in [
        (Cloud::AzureUSGovernment, true),
        (Cloud::AzurePublic, false),
        (Cloud::AzureChina, false),
        (Cloud::AzureCustom, false),
    ] {
        let opened = world.vaults().connect(&origin, cloud, &world.identity, world.seen.clone());
        assert_eq!(opened.is_ok(), opens, "{cloud:?}");
    }
}

//! Every object type in every output: what is written, as the API server holds it.

use anyhow::{Context as _, ensure};
use keyward_tests::vault::config::{CertificateSeed, KeySeed};

use crate::{
    scene::Scene,
    shop::{Shop, VAULT},
    wait::{SOON, until_true},
};

tests![
    a_secret_is_written_under_its_key_after_its_transforms,
    typed_outputs_of_a_secret_have_the_keys_of_their_type,
    a_certificate_is_a_tls_secret_leaf_first_with_its_root,
    a_certificate_is_public_unless_its_key_is_asked_for,
    a_key_is_its_public_half,
    a_map_is_a_key_for_each_entry,
    a_config_map_takes_text_and_never_a_private_key,
    one_secret_fills_a_secret_and_a_config_map,
    a_secret_that_expires_says_when,
];

async fn a_secret_is_written_under_its_key_after_its_transforms(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    let version = shop.synced("plain", "kwcanary-plain", "{secret: {name: plain, dataKey: value}}").await?;
    shop.until_data("plain", &[("value", "kwcanary-plain")]).await?;
    let secret = shop.secrets().get("plain").await?;
    ensure!(secret.type_.as_deref() == Some("Opaque"), "{:?}", secret.type_);
    let status = shop.status("plain").await?;
    ensure!(status["version"] == version && status["secretName"] == "plain", "{status}");
    let transformed = "{secret: {name: coded, dataKey: value}, transform: [trim, base64encode]}";
    shop.synced("coded", "  kwcanary  ", transformed).await?;
    shop.until_data("coded", &[("value", "a3djYW5hcnk=")]).await
}

async fn typed_outputs_of_a_secret_have_the_keys_of_their_type(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    let docker = r#"{"auths":{"registry.example":{"auth":"a3djYW5hcnk="}}}"#;
    let old_docker = r#"{"registry.example":{"auth":"a3djYW5hcnk="}}"#;
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nkwcanary\n-----END OPENSSH PRIVATE KEY-----\n";
    for (name, secret_type, value, expected) in [
        (
            "basic",
            "kubernetes.io/basic-auth",
            "me:kwcanary:pass",
            &[("username", "me"), ("password", "kwcanary:pass")][..],
        ),
        ("docker", "kubernetes.io/dockerconfigjson", docker, &[(".dockerconfigjson", docker)]),
        ("old-docker", "kubernetes.io/dockercfg", old_docker, &[(".dockercfg", old_docker)]),
        ("ssh", "kubernetes.io/ssh-auth", key, &[("ssh-privatekey", key)]),
    ] {
        shop.synced(name, value, &format!("{{secret: {{name: {name}, type: {secret_type}}}}}")).await?;
        shop.until_data(name, expected).await?;
        let found = shop.secrets().get(name).await?.type_;
        ensure!(found.as_deref() == Some(secret_type), "{name}: {found:?}");
    }
    Ok(())
}

async fn a_certificate_is_a_tls_secret_leaf_first_with_its_root(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    for (name, content_type) in [("pfx", "application/x-pkcs12"), ("pem", "application/x-pem-file")] {
        let seed = CertificateSeed {
            subject: Some("CN=shop.example".to_owned()),
            content_type: Some(content_type.to_owned()),
            chain: true,
            ..CertificateSeed::default()
        };
        shop.stand.vault(VAULT)?.put_certificate(&shop.object(name), &seed)?;
        shop.akvs(name, "certificate", &format!("{{secret: {{name: {name}, type: kubernetes.io/tls}}}}")).await?;
        shop.until_ready(name, "True", "Synced").await?;
        let data = shop.data(name).await?.context("no Secret")?;
        ensure!(data.keys() == ["ca.crt", "tls.crt", "tls.key"], "{data:?}");
        let chain = data.text("tls.crt").context("no chain")?;
        ensure!(chain.matches("BEGIN CERTIFICATE").count() >= 2 && !chain.contains("PRIVATE KEY"), "{name}: its chain");
        ensure!(data.text("tls.key").is_some_and(|key| key.contains("PRIVATE KEY")), "{name}: its key");
    }
    Ok(())
}

async fn a_certificate_is_public_unless_its_key_is_asked_for(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.stand.vault(VAULT)?.put_certificate(&shop.object("cert"), &CertificateSeed::default())?;
    for (name, output) in [
        ("untyped", "{secret: {name: untyped, dataKey: cert.pem}}"),
        ("opaque", "{secret: {name: opaque, type: Opaque, dataKey: cert.pem}}"),
    ] {
        shop.akvs_of(name, "cert", "certificate", output, "{}").await?;
        shop.until_ready(name, "True", "Synced").await?;
        let data = shop.data(name).await?.context("no Secret")?;
        let text = data.text("cert.pem").context("no cert.pem")?;
        ensure!(text.contains("BEGIN CERTIFICATE") && !text.contains("PRIVATE KEY"), "{name}: it is not public");
    }
    shop.akvs_of("key", "cert", "certificate", "{secret: {name: key, dataKey: tls.key}}", "{}").await?;
    shop.until_ready("key", "True", "Synced").await?;
    let data = shop.data("key").await?.context("no Secret")?;
    ensure!(data.text("tls.key").is_some_and(|key| key.contains("PRIVATE KEY")), "the key was asked for by name");
    Ok(())
}

async fn a_key_is_its_public_half(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    for (name, kty) in [("rsa", "RSA"), ("ec", "EC")] {
        let seed = KeySeed { kty: kty.to_owned(), ..KeySeed::default() };
        shop.stand.vault(VAULT)?.put_key(&shop.object(name), &seed)?;
        shop.akvs(
            name,
            "key",
            &format!("{{secret: {{name: {name}, dataKey: k}}, configMap: {{name: {name}, dataKey: k}}}}"),
        )
        .await?;
        shop.until_ready(name, "True", "Synced").await?;
        let data = shop.data(name).await?.context("no Secret")?;
        ensure!(data.text("k").is_some_and(|key| key.starts_with("-----BEGIN PUBLIC KEY-----")), "{name}");
        ensure!(shop.config_data(name).await? == Some(data), "{name}: the ConfigMap holds something else");
    }
    Ok(())
}

async fn a_map_is_a_key_for_each_entry(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.set("map", r#"{"user": "me", "password": "kwcanary"}"#)?;
    shop.akvs("map", "multi-key-value-secret", "{secret: {name: map}, configMap: {name: map}}").await?;
    shop.until_ready("map", "True", "Synced").await?;
    let expected = &[("user", "me"), ("password", "kwcanary")];
    shop.until_data("map", expected).await?;
    ensure!(shop.config_data("map").await?.is_some_and(|data| data.is(expected)), "the ConfigMap");
    Ok(())
}

async fn a_config_map_takes_text_and_never_a_private_key(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.synced("text", "kwcanary", "{configMap: {name: text, dataKey: k}}").await?;
    ensure!(shop.config_data("text").await?.is_some_and(|data| data.is(&[("k", "kwcanary")])), "text");
    shop.stand.vault(VAULT)?.put_certificate(&shop.object("cert"), &CertificateSeed::default())?;
    shop.akvs("cert", "certificate", "{configMap: {name: cert, dataKey: cert.pem}}").await?;
    shop.until_ready("cert", "True", "Synced").await?;
    let data = shop.config_data("cert").await?.context("no ConfigMap")?;
    ensure!(data.text("cert.pem").is_some_and(|text| text.contains("BEGIN CERTIFICATE") && !text.contains("PRIVATE")));
    let refused = shop.akvs_of("key", "cert", "certificate", "{configMap: {name: key, dataKey: tls.key}}", "{}").await;
    ensure!(refused.is_err(), "the API server takes a private key for a ConfigMap");
    Ok(())
}

async fn one_secret_fills_a_secret_and_a_config_map(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.synced("both", "kwcanary", "{secret: {name: both, dataKey: a}, configMap: {name: both, dataKey: b}}").await?;
    shop.until_data("both", &[("a", "kwcanary")]).await?;
    ensure!(shop.config_data("both").await?.is_some_and(|data| data.is(&[("b", "kwcanary")])));
    let status = shop.status("both").await?;
    ensure!(status["secretName"] == "both" && status["configMapName"] == "both", "{status}");
    shop.delete("both", &kube::api::DeleteParams::default()).await?;
    shop.until_no_secret("both").await?;
    until_true("no ConfigMap", SOON, async || Ok(shop.config_data("both").await?.is_none())).await
}

async fn a_secret_that_expires_says_when(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    let seed = keyward_tests::vault::config::SecretSeed {
        exp: Some(4_102_444_800),
        ..keyward_tests::vault::config::SecretSeed::of("kwcanary")
    };
    shop.stand.vault(VAULT)?.put_secret(&shop.object("ends"), &seed)?;
    shop.akvs("ends", "secret", "{secret: {name: ends, dataKey: k}}").await?;
    shop.until_ready("ends", "True", "Synced").await?;
    let status = shop.status("ends").await?;
    ensure!(status["expires"] == "2100-01-01T00:00:00Z", "{status}");
    shop.set("ends", "kwcanary-2")?;
    let gone = async || Ok(shop.status("ends").await?["expires"].is_null());
    until_true("a version without expiry", SOON, gone).await
}

//! Stopping in the middle of work, and what a client sees of it.

use keyward_tests::{
    process::Process,
    vault::{Fault, Rule},
};
use rustix::process::Signal;

use super::support::{launch, secret, shop, shop_token};

#[tokio::test]
async fn a_resolve_under_way_is_finished_after_sigterm() {
    let stand = shop(&secret("shop", "db-password", "secret")).await;
    let gate = stand.emulator.faults().gate("held");
    stand.emulator.faults().arm(Rule::next(1, Fault::Hold { gate: "held".into() }).vault("acme")).unwrap();
    let token = stand.write_token(&shop_token()).unwrap();
    let environment = [("VALUE", "db-password@azurekeyvault")];
    let mut launcher = stand.launcher(&token, &environment, &["sh", "-c", "printf %s \"$VALUE\""]).unwrap();
    let launcher = Process::spawn_launcher("keyward-launcher", &mut launcher).unwrap();
    gate.arrived(1).await;

    stand.broker.signal(Signal::TERM).unwrap();
    stand.broker.line("that it shuts down", |line| line.contains("shutting down").then_some(())).await.unwrap();
    gate.release();

    let launched = launcher.finish().await.unwrap();
    assert!(launched.status.success() && launched.stdout == "kwcanary-db-1\n", "{}", launched.stderr);
    let broker = stand.broker.finish().await.unwrap();
    assert!(broker.status.success(), "{}", broker.stderr);
}

#[tokio::test]
async fn a_peer_that_says_nothing_does_not_hold_up_the_end() {
    use std::sync::Arc;
    let stand = shop("").await;
    let mut roots = rustls::RootCertStore::empty();
    let ca = stand.ca.cert_pem();
    roots.add(rustls_pki_types::pem::PemObject::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let socket = tokio::net::TcpStream::connect(stand.grpc).await.unwrap();
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let silent = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
    stand.broker.signal(Signal::TERM).unwrap();
    let ended = stand.broker.finish().await.unwrap();
    assert!(ended.status.success(), "{}", ended.stderr.lines().last().unwrap_or_default());
    drop(silent);
}

#[tokio::test]
async fn a_broker_that_is_gone_is_waited_for_and_then_said() {
    let stand = shop(&secret("shop", "db-password", "secret")).await;
    let token = stand.write_token(&shop_token()).unwrap();
    let environment = [("VALUE", "db-password@azurekeyvault"), ("KEYWARD_DEADLINE", "300ms")];
    let mut launcher = stand.launcher(&token, &environment, &["true"]).unwrap();
    stand.broker.stop().await.unwrap();
    let finished = Process::spawn_launcher("keyward-launcher", &mut launcher).unwrap().finish().await.unwrap();
    assert_eq!(finished.status.code(), Some(69), "{}", finished.stderr);
    assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
}

#[tokio::test]
async fn a_busy_port_is_named_with_its_flag() {
    let stand = shop("").await;
    let mut broker = tokio::process::Command::new(stand.programs.path("keyward-broker").unwrap());
    let directory = stand.directory();
    broker
        .arg("serve")
        .env_clear()
        .env("KEYWARD_LISTEN", stand.grpc.to_string())
        .env("KEYWARD_TLS_DIR", directory.join("broker-tls"))
        .env("KEYWARD_SOURCE", directory.join("manifests"))
        .env("KEYWARD_JWKS_ISSUER", "https://issuer.example")
        .env("AZURE_TENANT_ID", "t")
        .env("AZURE_CLIENT_ID", "c")
        .env("AZURE_FEDERATED_TOKEN_FILE", directory.join("federated-token"));
    let finished = Process::spawn("keyward-broker", &mut broker).unwrap().finish().await.unwrap();
    assert_eq!(finished.status.code(), Some(1), "{}", finished.stderr);
    let address = stand.grpc.to_string();
    assert!(finished.stderr.contains("--listen") && finished.stderr.contains(&address), "{}", finished.stderr);
}

#[tokio::test]
async fn the_exit_code_and_the_arguments_are_the_programs_own() {
    let stand = shop(&secret("shop", "db-password", "secret")).await;
    let token = stand.write_token(&shop_token()).unwrap();
    let environment = [("VALUE", "db-password@azurekeyvault")];
    let command = ["sh", "-c", "test \"$1\" = 'two words' && exit 42", "sh", "two words"];
    let mut launcher = stand.launcher(&token, &environment, &command).unwrap();
    let finished = Process::spawn_launcher("keyward-launcher", &mut launcher).unwrap().finish().await.unwrap();
    assert_eq!(finished.status.code(), Some(42), "{}", finished.stderr);
    assert!(launch(&stand, &shop_token(), "no reference at all").await.status.success());
}

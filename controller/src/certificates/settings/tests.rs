use clap::Parser as _;

use super::*;
use crate::args::{Cli, Command};

fn provider(more: &[&str]) -> Result<Provider, SettingsError> {
    let all = ["keyward-controller", "serve", "--broker", "https://b", "--lease-namespace", "keyward"];
    let Command::Serve(args) = Cli::try_parse_from(all.iter().chain(more)).unwrap().command;
    Provider::of(&args)
}

fn issuing(more: &[&str]) -> Result<Settings, SettingsError> {
    let all = ["--issue-certificates", "--broker-dns-name", "broker,broker.keyward.svc"];
    match provider(&[&all, more].concat())? {
        Provider::Issuing(settings) => Ok(settings),
        Provider::Directory(_) => panic!("a directory"),
    }
}

#[test]
fn somebody_provides_certificates_and_nobody_else() {
    assert!(matches!(provider(&["--tls-dir", "t"]), Ok(Provider::Directory(_))));
    assert!(matches!(provider(&["--tls-dir", "t", "--issue-certificates=false"]), Ok(Provider::Directory(_))));
    assert_eq!(provider(&[]).unwrap_err(), SettingsError::NoProvider);
    let both = ["--tls-dir", "t", "--issue-certificates", "--broker-dns-name", "b"];
    assert_eq!(provider(&both).unwrap_err(), SettingsError::TwoProviders);
    assert_eq!(provider(&["--issue-certificates"]).unwrap_err(), SettingsError::NoBrokerName);
}

#[test]
fn each_certificate_says_its_owners_role_and_names() {
    let settings = issuing(&["--webhook-dns-name", "hook.keyward.svc", "--trust-domain", "example.org"]).unwrap();
    let shown: Vec<_> = settings
        .leaves
        .iter()
        .map(|wanted| (wanted.secret.as_deref(), wanted.identity.uri.as_str(), wanted.identity.dns.join(" ")))
        .collect();
    let uri = |role: &str| format!("spiffe://example.org/keyward/{role}");
    assert_eq!(
        shown,
        [
            (None, uri("controller").as_str(), String::new()),
            (Some("keyward-broker-tls"), uri("broker").as_str(), "broker broker.keyward.svc".to_owned()),
            (Some("keyward-webhook-tls"), uri("webhook").as_str(), "hook.keyward.svc".to_owned()),
        ]
    );
    assert_eq!(issuing(&[]).unwrap().leaves.len(), 2);
    assert_eq!(settings.authority, "keyward-ca");
}

#[test]
fn what_makes_no_sense_is_said_at_start() {
    let quarter = |flag| SettingsError::Quarter { flag };
    for (flags, said) in [
        (&["--leaf-lifetime", "100days"][..], quarter("--leaf-lifetime").to_string()),
        (&["--ca-overlap", "92days"], quarter("--ca-overlap").to_string()),
        (&["--ca-lifetime", "1h", "--leaf-lifetime", "15m"], quarter("--leaf-lifetime").to_string()),
        (&["--leaf-lifetime", "3s"], "--leaf-lifetime lasts from 4s to ".to_owned()),
        (&["--ca-overlap", "0s"], "--ca-overlap lasts from 1s to ".to_owned()),
        (&["--ca-lifetime", "200years"], "--ca-lifetime lasts from 16s to ".to_owned()),
        (&["--webhook-configuration", "keyward"], SettingsError::NoWebhookName.to_string()),
        (&["--ca-secret", "keyward-broker-tls"], SettingsError::SameSecret.to_string()),
        (&["--webhook-dns-name", "Hook"], "--webhook-dns-name: `Hook` is no DNS name in small letters".to_owned()),
        (&["--trust-domain", "a/b"], "--trust-domain: `a/b` is no DNS name in small letters".to_owned()),
    ] {
        let error = issuing(flags).unwrap_err().to_string();
        assert!(error.starts_with(&said), "{error}");
    }
    let tiny = ["--ca-lifetime", "40s", "--leaf-lifetime", "8s", "--ca-overlap", "2s"];
    assert!(issuing(&tiny).is_ok());
}

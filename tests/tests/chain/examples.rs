//! The main job: every kind of object through the real launcher, counted at the vault, audited, shown in the status.

use std::collections::BTreeSet;

use keyward_proto::v1::StatusRequest;
use keyward_tests::{process::Process, vault::CallCount};

use super::support::{cache, launch, secret, secret_of, shop, shop_token, stand, value};

const ALL_TYPES: &str = r#"
vaults:
  acme:
    secrets:
      db-password: {value: kwcanary-db-1}
      mail-login: {value: "kwcanary-user:kwcanary:with:colons"}
      settings: {value: '{"log.level": "kwcanary-debug"}'}
      flags: {value: "dark-mode: true\nratio: 1.10\n"}
    certificates:
      shop-tls: {subject: CN=shop.example, keyType: ec-p256, chain: true}
    keys:
      signing: {kty: EC}
identities:
  - clientId: 22222222-2222-2222-2222-222222222222
    federatedSubjects: ["system:serviceaccount:keyward:keyward-broker"]
"#;

fn all_types() -> String {
    let multi = |name: &str, format: &str| {
        let more = format!("type: multi-key-value-secret, contentType: application/x-{format}");
        secret_of("shop", name, "acme", name, &more)
    };
    [
        super::support::VAULT.to_owned(),
        secret("shop", "db-password", "secret"),
        secret("shop", "mail-login", "secret"),
        multi("settings", "json"),
        multi("flags", "yaml"),
        secret("shop", "shop-tls", "certificate"),
        secret("shop", "signing", "key"),
    ]
    .concat()
}

#[tokio::test]
async fn every_type_and_query_reaches_the_program() {
    let stand = stand(ALL_TYPES, &all_types()).await;
    for (reference, expected) in [
        ("db-password@azurekeyvault", "kwcanary-db-1"),
        ("mail-login@azurekeyvault?username", "kwcanary-user"),
        ("mail-login@azurekeyvault?password", "kwcanary:with:colons"),
        ("settings@azurekeyvault?log.level", "kwcanary-debug"),
        ("flags@azurekeyvault?ratio", "1.10"),
    ] {
        // Equality is asserted without showing either side: these are values.
        assert!(value(&stand, reference).await == expected, "{reference} has another value");
    }
    for (reference, begins, count) in [
        ("shop-tls@azurekeyvault", "-----BEGIN CERTIFICATE-----", 3),
        ("shop-tls@azurekeyvault?tls.crt", "-----BEGIN CERTIFICATE-----", 3),
        ("shop-tls@azurekeyvault?ca.crt", "-----BEGIN CERTIFICATE-----", 1),
        ("shop-tls@azurekeyvault?tls.key", "-----BEGIN EC PRIVATE KEY-----", 1),
        ("signing@azurekeyvault", "-----BEGIN PUBLIC KEY-----", 1),
    ] {
        let value = value(&stand, reference).await;
        assert!(value.starts_with(begins), "{reference} begins otherwise");
        assert_eq!(value.matches("-----BEGIN").count(), count, "{reference}");
    }
    assert!(value(&stand, "signing@azurekeyvault?jwk").await.contains(r#""kty":"EC""#));
}

#[tokio::test]
async fn each_object_is_read_once_and_each_client_challenged_once() {
    let stand = stand(ALL_TYPES, &all_types()).await;
    let references = ["db-password", "mail-login", "shop-tls", "signing"].map(|name| format!("{name}@azurekeyvault"));
    for _ in 0..3 {
        for reference in &references {
            value(&stand, reference).await;
        }
    }
    let calls = stand.emulator.calls();
    let of = |status: u16| calls.matching(|call: &CallCount| call.vault == "acme" && call.status == status);
    assert_eq!(of(200), 5, "two secrets, a certificate with its twin, a key");
    assert_eq!(of(401), 3, "one challenge each for the clients of secrets, certificates and keys");
    assert_eq!(calls.matching(|call: &CallCount| call.vault == "acme"), 8);
}

#[tokio::test]
async fn a_reference_asked_for_twice_is_one_and_other_variables_stay() {
    let stand = shop(&secret("shop", "db-password", "secret")).await;
    let token = stand.write_token(&shop_token()).unwrap();
    let reference = "db-password@azurekeyvault";
    let mut launcher =
        stand.launcher(&token, &[("A", reference), ("B", reference), ("C", "plain")], &["sh", "-c", "env"]).unwrap();
    let finished = Process::spawn_launcher("keyward-launcher", &mut launcher).unwrap().finish().await.unwrap();
    assert!(finished.status.success(), "{}", finished.stderr);
    for line in ["A=kwcanary-db-1", "B=kwcanary-db-1", "C=plain"] {
        assert!(finished.stdout.lines().any(|printed| printed == line), "one of the variables is not as it should be");
    }
    assert!(!finished.stdout.contains("KEYWARD_"), "the launcher's own variables must be gone");
}

#[tokio::test]
async fn the_audit_line_tells_who_read_what_by_which_rule() {
    let stand = shop(&secret("shop", "db-password", "secret")).await;
    value(&stand, "db-password@azurekeyvault").await;
    launch(&stand, &shop_token(), "unknown@azurekeyvault").await;
    let audit = |code: &str| {
        let code = code.to_owned();
        move |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            (line["audit"] == "resolve" && line["code"] == code.as_str()).then_some(line)
        }
    };
    let granted = stand.broker.line("an audit line of the grant", audit("OK")).await.unwrap();
    assert_eq!(granted["caller"]["namespace"], "shop");
    assert_eq!(granted["caller"]["serviceAccount"], "checkout");
    assert_eq!(granted["caller"]["pod"], "checkout-1");
    assert_eq!(granted["caller"]["node"], "node-1");
    assert_eq!(granted["objects"][0]["reference"], "db-password@azurekeyvault");
    assert_eq!(granted["objects"][0]["object"], "secret/db-password");
    assert_eq!(granted["objects"][0]["vault"], stand.emulator.vault_url("acme").trim_end_matches('/'));
    assert!(granted["objects"][0]["rule"].as_str().unwrap().starts_with("AzureKeyVault acme"));
    assert_eq!(granted["objects"][0]["version"].as_str().unwrap().len(), 32);
    let refused = stand.broker.line("an audit line of the refusal", audit("NOT_FOUND")).await.unwrap();
    assert!(refused["objects"][0]["error"].as_str().unwrap().contains("shop/unknown does not exist"));
}

#[tokio::test]
async fn the_status_shows_what_is_held_and_never_a_value() {
    let stand = shop(&secret("shop", "db-password", "secret")).await;
    for _ in 0..2 {
        value(&stand, "db-password@azurekeyvault").await;
    }
    let status = cache(&stand).await.status(StatusRequest::default()).await.unwrap().into_inner();
    let totals = status.totals.unwrap();
    assert_eq!((totals.entries, totals.hits, totals.misses, totals.secrets), (1, 1, 1, 1));
    assert_eq!((status.objects[0].name.as_str(), status.objects[0].r#type.as_str()), ("db-password", "secret"));
    assert_eq!(status.vaults[0].requests, 2, "a challenge and a read");

    let table = stand.status(&[]).unwrap().output().await.unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("db-password  secret") && !table.contains("kwcanary"), "{table}");
    let json = stand.status(&["--output", "json"]).unwrap().output().await.unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["objects"][0]["name"], "db-password");
    assert_eq!(json["vaults"][0]["requests"], 2);
}

#[tokio::test]
async fn the_admin_port_tells_life_readiness_and_counts() {
    let stand = shop(&secret("shop", "db-password", "secret")).await;
    value(&stand, "db-password@azurekeyvault").await;
    let get = async |path: &str| {
        let reply = reqwest::get(format!("http://{}{path}", stand.admin)).await.unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    };
    assert_eq!(get("/livez").await.0, 200);
    assert_eq!(get("/readyz").await.0, 200);
    let (code, metrics) = get("/metrics").await;
    assert_eq!(code, 200);
    let origin = stand.emulator.vault_url("acme");
    for line in [
        r#"keyward_requests_total{method="keyward.v1.Secrets/Resolve",code="OK"} 1"#.to_owned(),
        format!(
            r#"keyward_vault_requests_total{{vault="{}",operation="get_secret",status="200"}} 1"#,
            origin.trim_end_matches('/')
        ),
        "keyward_cache_misses_total 1".to_owned(),
        "keyward_cache_entries 1.0".to_owned(),
    ] {
        assert!(metrics.lines().any(|metric| metric == line), "{line} is not among\n{metrics}");
    }
    assert!(!metrics.contains("kwcanary"));
    let of_an_api_server = ["keyward_watch_healthy", "keyward_watch_failures", "keyward_snapshots", "keyward_reviews"];
    let of_bound_pods = [
        "keyward_pod_reads",
        "keyward_binding_refusals",
        "keyward_binding_unrecorded",
        "keyward_binding_legacy",
        "keyward_binding_records",
        "keyward_binding_records_dropped",
    ];
    let mut documented = documented();
    for name in of_an_api_server.into_iter().chain(of_bound_pods).chain(["keyward_events"]) {
        assert!(documented.iter().any(|(documented, _)| documented == name), "{name}");
        documented.retain(|(documented, _)| documented != name);
    }
    assert_eq!(
        exported(&metrics),
        documented,
        "docs/metrics.md and what is exported without an API server and Event Grid"
    );
}

/// Name and type of every series in a scrape.
fn exported(metrics: &str) -> BTreeSet<(String, String)> {
    let types = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

/// Name and type of every series in the document.
fn documented() -> BTreeSet<(String, String)> {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md")).unwrap();
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `keyward_"));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    cells
        .map(|cells| {
            let name = cells[0].trim_end_matches('`').trim_end_matches("_total");
            (format!("keyward_{name}"), cells[1].to_owned())
        })
        .collect()
}

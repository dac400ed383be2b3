//! A cluster on which akv2k8s ran: its definition, `AzureKeyVaultSecret`s of several versions, and the Secrets and
//! `ConfigMap`s that its controller wrote and that people have written into since.
//!
//! | `AzureKeyVaultSecret` | version | wrote |
//! |---|---|---|
//! | `db` | v1 | Secret `db`, key `password`; somebody labelled and annotated it, and added a key |
//! | `login` | v1alpha1 | Secret `login` of type `kubernetes.io/basic-auth` |
//! | `settings` | v2beta1 | Secret `settings`, a map, with a key that has left the vault's map since |
//! | `site` | v2beta1 | Secret `site` of type `kubernetes.io/tls` |
//! | `flags` | v2beta1 | ConfigMap `flags` |
//! | `left`, `right` | v1, v2beta1 | one Secret, `both`, a key each |
//! | `injected` | v2alpha1 | nothing: only pods use it |

pub mod definition;

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use keyward_tests::ca::TestCa;
use kube::{
    Api, Client, ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    core::ApiResource,
};
use serde_json::{Value, json};

use super::{emulator::VAULT, site::Site};
use crate::{
    kubectl::kubectl,
    wait::{SOON, until_true},
};

/// Where it ran.
pub const NAMESPACE: &str = "before";

/// By which name its controller writes, as the API server notes it.
const CONTROLLER: &str = "azure-keyvault-controller";

/// Of everything that it left: kind and name, and the UID.
pub type Left = BTreeMap<(String, String), String>;

/// An `AzureKeyVaultSecret`: its version, what it reads, its output.
struct Declared {
    name: &'static str,
    version: &'static str,
    /// Type and name in the vault.
    object: [&'static str; 2],
    output: Value,
}

/// Every `AzureKeyVaultSecret`.
pub const NAMES: [&str; 8] = ["db", "login", "settings", "site", "flags", "left", "right", "injected"];

fn declared() -> [Declared; 8] {
    let declared = |name, version, object, output| Declared { name, version, object, output };
    let key = |name: &str, key: &str| json!({"secret": {"name": name, "dataKey": key}});
    [
        declared("db", "v1", ["secret", "before-db"], key("db", "password")),
        declared(
            "login",
            "v1alpha1",
            ["secret", "before-login"],
            json!({"secret": {"name": "login", "type": "kubernetes.io/basic-auth"}}),
        ),
        declared(
            "settings",
            "v2beta1",
            ["multi-key-value-secret", "before-settings"],
            json!({"secret": {"name": "settings"}}),
        ),
        declared(
            "site",
            "v2beta1",
            ["certificate", "before-site"],
            json!({"secret": {"name": "site", "type": "kubernetes.io/tls", "chainOrder": "ensureserverfirst"}}),
        ),
        declared(
            "flags",
            "v2beta1",
            ["secret", "before-flags"],
            json!({"configMap": {"name": "flags", "dataKey": "flags"}}),
        ),
        declared("left", "v1", ["secret", "before-left"], key("both", "left")),
        declared("right", "v2beta1", ["secret", "before-right"], key("both", "right")),
        declared("injected", "v2alpha1", ["secret", "before-db"], Value::Null),
    ]
}

/// Makes all of it, as it was before anybody thought of Keyward.
pub async fn leave(site: &Site) -> anyhow::Result<Left> {
    // Not by server-side apply: neither helm nor akv2k8s did it like that.
    kubectl(&["create", "-f", "-"], &definition::definition().to_string()).await?;
    kubectl(&["wait", "--for=condition=Established", &format!("crd/{}", definition::NAME), "--timeout=30s"], "")
        .await?;
    kubectl(&["create", "namespace", NAMESPACE], "").await?;
    let mut uids = BTreeMap::new();
    for declared in declared() {
        let uid = declare(&site.client, &declared).await.with_context(|| declared.name)?;
        uids.insert(declared.name, uid);
    }
    for (kind, object) in written(&uids)? {
        create(&site.client, kind, object).await?;
    }
    somebody_wrote_too().await?;
    seen(&site.client).await
}

/// Everything that is there, by its UID.
pub async fn seen(client: &Client) -> anyhow::Result<Left> {
    let mut seen = BTreeMap::new();
    for (kind, names) in [
        ("AzureKeyVaultSecret", NAMES.as_slice()),
        ("Secret", &["db", "login", "settings", "site", "both"]),
        ("ConfigMap", &["flags"]),
    ] {
        for name in names {
            let uid = api(client, kind, "v2beta1").get(name).await?.uid().context("no UID")?;
            seen.insert((kind.to_owned(), (*name).to_owned()), uid);
        }
    }
    let definition = kubectl(&["get", "crd", definition::NAME, "--output=jsonpath={.metadata.uid}"], "").await?.stdout;
    seen.insert(("CustomResourceDefinition".to_owned(), definition::NAME.to_owned()), definition);
    Ok(seen)
}

async fn declare(client: &Client, declared: &Declared) -> anyhow::Result<String> {
    let [object_type, object] = declared.object;
    let content_type = (object_type == "multi-key-value-secret").then_some("application/x-json");
    let mut spec = json!({"vault": {"name": VAULT, "object": {"name": object, "type": object_type}}});
    if let Some(content_type) = content_type {
        spec["vault"]["object"]["contentType"] = json!(content_type);
    }
    if !declared.output.is_null() {
        spec["output"] = declared.output.clone();
    }
    let api = api(client, "AzureKeyVaultSecret", declared.version);
    let mut body = DynamicObject::new(declared.name, &resource("AzureKeyVaultSecret", declared.version));
    body.data = json!({"spec": spec});
    body.labels_mut().insert("copied".to_owned(), "from-its-owner".to_owned());
    let is_served = async || match api.create(&by("kubectl-client-side-apply"), &body).await {
        Ok(_) => Ok(true),
        // The definition is younger than what the API server serves.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error.into()),
    };
    until_true("the kind served", SOON, is_served).await?;
    let written = declared.output.get("secret").or_else(|| declared.output.get("configMap"));
    if let Some(name) = written.and_then(|output| output["name"].as_str()) {
        // An MD5 of the values; whose, nobody will ask.
        let hash = "9e107d9d372bb6826bd81d3542a419d6";
        let status = if declared.output.get("configMap").is_some() {
            json!({"configMapHash": hash, "configMapName": name, "lastAzureUpdate": "2026-01-01T00:00:00Z"})
        } else {
            json!({"secretHash": hash, "secretName": name, "lastAzureUpdate": "2026-01-01T00:00:00Z"})
        };
        let params = PatchParams { field_manager: Some(CONTROLLER.to_owned()), ..PatchParams::default() };
        api.patch_status(declared.name, &params, &Patch::Merge(json!({"status": status}))).await?;
    }
    api.get(declared.name).await?.uid().context("no UID")
}

/// What its controller wrote: most as the vault has it now, `db` and `site` as it had it once.
fn written(uids: &BTreeMap<&str, String>) -> anyhow::Result<Vec<(&'static str, Value)>> {
    let site = TestCa::new("before")?.issue_server(&["site.example"])?;
    let metadata = |name: &str, owners: &[&str]| {
        let owner = |owner: &&str| {
            json!({
                "apiVersion": "spv.no/v2beta1", "kind": "AzureKeyVaultSecret", "name": owner, "uid": uids.get(owner),
                "controller": false, "blockOwnerDeletion": true,
            })
        };
        let owners: Vec<_> = owners.iter().map(owner).collect();
        json!({"name": name, "namespace": NAMESPACE, "labels": {"copied": "from-its-owner"}, "ownerReferences": owners})
    };
    let secret = |name: &str, kind: &str, owners: &[&str], data: Value| {
        ("Secret", json!({"metadata": metadata(name, owners), "type": kind, "stringData": data}))
    };
    let login = json!({"username": "mailer", "password": "kwcanary-before-login"});
    let settings = json!({"level": "kwcanary-before-level", "port": "8080", "gone": "kwcanary-before-gone"});
    let both = json!({"left": "kwcanary-before-left", "right": "kwcanary-before-right"});
    Ok(vec![
        secret("db", "Opaque", &["db"], json!({"password": "kwcanary-before-db-once"})),
        secret("login", "kubernetes.io/basic-auth", &["login"], login),
        secret("settings", "Opaque", &["settings"], settings),
        secret("site", "kubernetes.io/tls", &["site"], json!({"tls.crt": site.cert_pem, "tls.key": site.key_pem})),
        secret("both", "Opaque", &["left", "right"], both),
        ("ConfigMap", json!({"metadata": metadata("flags", &["flags"]), "data": {"flags": "dark-mode"}})),
    ])
}

/// People, by kubectl.
async fn somebody_wrote_too() -> anyhow::Result<()> {
    for words in [
        ["label", "team=shop"].as_slice(),
        &["annotate", "example.com/note=ours"],
        &["patch", "--type=merge", "--patch", r#"{"stringData": {"theirs": "kwcanary-before-theirs"}}"#],
    ] {
        let (verb, rest) = words.split_first().context("no verb")?;
        let arguments = [&[*verb, "secret", "db", "--namespace", NAMESPACE], rest].concat();
        kubectl(&arguments, "").await?;
    }
    Ok(())
}

async fn create(client: &Client, kind: &str, body: Value) -> anyhow::Result<()> {
    let mut body = body;
    body["apiVersion"] = json!("v1");
    body["kind"] = json!(kind);
    let object: DynamicObject = serde_json::from_value(body)?;
    let made = api(client, kind, "v1").create(&by(CONTROLLER), &object).await?;
    let manager = made.managed_fields().iter().any(|entry| entry.manager.as_deref() == Some(CONTROLLER));
    ensure!(manager, "{kind} {} is not noted as {CONTROLLER}'s", made.name_any());
    Ok(())
}

fn by(manager: &str) -> PostParams {
    PostParams { field_manager: Some(manager.to_owned()), ..PostParams::default() }
}

/// The API of a kind in the namespace; `version` counts for `AzureKeyVaultSecret`s.
pub fn api(client: &Client, kind: &str, version: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), NAMESPACE, &resource(kind, version))
}

fn resource(kind: &str, version: &str) -> ApiResource {
    let (group, version) = if kind == "AzureKeyVaultSecret" { ("spv.no", version) } else { ("", "v1") };
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: kind.to_owned(),
        plural: format!("{}s", kind.to_lowercase()),
    }
}

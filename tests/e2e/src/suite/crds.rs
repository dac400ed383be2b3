//! The custom resources: what the API server accepts, what it refuses and with which words, and that no version loses
//! anything that was written in another.

mod cases;
mod older;

use anyhow::{Context as _, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use keyward_crds::akvs::{GROUP, KIND, VERSIONS};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};

use self::{
    cases::{
        what_a_secret_may_say_is_accepted_and_the_rest_refused_with_its_reason,
        what_a_vault_may_say_is_accepted_and_the_rest_refused_with_its_reason,
    },
    older::an_object_that_is_older_than_a_rule_is_told_of_it_and_stays_writable,
};
use crate::{kubectl::kubectl, scene::Scene};

tests![
    the_definitions_are_established_as_they_are_generated,
    the_example_of_akv2k8s_applies_unchanged,
    what_is_written_in_one_version_is_read_in_every_other,
    what_a_secret_may_say_is_accepted_and_the_rest_refused_with_its_reason,
    what_a_vault_may_say_is_accepted_and_the_rest_refused_with_its_reason,
    a_misspelt_field_is_refused_by_kubectl,
    an_object_that_is_older_than_a_rule_is_told_of_it_and_stays_writable,
];

async fn the_definitions_are_established_as_they_are_generated(scene: &Scene) -> anyhow::Result<()> {
    scene.stand().await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(scene.client().clone());
    for generated in [keyward_crds::crd::azure_key_vault_secret()?, keyward_crds::crd::azure_key_vault()?] {
        let name = generated.metadata.name.as_deref().context("a definition without a name")?;
        let served = definitions.get(name).await?;
        ensure!(served.spec.versions == generated.spec.versions, "{name} is served otherwise than it is generated");
        let conditions = served.status.and_then(|status| status.conditions).unwrap_or_default();
        for condition in &conditions {
            let good =
                matches!(condition.type_.as_str(), "Established" | "NamesAccepted") && condition.status == "True";
            ensure!(good, "{name}: {condition:?}");
        }
        ensure!(conditions.len() == 2, "{name}: {conditions:?}");
    }
    Ok(())
}

/// As it stands in akv2k8s's documentation.
const EXAMPLE: &str = "\
apiVersion: spv.no/v1alpha1
kind: AzureKeyVaultSecret
metadata:
  name: secret-sync 
  namespace: akv-test
spec:
  vault:
    name: akv2k8s-test # name of key vault
    object:
      name: my-secret # name of the akv object
      type: secret # akv object type
  output: # optional - only used to sync to a kubernetes secret
    secret: 
      name: my-secret-from-akv # kubernetes secret name
      dataKey: secret-value # key to store object value in kubernetes secret
";

async fn the_example_of_akv2k8s_applies_unchanged(scene: &Scene) -> anyhow::Result<()> {
    scene.stand().await?;
    scene.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: akv-test}\n").await?;
    let applied = kubectl(&["apply", "-f", "-"], EXAMPLE).await?;
    ensure!(applied.stderr.is_empty() && applied.stdout.contains("secret-sync created"), "{applied:?}");
    let again = kubectl(&["apply", "-f", "-"], EXAMPLE).await?;
    ensure!(again.stdout.contains("secret-sync unchanged"), "{again:?}");
    let shown = kubectl(&["get", "akvs", "-n", "akv-test"], "").await?;
    for word in ["VAULT", "OBJECT", "TYPE", "READY", "VERSION", "AGE", "akv2k8s-test", "my-secret", "secret"] {
        ensure!(shown.stdout.contains(word), "{word}: {shown:?}");
    }
    let all = kubectl(&["get", "all", "-n", "akv-test"], "").await?;
    ensure!(all.stdout.contains("azurekeyvaultsecret.spv.no/secret-sync"), "{all:?}");
    Ok(())
}

async fn what_is_written_in_one_version_is_read_in_every_other(scene: &Scene) -> anyhow::Result<()> {
    // A controller would write what it makes of them into their status.
    scene.stand().await?.stop_controllers().await?;
    let namespace = scene.namespace("versions", &[]).await?;
    let api = |version| secrets(scene.client(), &namespace, version);
    for written in VERSIONS {
        for spelling in ["transform", "transforms"] {
            let name = format!("{written}-{spelling}");
            let (spec, status) = (full_spec(spelling), full_status());
            let object = json!({
                "apiVersion": format!("{GROUP}/{written}"), "kind": KIND, "metadata": {"name": name}, "spec": spec,
            });
            api(written).create(&PostParams::default(), &serde_json::from_value(object)?).await?;
            let patch = Patch::Merge(json!({ "status": status }));
            api(written).patch_status(&name, &PatchParams::default(), &patch).await?;
            for read in VERSIONS {
                let found = api(read).get(&name).await?;
                let version = found.types.as_ref().map(|types| types.api_version.as_str());
                ensure!(version == Some(&format!("{GROUP}/{read}")), "{name} in {read}: {version:?}");
                ensure!(found.data["spec"] == spec, "{name} in {read}: {}", found.data["spec"]);
                ensure!(found.data["status"] == status, "{name} in {read}: {}", found.data["status"]);
            }
        }
    }
    Ok(())
}

async fn a_misspelt_field_is_refused_by_kubectl(scene: &Scene) -> anyhow::Result<()> {
    scene.stand().await?;
    let misspelt = EXAMPLE.replace("dataKey", "datakey").replace("akv-test", "default");
    let refused = kubectl(&["create", "--dry-run=server", "-f", "-"], &misspelt).await;
    let error = refused.err().context("a misspelt field was accepted")?.to_string();
    ensure!(error.contains("unknown field \"spec.output.secret.datakey\""), "{error}");
    Ok(())
}

/// The kind in one of its versions.
fn secrets(client: &Client, namespace: &str, version: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, version, KIND));
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// Every field that there is; of the two spellings of one list, one.
fn full_spec(spelling: &str) -> Value {
    json!({
        "vault": {
            "name": "Nobodys",
            "azureIdentity": {"name": "ignored"},
            "object": {
                "name": "db", "type": "secret", "version": "0123456789abcdef0123456789abcdef",
                "contentType": "application/x-json",
            },
        },
        "output": {
            "secret": {"name": "db", "type": "Opaque", "dataKey": "value", "chainOrder": "ensureserverfirst"},
            "configMap": {"name": "db", "dataKey": "value"},
            spelling: ["trim", "base64decode"],
        },
    })
}

/// What akv2k8s wrote, and what Keyward writes.
fn full_status() -> Value {
    json!({
        "secretName": "db", "secretHash": "0f1e2d", "configMapName": "db", "configMapHash": "3c4b5a",
        "lastAzureUpdate": "2026-01-01T00:00:00Z",
        "version": "0123456789abcdef0123456789abcdef", "expires": "2027-01-01T00:00:00Z", "observedGeneration": 1,
        "conditions": [{
            "type": "Ready", "status": "False", "reason": "VaultUnavailable", "message": "It does not answer.",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
        }],
    })
}

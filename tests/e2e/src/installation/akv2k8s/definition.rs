//! The definition of `AzureKeyVaultSecret` as akv2k8s's chart brings it: four versions, all served, no conversion, and no
//! rules but enums and required fields.

use serde_json::{Value, json};

/// Its name, which Keyward's has too.
pub const NAME: &str = "azurekeyvaultsecrets.spv.no";

/// The whole of it.
pub fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": {
            "group": "spv.no",
            "scope": "Namespaced",
            "names": {
                "kind": "AzureKeyVaultSecret", "listKind": "AzureKeyVaultSecretList",
                "plural": "azurekeyvaultsecrets", "singular": "azurekeyvaultsecret",
                "shortNames": ["akvs"], "categories": ["all"],
            },
            "versions": [
                version("v1alpha1", &old_output("transforms", &[]), &old_status()),
                version("v1", &old_output("transform", &["chainOrder"]), &old_status()),
                version("v2alpha1", &new_output(), &new_status()),
                version("v2beta1", &new_output(), &new_status()),
            ],
        },
    })
}

fn version(name: &str, output: &Value, status: &Value) -> Value {
    let mut vault = json!({
        "type": "object",
        "required": ["name", "object"],
        "properties": {
            "name": text(),
            "object": {
                "type": "object",
                "required": ["name", "type"],
                "properties": {
                    "name": text(),
                    "type": {"type": "string", "enum": ["secret", "certificate", "key", "multi-key-value-secret"]},
                    "version": text(),
                    "contentType": {"type": "string", "enum": ["application/x-json", "application/x-yaml"]},
                },
            },
        },
    });
    let mut columns = json!([
        {"name": "Vault", "type": "string", "jsonPath": ".spec.vault.name"},
        {"name": "Vault Object", "type": "string", "jsonPath": ".spec.vault.object.name"},
        {"name": "Secret Name", "type": "string", "jsonPath": ".status.secretName"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]);
    if name.starts_with("v2") {
        vault["properties"]["azureIdentity"] =
            json!({"type": "object", "required": ["name"], "properties": {"name": text()}});
        columns[3] = json!({"name": "ConfigMap Name", "type": "string", "jsonPath": ".status.configMapName"});
    }
    json!({
        "name": name,
        "served": true,
        "storage": name == "v2beta1",
        "subresources": {"status": {}},
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": {
            "type": "object",
            "properties": {
                "apiVersion": text(), "kind": text(), "metadata": {"type": "object"},
                "spec": {
                    "type": "object", "required": ["vault"],
                    "properties": {"vault": vault, "output": {"type": "object", "properties": output}},
                },
                "status": status,
            },
        }},
    })
}

fn text() -> Value {
    json!({"type": "string"})
}

fn old_output(transforms: &str, more: &[&str]) -> Value {
    let mut secret = json!({"type": "object", "required": ["name"], "properties": {"name": text(), "dataKey": text(), "type": text()}});
    for field in more {
        secret["properties"][*field] = json!({"type": "string", "enum": ["ensureserverfirst"]});
    }
    json!({"secret": secret, transforms: {"type": "array", "items": text()}})
}

fn new_output() -> Value {
    let mut output = old_output("transform", &["chainOrder"]);
    output["configMap"] =
        json!({"type": "object", "required": ["name", "dataKey"], "properties": {"name": text(), "dataKey": text()}});
    output
}

fn old_status() -> Value {
    json!({
        "type": "object", "required": ["secretHash", "secretName"],
        "properties": {"secretHash": text(), "secretName": text(), "lastAzureUpdate": time()},
    })
}

fn new_status() -> Value {
    json!({
        "type": "object",
        "properties": {
            "secretHash": text(), "secretName": text(), "configMapHash": text(), "configMapName": text(),
            "lastAzureUpdate": time(),
        },
    })
}

fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

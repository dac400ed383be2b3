//! What the API server needs of a definition, and what users of akv2k8s need of `AzureKeyVaultSecret`'s.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use keyward_crds::{akvs, azure_key_vault, crd};
use serde_json::{Value, json};

fn both() -> [CustomResourceDefinition; 2] {
    [crd::azure_key_vault_secret().unwrap(), crd::azure_key_vault().unwrap()]
}

fn schemas(crd: &CustomResourceDefinition) -> Vec<Value> {
    let versions = serde_json::to_value(&crd.spec.versions).unwrap();
    versions.as_array().unwrap().iter().map(|version| version["schema"]["openAPIV3Schema"].clone()).collect()
}

/// Every schema within a schema, itself included.
fn all<'a>(schema: &'a Value, found: &mut Vec<&'a Value>) {
    found.push(schema);
    if let Some(properties) = schema["properties"].as_object() {
        properties.values().for_each(|below| all(below, found));
    }
    for keyword in ["items", "additionalProperties"] {
        if schema[keyword].is_object() {
            all(&schema[keyword], found);
        }
    }
}

#[test]
fn every_version_is_served_with_one_schema_and_nothing_is_converted() {
    let crd = crd::azure_key_vault_secret().unwrap();
    let names: Vec<_> = crd.spec.versions.iter().map(|version| (version.name.as_str(), version.storage)).collect();
    assert_eq!(names, [("v1alpha1", false), ("v1", false), ("v2alpha1", false), ("v2beta1", true)]);
    assert!(
        crd.spec
            .versions
            .iter()
            .all(|version| version.served && version.subresources.as_ref().unwrap().status.is_some())
    );
    assert!(crd.spec.conversion.is_none());
    let schemas = schemas(&crd);
    assert!(schemas.iter().all(|schema| *schema == schemas[0]));
}

#[test]
fn the_kinds_are_named_as_people_type_them() {
    let [secret, vault] = both();
    assert_eq!(secret.metadata.name.as_deref(), Some("azurekeyvaultsecrets.spv.no"));
    assert_eq!(secret.spec.names.short_names.as_deref(), Some(&["akvs".to_owned()][..]));
    assert_eq!(secret.spec.names.categories.as_deref(), Some(&["all".to_owned()][..]));
    assert_eq!(secret.spec.scope, "Namespaced");
    assert_eq!(vault.metadata.name.as_deref(), Some("azurekeyvaults.keyward.dev"));
    assert_eq!(vault.spec.names.short_names.as_deref(), Some(&["akv".to_owned()][..]));
    assert_eq!(vault.spec.scope, "Cluster");
    let resource = akvs::api_resource();
    assert_eq!((resource.api_version.as_str(), resource.plural.as_str()), ("spv.no/v2beta1", "azurekeyvaultsecrets"));
    assert_eq!((resource.group.as_str(), resource.kind.as_str()), (akvs::GROUP, akvs::KIND));
    let resource = azure_key_vault::api_resource();
    assert_eq!((resource.api_version.as_str(), resource.plural.as_str()), ("keyward.dev/v1alpha1", "azurekeyvaults"));
    assert_eq!((resource.group.as_str(), resource.kind.as_str()), (azure_key_vault::GROUP, azure_key_vault::KIND));
}

#[test]
fn columns_show_what_matters_first() {
    let columns = |crd: &CustomResourceDefinition| -> Vec<String> {
        let columns = crd.spec.versions[0].additional_printer_columns.as_ref().unwrap();
        columns.iter().filter(|column| column.priority.is_none()).map(|column| column.name.clone()).collect()
    };
    let [secret, vault] = both();
    assert_eq!(columns(&secret), ["Vault", "Object", "Type", "Ready", "Version", "Age"]);
    assert_eq!(columns(&vault), ["Vault", "URL", "Ready", "Age"]);
}

#[test]
fn schemas_are_structural_and_say_nothing_that_is_warned_of() {
    for crd in both() {
        for schema in schemas(&crd) {
            let mut found = Vec::new();
            all(&schema, &mut found);
            for schema in found {
                assert!(schema["type"].is_string(), "{schema}");
                for keyword in ["nullable", "anyOf", "oneOf", "allOf", "$ref", "uniqueItems"] {
                    assert!(schema.get(keyword).is_none(), "{keyword} in {schema}");
                }
                assert!(schema["properties"].is_null() || schema["additionalProperties"].is_null(), "{schema}");
                assert!(matches!(schema["format"].as_str(), None | Some("int64" | "date-time")), "{schema}");
            }
        }
    }
}

#[test]
fn every_field_and_every_rule_says_something_to_people() {
    for crd in both() {
        let schema = schemas(&crd).remove(0);
        let mut found = Vec::new();
        all(&schema, &mut found);
        for rule in found.iter().filter_map(|schema| schema["x-kubernetes-validations"].as_array()).flatten() {
            assert!(rule["message"].as_str().is_some_and(|message| message.len() > 20), "{rule}");
        }
        for (field, below) in found.iter().filter_map(|schema| schema["properties"].as_object()).flatten() {
            assert!(below["description"].as_str().is_some_and(|text| !text.is_empty()), "{field}");
        }
    }
}

#[test]
fn helm_finds_nothing_to_interpret_but_what_is_meant() {
    for generated in crd::chart_files().unwrap() {
        let meant = if generated.file.contains("/templates/") { 2 } else { 0 };
        assert_eq!(generated.text.matches("{{").count(), meant, "{}", generated.file);
        assert_eq!(generated.text.matches("}}").count(), meant, "{}", generated.file);
    }
}

#[test]
fn each_file_is_the_definition_when_helm_has_read_it() {
    let files = crd::chart_files().unwrap();
    assert_eq!(files.len(), 4);
    for (both_charts, crd) in files.chunks(2).zip(both()) {
        for generated in both_charts {
            let read: CustomResourceDefinition = serde_saphyr::from_str(&rendered(&generated.text)).unwrap();
            assert_eq!(read, crd, "{}", generated.file);
        }
    }
}

/// Without what a value decides.
fn rendered(text: &str) -> String {
    let Some((head, rest)) = text.split_once("  {{- if") else { return text.to_owned() };
    format!("{head}{}", rest.split_once("{{- end }}\n").unwrap().1)
}

/// The fields of akv2k8s's own definition, all versions together, with what may stand in each.
#[test]
fn every_field_of_akv2k8s_is_there() {
    let text = json!({"type": "string"});
    let choice = |values: &[&str]| json!({"type": "string", "enum": values});
    let fields = [
        ("spec.vault.name", text.clone()),
        ("spec.vault.azureIdentity.name", text.clone()),
        ("spec.vault.object.name", text.clone()),
        ("spec.vault.object.type", choice(&["secret", "certificate", "key", "multi-key-value-secret"])),
        ("spec.vault.object.version", text.clone()),
        ("spec.vault.object.contentType", choice(&["application/x-json", "application/x-yaml"])),
        ("spec.output.secret.name", text.clone()),
        ("spec.output.secret.type", text.clone()),
        ("spec.output.secret.dataKey", text.clone()),
        ("spec.output.secret.chainOrder", choice(&["ensureserverfirst"])),
        ("spec.output.configMap.name", text.clone()),
        ("spec.output.configMap.dataKey", text.clone()),
        ("spec.output.transform", json!({"type": "array", "items": {"type": "string"}})),
        ("spec.output.transforms", json!({"type": "array", "items": {"type": "string"}})),
        ("status.secretName", text.clone()),
        ("status.secretHash", text.clone()),
        ("status.configMapName", text.clone()),
        ("status.configMapHash", text.clone()),
        ("status.lastAzureUpdate", json!({"type": "string", "format": "date-time"})),
    ];
    let schema = schemas(&crd::azure_key_vault_secret().unwrap()).remove(0);
    for (path, expected) in fields {
        let found = path.split('.').fold(&schema, |schema, field| &schema["properties"][field]);
        for keyword in ["type", "enum", "format", "items"] {
            assert_eq!(found[keyword], expected[keyword], "{keyword} of {path}: {found}");
        }
    }
    // Nothing is demanded that akv2k8s did without.
    let required =
        |path: &[&str]| path.iter().fold(&schema, |schema, field| &schema["properties"][field])["required"].clone();
    assert_eq!(required(&["spec"]), json!(["vault"]));
    assert_eq!(required(&["spec", "vault"]), json!(["name", "object"]));
    assert_eq!(required(&["spec", "vault", "object"]), json!(["name", "type"]));
    assert_eq!(required(&["spec", "vault", "azureIdentity"]), Value::Null);
    assert_eq!(required(&["spec", "output"]), Value::Null);
    assert_eq!(required(&["spec", "output", "secret"]), json!(["name"]));
    assert_eq!(required(&["spec", "output", "configMap"]), json!(["name"]));
    assert_eq!(required(&["status"]), Value::Null);
}

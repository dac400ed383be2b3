//! The tables of accepted and refused specs, tried on the definitions without an API server. Rules are run by `kube-cel`;
//! what the schema itself refuses, the types refuse as well. The end-to-end suite tries the same tables on a real one.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use keyward_crds::{AzureKeyVaultSecretSpec, AzureKeyVaultSpec, crd};
use kube::core::cel::{ErrorKind, Validator};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    spec: Value,
    #[serde(default)]
    refused: BTreeMap<String, String>,
    #[serde(default)]
    schema: bool,
}

fn cases(yaml: &str) -> Vec<Case> {
    let cases: Vec<Case> = serde_saphyr::from_str(yaml).unwrap();
    assert!(cases.iter().any(|case| case.refused.is_empty()) && cases.iter().any(|case| !case.refused.is_empty()));
    cases
}

fn secrets() -> Vec<Case> {
    cases(include_str!("cases/azurekeyvaultsecrets.yaml"))
}

fn vaults() -> Vec<Case> {
    cases(include_str!("cases/azurekeyvaults.yaml"))
}

/// As the API server does before it looks further, where null is not allowed.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, field)| !field.is_null())
            .map(|(key, field)| (key, without_nulls(field)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

fn schema(crd: &CustomResourceDefinition) -> Value {
    let version = crd.spec.versions.iter().find(|version| version.storage).unwrap();
    serde_json::to_value(&version.schema).unwrap()["openAPIV3Schema"].clone()
}

/// What the rules say, field by field.
fn said(schema: &Value, spec: &Value) -> BTreeMap<String, Vec<String>> {
    let mut said = BTreeMap::<_, Vec<_>>::new();
    let Err(errors) = Validator::new().validate(schema, &json!({ "spec": spec }), None) else { return said };
    for error in errors {
        assert_eq!(error.kind, ErrorKind::ValidationFailure, "{error}");
        said.entry(error.field_path).or_default().push(error.message);
    }
    said
}

fn check(crd: &CustomResourceDefinition, cases: Vec<Case>) {
    let schema = schema(crd);
    for case in cases.into_iter().filter(|case| !case.schema) {
        let said = said(&schema, &without_nulls(case.spec));
        let fields: Vec<_> = said.keys().collect();
        assert_eq!(fields, case.refused.keys().collect::<Vec<_>>(), "{}: {said:?}", case.name);
        for (field, part) in &case.refused {
            assert_eq!(said[field].len(), 1, "{}: {said:?}", case.name);
            assert!(said[field][0].contains(part), "{}: {said:?}", case.name);
        }
    }
}

#[test]
fn the_rules_of_a_secret_say_what_the_table_says() {
    check(&crd::azure_key_vault_secret().unwrap(), secrets());
}

#[test]
fn the_rules_of_a_vault_say_what_the_table_says() {
    check(&crd::azure_key_vault().unwrap(), vaults());
}

/// Who reads specs strictly reads every spec that the API server accepts, and none that its schema refuses.
#[test]
fn types_and_schema_agree() {
    fn reads<T: for<'a> Deserialize<'a>>(case: &Case) -> bool {
        T::deserialize(without_nulls(case.spec.clone())).is_ok()
    }
    // A number out of its bounds is still a number.
    let schema_alone = ["a budget too small", "a budget too large"];
    let secrets = secrets().into_iter().map(|case| (reads::<AzureKeyVaultSecretSpec>(&case), case));
    let vaults = vaults().into_iter().map(|case| (reads::<AzureKeyVaultSpec>(&case), case));
    for (reads, case) in secrets.chain(vaults) {
        if case.refused.is_empty() {
            assert!(reads, "{}", case.name);
        } else if case.schema && !schema_alone.contains(&case.name.as_str()) {
            assert!(!reads, "{}", case.name);
        }
    }
}

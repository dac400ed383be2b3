//! YAML text to manifests, document by document, so that one bad document never hides another. And the strict reading of
//! a `spec`, which objects of an API server go through too.
//!
//! Pure. Used by [`crate::source`].

use keyward_crds::{AzureKeyVaultSecretSpec, AzureKeyVaultSpec, akvs, azure_key_vault, meta::ObjectMeta};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// A manifest that was read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// File and document number, for people: `shop.yaml#2`.
    pub place: String,
    /// The manifest.
    pub item: T,
}

/// A manifest the broker makes use of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manifest {
    /// An `AzureKeyVaultSecret` of any version.
    Secret(ObjectMeta, Box<AzureKeyVaultSecretSpec>),
    /// An `AzureKeyVault`.
    Vault(ObjectMeta, Box<AzureKeyVaultSpec>),
    /// A core `Namespace`, for its labels.
    Namespace(ObjectMeta),
}

/// A manifest that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// File and document number.
    pub place: String,
    /// What it is, as far as it could be read.
    pub subject: Subject,
    /// What is wrong and what to do.
    pub reason: String,
}

/// What a refused manifest is about. It decides what fails closed because of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An `AzureKeyVaultSecret`, when namespace and name could be read.
    Secret {
        /// `metadata.namespace`
        namespace: String,
        /// `metadata.name`
        name: String,
        /// `metadata.uid`
        uid: Option<String>,
        /// `metadata.generation`
        generation: Option<i64>,
    },
    /// An `AzureKeyVault`; `vault_name` when it could be read.
    Vault {
        /// `metadata.name`, empty where it could not be read.
        name: String,
        /// `spec.vaultName`
        vault_name: Option<String>,
    },
    /// Something else, or nothing could be read.
    Unknown,
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Secret { namespace, name, .. } => write!(f, "{}/{namespace}/{name}", akvs::KIND),
            Self::Vault { name, .. } => write!(f, "{}/{name}", azure_key_vault::KIND),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// Every manifest of `text` that Keyward uses, and every one it must refuse. Kinds of other API groups are passed over.
pub fn read(file: &str, text: &str) -> Vec<Result<Located<Manifest>, Invalid>> {
    documents(text)
        .enumerate()
        .filter_map(|(index, document)| {
            let place = format!("{file}#{}", index + 1);
            match read_document(document) {
                Ok(None) => None,
                Ok(Some(item)) => Some(Ok(Located { place, item })),
                Err((subject, reason)) => Some(Err(Invalid { place, subject, reason })),
            }
        })
        .collect()
}

/// Splits at YAML's document markers, which stand at the beginning of a line whatever surrounds them.
fn documents(text: &str) -> impl Iterator<Item = &str> {
    let marker = |line: &str| {
        line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
    };
    let mut starts = vec![0];
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if marker(line) && offset > 0 {
            starts.push(offset);
        }
        offset += line.len();
    }
    let ends = starts.clone().into_iter().skip(1).chain([text.len()]);
    starts.into_iter().zip(ends).map(|(start, end)| &text[start..end]).collect::<Vec<_>>().into_iter()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    api_version: String,
    kind: String,
    #[serde(default)]
    metadata: Value,
    spec: Option<Value>,
}

fn read_document(document: &str) -> Result<Option<Manifest>, (Subject, String)> {
    let value: Value = serde_saphyr::from_str(document)
        .map_err(|error| (Subject::Unknown, format!("this is not YAML: {}", one_line(&error.to_string()))))?;
    if value.is_null() {
        return Ok(None);
    }
    let envelope: Envelope = serde_json::from_value(value)
        .map_err(|error| (Subject::Unknown, format!("this is not a Kubernetes manifest: {error}")))?;
    match envelope.api_version.split_once('/') {
        Some((akvs::GROUP, version)) => read_secret(&envelope, version).map(Some),
        Some((azure_key_vault::GROUP, version)) => read_vault(&envelope, version).map(Some),
        None if envelope.api_version == "v1" && envelope.kind == "Namespace" => {
            let meta = from_value(&envelope.metadata, "metadata").map_err(|reason| (Subject::Unknown, reason))?;
            Ok(Some(Manifest::Namespace(meta)))
        }
        None if envelope.api_version == "v1" && envelope.kind == "List" => {
            Err((Subject::Unknown, "a List is not read; write its items as documents of their own".to_owned()))
        }
        _ => Ok(None),
    }
}

fn read_secret(envelope: &Envelope, version: &str) -> Result<Manifest, (Subject, String)> {
    let text = |field: &str| envelope.metadata.get(field).and_then(Value::as_str).map(str::to_owned);
    let subject = match (text("namespace"), text("name")) {
        (Some(namespace), Some(name)) => {
            let generation = envelope.metadata.get("generation").and_then(Value::as_i64);
            Subject::Secret { namespace, name, uid: text("uid"), generation }
        }
        (None, Some(name)) => {
            return Err((Subject::Unknown, format!("{} `{name}` has no metadata.namespace", akvs::KIND)));
        }
        _ => return Err((Subject::Unknown, format!("{} has no metadata.name", akvs::KIND))),
    };
    let read = || {
        expect(&envelope.kind, &[akvs::KIND], "kind")?;
        expect(version, &akvs::VERSIONS, "version")?;
        let meta = from_value(&envelope.metadata, "metadata")?;
        Ok(Manifest::Secret(meta, Box::new(secret_spec(envelope.spec.as_ref())?)))
    };
    read().map_err(|reason: String| (subject, reason))
}

fn read_vault(envelope: &Envelope, version: &str) -> Result<Manifest, (Subject, String)> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let subject = Subject::Vault {
        name: text(envelope.metadata.get("name")).unwrap_or_default(),
        vault_name: text(envelope.spec.as_ref().and_then(|spec| spec.get("vaultName"))),
    };
    let read = || {
        expect(&envelope.kind, &[azure_key_vault::KIND], "kind")?;
        expect(version, &[azure_key_vault::VERSION], "version")?;
        let meta = from_value(&envelope.metadata, "metadata")?;
        Ok(Manifest::Vault(meta, Box::new(vault_spec(envelope.spec.as_ref())?)))
    };
    read().map_err(|reason: String| (subject, reason))
}

/// Reads the `spec` of an `AzureKeyVaultSecret`, wherever it comes from.
pub fn secret_spec(spec: Option<&Value>) -> Result<AzureKeyVaultSecretSpec, String> {
    from_value(spec.ok_or("spec is missing")?, "spec")
}

/// Reads the `spec` of an `AzureKeyVault`, wherever it comes from.
pub fn vault_spec(spec: Option<&Value>) -> Result<AzureKeyVaultSpec, String> {
    from_value(spec.ok_or("spec is missing")?, "spec")
}

fn from_value<T: DeserializeOwned>(value: &Value, field: &str) -> Result<T, String> {
    T::deserialize(value).map_err(|error| format!("{field}: {error}"))
}

fn expect(found: &str, known: &[&str], what: &str) -> Result<(), String> {
    if known.contains(&found) {
        return Ok(());
    }
    Err(format!("{what} `{found}` is not known; use {}", known.join(", ")))
}

/// The first line of a parser's message; the rest draws the source.
fn one_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "apiVersion: spv.no/v1\nkind: AzureKeyVaultSecret\nmetadata: {name: db, namespace: shop}\n\
                          spec: {vault: {name: acme, object: {name: db, type: secret}}}\n";

    #[test]
    fn every_version_of_the_secret_is_read_and_no_other() {
        for version in akvs::VERSIONS {
            let text = SECRET.replace("spv.no/v1", &format!("spv.no/{version}"));
            assert!(matches!(read("f", &text)[0], Ok(Located { item: Manifest::Secret(..), .. })), "{version}");
        }
        let refused = read("f", &SECRET.replace("spv.no/v1", "spv.no/v3")).remove(0).unwrap_err();
        assert_eq!(refused.reason, "version `v3` is not known; use v1alpha1, v1, v2alpha1, v2beta1");
    }

    #[test]
    fn a_bad_document_hides_neither_its_neighbours_nor_itself() {
        let text = format!(
            "{SECRET}---\n{{not: [yaml\n---\n{SECRET}--- # end\n---\n{}",
            SECRET.replace("type: secret", "typ: x")
        );
        let results = read("shop.yaml", &text);
        let places: Vec<_> = results
            .iter()
            .map(|result| match result {
                Ok(located) => (located.place.as_str(), true),
                Err(invalid) => (invalid.place.as_str(), false),
            })
            .collect();
        assert_eq!(
            places,
            [("shop.yaml#1", true), ("shop.yaml#2", false), ("shop.yaml#3", true), ("shop.yaml#5", false)]
        );
        let last = results.into_iter().last().unwrap().unwrap_err();
        assert_eq!(
            last.subject,
            Subject::Secret { namespace: "shop".into(), name: "db".into(), uid: None, generation: None }
        );
        assert!(last.reason.contains("typ"), "{}", last.reason);
    }

    #[test]
    fn kinds_of_other_groups_are_passed_over_and_namespaces_are_not() {
        assert!(read("f", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n").is_empty());
        assert!(read("f", "").is_empty());
        let namespace = read("f", "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {a: b}}\n");
        assert!(
            matches!(&namespace[0], Ok(Located { item: Manifest::Namespace(meta), .. }) if meta.labels["a"] == "b")
        );
    }

    #[test]
    fn an_unreadable_vault_keeps_the_name_of_the_vault_it_meant() {
        let text = "apiVersion: keyward.dev/v1alpha1\nkind: AzureKeyVault\nmetadata: {name: a}\nspec: {vaultName: acme, nope: 1}\n";
        let invalid = read("f", text).remove(0).unwrap_err();
        assert_eq!(invalid.subject, Subject::Vault { name: "a".into(), vault_name: Some("acme".into()) });
    }

    #[test]
    fn a_secret_without_namespace_is_refused_by_name() {
        let invalid = read("f", &SECRET.replace(", namespace: shop", "")).remove(0).unwrap_err();
        assert_eq!(invalid.reason, "AzureKeyVaultSecret `db` has no metadata.namespace");
    }
}

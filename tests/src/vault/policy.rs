//! A certificate's policy: how it is made and what its secret may hold. Every part is optional in a request, with Key
//! Vault's defaults.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::errors::Refusal;
use super::keymaker::{KeyError, KeySpec};

/// `contentType` of a PKCS#12 secret.
pub(super) const PKCS12: &str = "application/x-pkcs12";
/// `contentType` of a PEM secret.
pub(super) const PEM: &str = "application/x-pem-file";

/// Issuer of self-signed certificates.
pub(super) const SELF: &str = "Self";
/// Issuer that is the emulator's own: an intermediate below a root.
pub(super) const EMULATOR: &str = "Emulator";

/// The policy, in the member names of the REST API.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Policy {
    pub(super) key_props: KeyProps,
    pub(super) secret_props: SecretProps,
    pub(super) x509_props: X509Props,
    pub(super) lifetime_actions: Value,
    pub(super) issuer: IssuerProps,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct KeyProps {
    pub(super) exportable: bool,
    pub(super) kty: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key_size: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) crv: Option<String>,
    pub(super) reuse_key: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SecretProps {
    #[serde(rename = "contentType")]
    pub(super) content_type: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct X509Props {
    pub(super) subject: String,
    pub(super) sans: Sans,
    pub(super) ekus: Vec<String>,
    pub(super) key_usage: Vec<String>,
    pub(super) validity_months: u32,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sans {
    #[serde(default)]
    pub(super) dns_names: Vec<String>,
    #[serde(default, rename = "ipAddresses", skip_serializing_if = "Vec::is_empty")]
    pub(super) ip_addresses: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) emails: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct IssuerProps {
    pub(super) name: String,
}

impl Policy {
    /// What a certificate of this name gets where nobody asks for more.
    pub(super) fn default_for(name: &str) -> Self {
        Self {
            key_props: KeyProps {
                exportable: true,
                kty: "RSA".to_owned(),
                key_size: None,
                crv: None,
                reuse_key: false,
            },
            secret_props: SecretProps { content_type: PKCS12.to_owned() },
            x509_props: X509Props {
                subject: format!("CN={name}"),
                sans: Sans::default(),
                ekus: vec!["1.3.6.1.5.5.7.3.1".to_owned(), "1.3.6.1.5.5.7.3.2".to_owned()],
                key_usage: vec!["digitalSignature".to_owned(), "keyEncipherment".to_owned()],
                validity_months: 12,
            },
            lifetime_actions: json!([
                {"trigger": {"lifetime_percentage": 80}, "action": {"action_type": "AutoRenew"}}
            ]),
            issuer: IssuerProps { name: SELF.to_owned() },
        }
    }

    /// This policy with what `asked` names in its place.
    pub(super) fn with(&self, asked: &Value) -> Result<Self, Refusal> {
        let invalid = |error: serde_json::Error| Refusal::bad_parameter(format!("Property policy is invalid: {error}"));
        let mut merged = serde_json::to_value(self).map_err(invalid)?;
        merge(&mut merged, asked);
        let mut policy: Self = serde_json::from_value(merged).map_err(invalid)?;
        policy.settle_key();
        if ![PKCS12, PEM].contains(&policy.secret_props.content_type.as_str()) {
            return Err(Refusal::bad_parameter(format!("Property contentType must be {PKCS12} or {PEM}.")));
        }
        Ok(policy)
    }

    /// Drops what does not belong to the kind of key, fills in what does.
    fn settle_key(&mut self) {
        let key = &mut self.key_props;
        if key.kty.starts_with("EC") {
            key.key_size = None;
            key.crv.get_or_insert_with(|| "P-256".to_owned());
        } else {
            key.crv = None;
            key.key_size.get_or_insert(2048);
        }
    }

    /// The kind of key it asks for.
    pub(super) fn key_spec(&self) -> Result<KeySpec, KeyError> {
        KeySpec::from_request(&self.key_props.kty, self.key_props.key_size, self.key_props.crv.as_deref())
    }

    /// As answers carry it.
    pub(super) fn to_json(&self, id: &str) -> Value {
        let mut json = json!(self);
        json["id"] = id.into();
        json["x509_props"]["basic_constraints"] = json!({"ca": false});
        json
    }
}

/// Objects merge, all else is replaced, nulls are what SDKs send for "not named".
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (_, Value::Null) => {}
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_request_gets_the_defaults() {
        let policy = Policy::default_for("web").with(&json!({})).unwrap();
        assert_eq!(policy.x509_props.subject, "CN=web");
        assert_eq!(policy.key_spec().unwrap(), KeySpec::Rsa(2048));
        assert_eq!(policy.secret_props.content_type, PKCS12);
    }

    #[test]
    fn what_is_named_replaces_and_nulls_do_not() {
        let asked = json!({
            "key_props": {"kty": "EC", "exportable": false, "key_size": null},
            "x509_props": {"subject": "CN=a", "sans": {"dns_names": ["a.example"]}, "ekus": null},
        });
        let policy = Policy::default_for("web").with(&asked).unwrap();
        assert!(!policy.key_props.exportable);
        assert_eq!(policy.key_props.crv.as_deref(), Some("P-256"));
        assert_eq!(policy.x509_props.sans.dns_names, ["a.example"]);
        assert_eq!(policy.x509_props.ekus.len(), 2);
    }

    #[test]
    fn nonsense_is_refused() {
        for asked in [json!({"key_props": 1}), json!({"secret_props": {"contentType": "text/plain"}})] {
            assert!(Policy::default_for("web").with(&asked).is_err(), "{asked}");
        }
    }
}

//! The `caBundle` of a `MutatingWebhookConfiguration`: by it the API server knows the webhook.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Request, header::CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    authority::Bundle,
    objects::{CONTROLLER, Call, ObjectError, Objects, unreadable},
};

const BASE: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
const KIND: &str = "MutatingWebhookConfiguration";

/// As it was read.
#[derive(Debug, Deserialize)]
pub(super) struct Configuration {
    metadata: Metadata,
    #[serde(default)]
    webhooks: Vec<Webhook>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    resource_version: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Webhook {
    client_config: ClientConfig,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientConfig {
    #[serde(default)]
    ca_bundle: String,
}

impl Configuration {
    /// Whether each of its webhooks trusts `bundle`, and nothing else.
    pub(super) fn trusts(&self, bundle: &Bundle) -> bool {
        let wanted = STANDARD.encode(bundle.as_str());
        self.webhooks.iter().all(|webhook| webhook.client_config.ca_bundle == wanted)
    }

    /// A JSON patch that makes it so, if it is still what was read: entries are known by their place alone.
    fn patch(&self, bundle: &Bundle) -> Value {
        let wanted = STANDARD.encode(bundle.as_str());
        let read = &self.metadata.resource_version;
        let mut operations = vec![json!({"op": "test", "path": "/metadata/resourceVersion", "value": read})];
        for (place, webhook) in self.webhooks.iter().enumerate() {
            if webhook.client_config.ca_bundle != wanted {
                let path = format!("/webhooks/{place}/clientConfig/caBundle");
                operations.push(json!({"op": "add", "path": path, "value": wanted}));
            }
        }
        operations.into()
    }
}

/// Reads it, if it exists.
pub(super) async fn read(objects: &Objects, name: &str) -> Result<Option<Configuration>, ObjectError> {
    let about = format!("{KIND} {name}");
    let request = Request::get(format!("{BASE}/{name}")).body(Vec::new());
    let request = request.map_err(kube::core::request::Error::BuildRequest);
    let Some(answer) = objects.read(&Call { about: &about, counted: None, request }).await? else { return Ok(None) };
    serde_json::from_slice(&answer).map(Some).map_err(|error| unreadable(&about, &error))
}

/// Makes it trust `bundle`.
pub(super) async fn write(
    objects: &Objects,
    name: &str,
    read: &Configuration,
    bundle: &Bundle,
) -> Result<(), ObjectError> {
    let about = format!("{KIND} {name}");
    let request = Request::patch(format!("{BASE}/{name}?fieldManager={CONTROLLER}"))
        .header(CONTENT_TYPE, "application/json-patch+json")
        .body(read.patch(bundle).to_string().into_bytes());
    let request = request.map_err(kube::core::request::Error::BuildRequest);
    objects.send(&Call { about: &about, counted: Some((KIND, "patch")), request }).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle() -> Bundle {
        Bundle::parse(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap()
    }

    fn configuration(bundles: &[Option<&str>]) -> Configuration {
        let webhooks: Vec<_> = bundles
            .iter()
            .map(|bundle| {
                bundle.map_or(
                    json!({"clientConfig": {"service": {}}}),
                    |bundle| json!({"clientConfig": {"caBundle": bundle}}),
                )
            })
            .collect();
        serde_json::from_value(json!({"metadata": {"resourceVersion": "7"}, "webhooks": webhooks})).unwrap()
    }

    #[test]
    fn every_webhook_is_made_to_trust_it_and_only_those_that_do_not() {
        let wanted = STANDARD.encode(bundle().as_str());
        let some = configuration(&[None, Some(&wanted), Some("QUFB")]);
        assert!(!some.trusts(&bundle()));
        let add =
            |place| json!({"op": "add", "path": format!("/webhooks/{place}/clientConfig/caBundle"), "value": wanted});
        let test = json!({"op": "test", "path": "/metadata/resourceVersion", "value": "7"});
        assert_eq!(some.patch(&bundle()), json!([test, add(0), add(2)]));
        assert!(configuration(&[Some(&wanted), Some(&wanted)]).trusts(&bundle()));
        assert!(configuration(&[]).trusts(&bundle()));
    }
}

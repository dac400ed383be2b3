//! Certificates by hand, as somebody without a controller would: each object by itself, in any order.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::scene::{AUTHORITY, BROKER_NAME, INJECTED, NAMESPACE, TLS_SECRETS, WEBHOOK_NAME, set_bundle};
use crate::{
    api::{ApiServer, Resource},
    ca::{CaError, Issued, TestCa},
    stand::TRUST_DOMAIN,
};

/// Writes into the API server.
pub struct Hand(Arc<ApiServer>);

/// Servers' certificates, the broker's and the webhook's.
pub struct Pairs([Issued; 2]);

impl Pairs {
    /// All of one authority.
    pub fn of(ca: &TestCa) -> Result<Self, CaError> {
        let issue = |role, name: &str| ca.issue_serving_role(role, TRUST_DOMAIN, &[name.to_owned()]);
        Ok(Self([issue("broker", BROKER_NAME)?, issue("webhook", WEBHOOK_NAME)?]))
    }
}

impl Hand {
    /// Of somebody at this API server.
    pub fn at(api: &Arc<ApiServer>) -> Self {
        Self(Arc::clone(api))
    }

    /// What pods and the API server are to trust.
    pub fn trust(&self, bundle: &str) {
        let metadata = json!({ "namespace": INJECTED, "name": AUTHORITY });
        self.0.put(Resource::CONFIG_MAPS, json!({ "metadata": metadata, "data": { "ca.crt": bundle } }));
        set_bundle(&self.0, &STANDARD.encode(bundle));
    }

    /// What servers show, and whom they trust.
    pub fn serve(&self, pairs: &Pairs, bundle: &str) {
        for (name, issued) in TLS_SECRETS.iter().zip(&pairs.0) {
            let files = [("tls.crt", issued.cert_pem.as_str()), ("tls.key", &issued.key_pem), ("ca.crt", bundle)];
            let data: Map<String, Value> =
                files.map(|(name, text)| (name.to_owned(), STANDARD.encode(text).into())).into_iter().collect();
            let metadata = json!({ "namespace": NAMESPACE, "name": name });
            let secret = json!({ "metadata": metadata, "type": "kubernetes.io/tls", "data": data });
            self.0.put(Resource::CORE_SECRETS, secret);
        }
    }
}

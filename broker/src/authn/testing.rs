//! An issuer's key for tests.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use super::jws::VerifyingKey;

/// Signs ES256.
pub(super) struct Signer {
    id: &'static str,
    key: EcdsaKeyPair,
}

impl Signer {
    pub(super) fn new(id: &'static str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        Self { id, key }
    }

    pub(super) fn key(&self) -> VerifyingKey {
        VerifyingKey::P256(self.key.public_key().as_ref().to_vec())
    }

    pub(super) fn jwk(&self) -> Value {
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        json!({
            "kid": self.id, "kty": "EC", "crv": "P-256", "use": "sig",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        })
    }

    /// Any header over any payload, with a signature that fits both.
    pub(super) fn token(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A token of pod `shop/checkout-1` that does not expire in any test.
    pub(super) fn pod_token(&self, issuer: &str) -> String {
        let claims = json!({
            "iss": issuer, "sub": "system:serviceaccount:shop:checkout", "aud": ["keyward-broker"], "exp": 9_000_000,
            "kubernetes.io": {
                "namespace": "shop", "serviceaccount": {"name": "checkout"}, "pod": {"name": "checkout-1", "uid": "p"},
            },
        });
        self.token(&json!({"alg": "ES256", "kid": self.id}).to_string(), &claims.to_string())
    }
}

//! Tokens a cluster would never issue, for tests that must see them refused.

use std::sync::Arc;

use serde_json::{Value, json};

use super::issuer::ProjectedToken;
use super::jwt::{SignError, SigningKey, unsigned};

/// Signs anything with the issuer's key, or pretends to.
#[derive(Clone)]
pub struct TokenForge {
    key: Arc<SigningKey>,
    issuer: String,
}

impl TokenForge {
    pub(super) fn new(key: Arc<SigningKey>, issuer: String) -> Self {
        Self { key, issuer }
    }

    /// The claims of an honest token, to be altered.
    pub fn claims(&self, token: &ProjectedToken) -> Value {
        token.claims(&self.issuer)
    }

    /// Signs any claims with the issuer's key.
    pub fn sign(&self, claims: &Value) -> Result<String, SignError> {
        self.key.sign(claims)
    }

    /// Signs any claims under any header with the issuer's key.
    pub fn sign_under(&self, header: &Value, claims: &Value) -> Result<String, SignError> {
        self.key.sign_under(header, claims)
    }

    /// A token that expired an hour ago.
    pub fn expired(&self, token: &ProjectedToken) -> Result<String, SignError> {
        let mut claims = self.claims(token);
        for claim in ["iat", "nbf"] {
            claims[claim] = json!(claims[claim].as_i64().unwrap_or_default() - 7_200);
        }
        claims["exp"] = json!(claims["iat"].as_i64().unwrap_or_default() + 3_600);
        self.sign(&claims)
    }

    /// A token that names the issuer's key but was signed with another of the same kind.
    pub fn wrong_key(&self, token: &ProjectedToken) -> Result<String, SignError> {
        let header = json!({"alg": self.key.algorithm(), "kid": self.key.kid(), "typ": "JWT"});
        SigningKey::rs256()?.sign_under(&header, &self.claims(token))
    }

    /// A token with `alg: none` and no signature.
    pub fn unsigned(&self, token: &ProjectedToken) -> String {
        unsigned(&self.claims(token))
    }
}

//! Access tokens: made by the token endpoints, checked by the vaults.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::clock::system_now;
use super::config::Identity;
use super::errors::Refusal;
use super::identities::object_id_of;
use super::jwt::{SignError, SigningKey};

/// How long an access token holds.
pub(super) const TOKEN_SECONDS: i64 = 3_600;

/// Entra's signing key and the tokens it makes.
pub(super) struct AccessTokens {
    key: SigningKey,
    authority: String,
}

/// A token and when it ends.
pub(super) struct AccessToken {
    pub(super) token: String,
    pub(super) expires_on: i64,
}

/// What a vault demands of a caller.
pub(super) struct Demand<'a> {
    pub(super) tenant: &'a str,
    pub(super) resource: &'a str,
}

impl AccessTokens {
    /// Makes a signing key.
    pub(super) fn new(authority: String) -> Result<Self, SignError> {
        Ok(Self { key: SigningKey::es256()?, authority })
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    pub(super) fn jwks(&self) -> Value {
        self.key.jwks()
    }

    /// Signs any claims.
    pub(super) fn sign(&self, claims: &Value) -> Result<String, SignError> {
        self.key.sign(claims)
    }

    /// Makes a token for `resource`.
    pub(super) fn issue(&self, identity: &Identity, resource: &str) -> Result<AccessToken, SignError> {
        let now = system_now();
        let expires_on = now + TOKEN_SECONDS;
        let token = self.key.sign(&json!({
            "aud": resource.trim_end_matches('/'),
            "iss": format!("{}/{}/v2.0", self.authority, identity.tenant),
            "iat": now,
            "nbf": now,
            "exp": expires_on,
            "appid": identity.client_id,
            "oid": object_id_of(identity),
            "sub": object_id_of(identity),
            "tid": identity.tenant,
            "ver": "1.0",
        }))?;
        Ok(AccessToken { token, expires_on })
    }

    /// The client id of a caller whose token holds for this vault; else the 401 with its challenge.
    pub(super) fn authenticate(&self, headers: &HeaderMap, demand: &Demand<'_>) -> Result<String, Refusal> {
        let refuse = |message: &str| self.challenge(demand, message);
        let Some(token) = bearer(headers) else {
            return Err(refuse("AKV10000: Request is missing a Bearer or PoP token."));
        };
        let claims = self.key.verify(token).map_err(|error| refuse(&format!("Error validating token: {error}.")))?;
        if claims["exp"].as_i64().is_none_or(|exp| exp <= system_now()) {
            return Err(refuse("Error validating token: it has expired."));
        }
        if claims["aud"] != demand.resource {
            return Err(refuse("AKV10022: Invalid audience."));
        }
        if claims["tid"] != demand.tenant {
            return Err(refuse("AKV10032: Invalid issuer."));
        }
        claims["appid"].as_str().map(str::to_owned).ok_or_else(|| refuse("Error validating token: it has no appid."))
    }

    /// The 401 that says where tokens come from.
    pub(super) fn challenge(&self, demand: &Demand<'_>, message: &str) -> Refusal {
        let challenge =
            format!(r#"Bearer authorization="{}/{}", resource="{}""#, self.authority, demand.tenant, demand.resource);
        let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "Unauthorized", message);
        match HeaderValue::from_str(&challenge) {
            Ok(value) => refusal.with_header(header::WWW_AUTHENTICATE, value),
            Err(_) => Refusal::internal("The vault's tenant or resource cannot stand in a header."),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::config::{DEFAULT_RESOURCE, DEFAULT_TENANT, Objects};

    const DEMAND: Demand<'static> = Demand { tenant: DEFAULT_TENANT, resource: DEFAULT_RESOURCE };

    fn identity() -> Identity {
        Objects::from_yaml("identities: [{clientId: app}]").unwrap().identities.remove(0)
    }

    fn headers(token: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap())])
    }

    #[test]
    fn an_own_token_for_the_right_audience_names_its_holder() {
        let tokens = AccessTokens::new("https://localhost:1".into()).unwrap();
        let token = tokens.issue(&identity(), "https://vault.azure.net/").unwrap().token;
        assert_eq!(tokens.authenticate(&headers(&token), &DEMAND).unwrap(), "app");
    }

    #[test]
    fn tokens_of_another_authority_audience_or_time_are_challenged() {
        let tokens = AccessTokens::new("https://localhost:1".into()).unwrap();
        let other = AccessTokens::new("https://localhost:1".into()).unwrap();
        let stale = json!({"aud": DEFAULT_RESOURCE, "tid": DEFAULT_TENANT, "appid": "app", "exp": 1});
        for (what, token) in [
            ("wrong key", other.issue(&identity(), DEFAULT_RESOURCE).unwrap().token),
            ("wrong audience", tokens.issue(&identity(), "https://management.azure.com").unwrap().token),
            ("expired", tokens.key.sign(&stale).unwrap()),
            ("garbage", "x".to_owned()),
        ] {
            let response = axum::response::IntoResponse::into_response(
                tokens.authenticate(&headers(&token), &DEMAND).unwrap_err(),
            );
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{what}");
            let challenge = response.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
            assert_eq!(
                challenge,
                format!(
                    r#"Bearer authorization="https://localhost:1/{DEFAULT_TENANT}", resource="{DEFAULT_RESOURCE}""#
                ),
                "{what}"
            );
        }
    }
}

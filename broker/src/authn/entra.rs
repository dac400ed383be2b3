//! Tokens of Entra by which an application proves itself: Event Grid's deliveries carry one.
//!
//! Whoever is in the tenant may have a token for our audience, unless the tenant's administrator restricts it. So the
//! application that it was issued to is looked at too.

use std::time::SystemTime;

use serde::Deserialize;

use super::{AuthnError, claims::validity, jwks::IssuerKeys, quote};

/// Whose tokens are taken.
#[derive(Clone, Debug)]
pub struct Expected {
    /// `iss`, one of them: Entra writes another for each version of its tokens.
    pub issuers: Vec<String>,
    /// `aud`, one of them.
    pub audiences: Vec<String>,
    /// The application (`appid` or `azp`) or its service principal (`oid`), one of them.
    pub senders: Vec<String>,
}

/// Verifies such tokens.
pub struct EntraTokens {
    expected: Expected,
    keys: IssuerKeys,
    clock: fn() -> SystemTime,
}

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntraError {
    /// It is none, or Entra has not signed it, or it is not good at this time.
    #[error(transparent)]
    Token(AuthnError),
    /// It cannot be told whether it is good.
    #[error("tokens of Entra cannot be verified now: {0}")]
    Unavailable(String),
    /// `iss` is another.
    #[error("the token's issuer is `{0}`, which is not the tenant's")]
    Issuer(String),
    /// `aud` is another.
    #[error("the token's audience is `{0}`")]
    Audience(String),
    /// Another application shows it.
    #[error("the token was issued to application `{0}`, which may not deliver events")]
    Sender(String),
}

impl From<AuthnError> for EntraError {
    fn from(error: AuthnError) -> Self {
        match error {
            AuthnError::Unavailable(reason) => Self::Unavailable(reason),
            error => Self::Token(error),
        }
    }
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    exp: u64,
    nbf: Option<u64>,
    iat: Option<u64>,
    /// The application, in tokens of version 1.
    appid: Option<String>,
    /// The same, in those of version 2.
    azp: Option<String>,
    oid: Option<String>,
}

impl EntraTokens {
    /// Takes what is `expected` and signed by one of `keys`.
    pub fn new(expected: Expected, keys: IssuerKeys) -> Self {
        Self { expected, keys, clock: SystemTime::now }
    }

    /// Accepts the token or says why not.
    pub async fn accept(&self, token: &str) -> Result<(), EntraError> {
        accept(&self.keys.verified(token).await?, &self.expected, (self.clock)())
    }
}

/// Looks at claims whose signature has been verified. Pure.
fn accept(claims: &[u8], expected: &Expected, now: SystemTime) -> Result<(), EntraError> {
    let claims: Claims = serde_json::from_slice(claims)
        .map_err(|_| AuthnError::Malformed("its claims are not those of a token for an application"))?;
    if !expected.issuers.contains(&claims.iss) {
        return Err(EntraError::Issuer(quote(&claims.iss)));
    }
    if !expected.audiences.contains(&claims.aud) {
        return Err(EntraError::Audience(quote(&claims.aud)));
    }
    validity(claims.exp, [claims.nbf, claims.iat], now)?;
    let shown = [&claims.appid, &claims.azp, &claims.oid];
    let is_expected = |shown: &String| expected.senders.iter().any(|sender| sender.eq_ignore_ascii_case(shown));
    if shown.into_iter().flatten().any(is_expected) {
        return Ok(());
    }
    let application = claims.appid.or(claims.azp).unwrap_or_default();
    Err(EntraError::Sender(quote(&application)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::super::testing::NOW;
    use super::*;

    const EVENT_GRID: &str = "4962773b-9cdb-44cf-a8bf-237846a00ab7";
    const V1: &str = "https://sts.windows.net/11111111-1111-1111-1111-111111111111/";
    const V2: &str = "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111/v2.0";

    fn verdict(claims: &Value) -> Result<(), EntraError> {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let expected = Expected {
            issuers: own(&[V1, V2]),
            audiences: own(&["api://keyward", "k-1"]),
            senders: own(&[EVENT_GRID]),
        };
        accept(claims.to_string().as_bytes(), &expected, SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))
    }

    fn with(changes: Value) -> Value {
        let mut claims = json!({
            "iss": V1, "aud": "api://keyward", "exp": NOW + 60, "nbf": NOW - 60, "iat": NOW - 60,
            "appid": EVENT_GRID, "oid": "o-1",
        });
        let Value::Object(changes) = changes else { panic!("an object") };
        claims.as_object_mut().unwrap().extend(changes);
        claims
    }

    #[test]
    fn the_application_that_is_expected_is_accepted_in_both_versions_of_tokens() {
        for changes in [
            json!({}),
            json!({"iss": V2, "aud": "k-1", "appid": null, "azp": EVENT_GRID}),
            json!({"appid": EVENT_GRID.to_uppercase()}),
            json!({"appid": null, "oid": EVENT_GRID}),
            json!({"nbf": null, "iat": null, "roles": ["AzureEventGridSecureWebhookSubscriber"]}),
        ] {
            assert_eq!(verdict(&with(changes.clone())), Ok(()), "{changes}");
        }
    }

    #[test]
    fn everybody_else_is_refused_and_the_reason_named() {
        let sender = |name: &str| EntraError::Sender(name.into());
        for (changes, expected) in [
            (
                json!({"iss": "https://sts.windows.net/other/"}),
                EntraError::Issuer("https://sts.windows.net/other/".into()),
            ),
            (json!({"iss": V1.trim_end_matches('/')}), EntraError::Issuer(V1.trim_end_matches('/').into())),
            (json!({"aud": "https://vault.azure.net"}), EntraError::Audience("https://vault.azure.net".into())),
            (json!({"aud": "api://keyward/"}), EntraError::Audience("api://keyward/".into())),
            (json!({"exp": NOW}), EntraError::Token(AuthnError::Expired { since: Duration::ZERO })),
            (json!({"nbf": NOW + 60}), EntraError::Token(AuthnError::NotYetValid)),
            (json!({"appid": "a-1"}), sender("a-1")),
            (json!({"appid": null, "azp": "a-2"}), sender("a-2")),
            (json!({"appid": null, "oid": null}), sender("")),
        ] {
            assert_eq!(verdict(&with(changes.clone())), Err(expected), "{changes}");
        }
    }

    #[test]
    fn claims_of_another_shape_are_malformed() {
        for claims in [json!([]), with(json!({"aud": ["api://keyward"]})), with(json!({"exp": "soon"}))] {
            assert!(matches!(verdict(&claims), Err(EntraError::Token(AuthnError::Malformed(_)))), "{claims}");
        }
    }
}

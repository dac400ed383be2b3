//! The token that a Bearer challenge asks for
//! ([Docker's token authentication](https://distribution.github.io/distribution/spec/auth/)).
//!
//! The registry says where its token service is, and gets away with much: but not with plain HTTP, unless it is spoken
//! to without TLS itself. The right to pull is asked for, from one repository, whatever the challenge says.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Method};
use serde::Deserialize;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::{
    error::{Said, line},
    keyring::Credential,
    registry::Registry,
    transport::{Answer, Ask, TransportError, detour},
};

/// Real ones are below 8 KiB.
const MAX_ANSWER: usize = 64 * 1024;
const CLIENT_ID: &str = "keyward";

/// Why there is no token.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum TokenError {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error("its token service `{0}` is no URL")]
    Realm(String),
    #[error("its token service answers {0}")]
    Refused(Said),
    #[error("its token service answers without a token")]
    Empty,
}

#[derive(Deserialize)]
struct Granted {
    token: Option<String>,
    access_token: Option<String>,
    refresh_token: Option<String>,
}

/// User and password, as a header.
pub(super) fn basic(user: &str, password: &str) -> Result<HeaderValue, TokenError> {
    let pair = Zeroizing::new(format!("{user}:{password}"));
    sensitive(&Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes()))))
}

/// A token of the service at `realm`, for a credential or for nobody.
pub(super) async fn bearer(
    registry: &Registry<'_>,
    realm: &str,
    service: Option<&str>,
    credential: Option<&Credential>,
) -> Result<HeaderValue, TokenError> {
    let mut url = checked(registry, realm)?;
    let scope = registry.scope();
    let mut pairs = vec![("scope", scope.as_str())];
    pairs.extend(service.map(|service| ("service", service)));
    let (form, authorization) = match credential {
        Some(Credential::IdentityToken(token)) => {
            pairs.extend([
                ("grant_type", "refresh_token"),
                ("client_id", CLIENT_ID),
                ("refresh_token", token.as_str()),
            ]);
            (Some(form(&pairs)), None)
        }
        Some(Credential::Password { user, password }) => {
            url.query_pairs_mut().extend_pairs(&pairs);
            (None, Some(basic(user, password)?))
        }
        None => {
            url.query_pairs_mut().extend_pairs(&pairs);
            (None, None)
        }
    };
    let granted = granted(registry, url, form, authorization.as_ref()).await?;
    let token = granted.access_token.filter(|token| !token.is_empty()).or(granted.token);
    token_header(token.filter(|token| !token.is_empty()).ok_or(TokenError::Empty)?)
}

/// Posts a form to one of the registry's own endpoints: `access_token` or `refresh_token` of the answer.
pub(super) async fn exchange(
    registry: &Registry<'_>,
    path: &str,
    pairs: &[(&str, &str)],
) -> Result<Zeroizing<String>, TokenError> {
    let granted = granted(registry, registry.at(path), Some(form(pairs)), None).await?;
    let token = granted.access_token.or(granted.refresh_token).filter(|token| !token.is_empty());
    token.map(Zeroizing::new).ok_or(TokenError::Empty)
}

pub(super) fn token_header(token: String) -> Result<HeaderValue, TokenError> {
    sensitive(&Zeroizing::new(format!("Bearer {}", *Zeroizing::new(token))))
}

async fn granted(
    registry: &Registry<'_>,
    url: Url,
    form: Option<String>,
    authorization: Option<&HeaderValue>,
) -> Result<Granted, TokenError> {
    let method = if form.is_some() { Method::POST } else { Method::GET };
    let ask = Ask { method, url, accept: "application/json", authorization, form, limit: MAX_ANSWER };
    let answer: Answer = registry.ask(ask).await?;
    if answer.status != http::StatusCode::OK {
        return Err(TokenError::Refused(Said::of(&answer)));
    }
    serde_json::from_slice(&answer.body.bytes).map_err(|_| TokenError::Empty)
}

/// A token service may be elsewhere, but credentials go there by HTTPS as they would to the registry.
fn checked(registry: &Registry<'_>, realm: &str) -> Result<Url, TokenError> {
    let bad = || TokenError::Realm(line(realm, 80));
    let mut url = Url::parse(realm).map_err(|_| bad())?;
    url.set_fragment(None);
    if !url.has_host() || !matches!(url.scheme(), "http" | "https") {
        return Err(bad());
    }
    let refused = |reason| Err(detour(&registry.at(""), &url, reason).into());
    if !url.username().is_empty() || url.password().is_some() {
        return refused("it carries credentials");
    }
    if url.scheme() == "http" && !registry.may_be_plain(&url) {
        return refused("a token service must be at HTTPS");
    }
    Ok(url)
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn sensitive(text: &str) -> Result<HeaderValue, TokenError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| TokenError::Empty)?;
    value.set_sensitive(true);
    Ok(value)
}

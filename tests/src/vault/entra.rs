//! Entra's token endpoint, client credentials only: with a client secret, or with a federated token of the cluster
//! (workload identity). And the discovery documents that MSAL asks for.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::auth::TOKEN_SECONDS;
use super::clock::system_now;
use super::config::Identity;
use super::faults::{Instead, Revocation, Target};
use super::line::Line;
use super::world::World;

/// What a federated token must be for.
const EXCHANGE_AUDIENCE: &str = "api://AzureADTokenExchange";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Entra's way to say no.
#[derive(Debug, PartialEq, Eq)]
struct Denial {
    status: StatusCode,
    error: &'static str,
    number: u32,
    text: String,
}

impl Denial {
    fn new(status: StatusCode, error: &'static str, number: u32, text: impl Into<String>) -> Self {
        Self { status, error, number, text: text.into() }
    }

    fn invalid_client(number: u32, text: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", number, text)
    }

    fn unknown_client(tenant: &str, client: &str) -> Self {
        let text = format!("Application with identifier '{client}' was not found in the directory '{tenant}'.");
        Self::new(StatusCode::BAD_REQUEST, "unauthorized_client", 700_016, text)
    }

    fn missing(field: &str) -> Self {
        let text = format!("The request body must contain the following parameter: '{field}'.");
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", 900_144, text)
    }
}

impl IntoResponse for Denial {
    fn into_response(self) -> Response {
        let (trace, correlation) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
        let timestamp = time::OffsetDateTime::now_utc().date().to_string();
        let body = json!({
            "error": self.error,
            "error_description": format!(
                "AADSTS{}: {} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}",
                self.number, self.text
            ),
            "error_codes": [self.number],
            "timestamp": timestamp,
            "trace_id": trace.to_string(),
            "correlation_id": correlation.to_string(),
            "error_uri": format!("https://login.microsoftonline.com/error?code={}", self.number),
        });
        (self.status, Json(body)).into_response()
    }
}

/// The form of a token request.
struct Form(Vec<(String, String)>);

impl Form {
    fn parse(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).into_owned().collect())
    }

    fn get(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == field).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn need(&self, field: &str) -> Result<&str, Denial> {
        self.get(field).ok_or_else(|| Denial::missing(field))
    }
}

/// `POST /{tenant}/oauth2/v2.0/token`
pub(super) async fn token(
    State(world): State<Arc<World>>,
    Extension(line): Extension<Line>,
    Path(tenant): Path<String>,
    body: axum::body::Bytes,
) -> Response {
    let form = Form::parse(&body);
    let client = form.get("client_id").unwrap_or_default();
    let call = world.calls.open("entra", "Token", client);
    call.by(client);
    let target = Target { vault: "entra", operation: "Token", object: client, client: Some(client), admitted: true };
    let refuse = |instead: &Instead| refusal(&world, &tenant, client, instead);
    let act = async |_| match grant(&world, &tenant, &form) {
        Ok(answer) => ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response(),
        Err(denial) => denial.into_response(),
    };
    let answer = world.faults.through(&target, &line, refuse, act).await;
    call.finish(answer.status());
    answer
}

/// What Entra says where an armed fault answers in its stead.
fn refusal(world: &World, tenant: &str, client: &str, instead: &Instead) -> Response {
    let (status, retry_after) = match instead {
        Instead::Status { code, retry_after, .. } => (*code, *retry_after),
        Instead::Revoked(Revocation::Credential) => {
            let text = "The provided client secret keys are expired.";
            return Denial::invalid_client(7_000_222, text).into_response();
        }
        Instead::Revoked(_) => return Denial::unknown_client(tenant, client).into_response(),
    };
    let mut response = Denial::new(status, "temporarily_unavailable", 90_033, "A transient error.").into_response();
    if let Some(value) = retry_after.and_then(|pause| pause.header(world.clock.now())) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

fn grant(world: &World, tenant: &str, form: &Form) -> Result<Value, Denial> {
    if !world.identities.has_tenant(tenant) {
        let text = format!("Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID.");
        return Err(Denial::new(StatusCode::BAD_REQUEST, "invalid_request", 90_002, text));
    }
    let grant_type = form.need("grant_type")?;
    if grant_type != "client_credentials" {
        let text = format!("The app requested an unsupported grant type '{grant_type}'.");
        return Err(Denial::new(StatusCode::BAD_REQUEST, "unsupported_grant_type", 70_003, text));
    }
    let client_id = form.need("client_id")?;
    let resource = resource_of(form.need("scope")?)?;
    let identity = world.identities.find(tenant, client_id).ok_or_else(|| Denial::unknown_client(tenant, client_id))?;
    prove(world, &identity, form)?;
    let issued = world
        .access_tokens
        .issue(&identity, resource)
        .map_err(|error| Denial::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", 90_033, error.to_string()))?;
    Ok(json!({
        "token_type": "Bearer",
        "expires_in": TOKEN_SECONDS,
        "ext_expires_in": TOKEN_SECONDS,
        "access_token": issued.token,
    }))
}

/// The resource of `RESOURCE/.default`, the only kind of scope that client credentials may ask for.
fn resource_of(scope: &str) -> Result<&str, Denial> {
    let resource = scope.split(' ').find_map(|scope| scope.strip_suffix("/.default"));
    resource.filter(|resource| !resource.is_empty()).ok_or_else(|| {
        let text = format!("The provided value for scope {scope} is not valid. It must end with /.default.");
        Denial::new(StatusCode::BAD_REQUEST, "invalid_scope", 1_002_012, text)
    })
}

fn prove(world: &World, identity: &Identity, form: &Form) -> Result<(), Denial> {
    if let Some(secret) = form.get("client_secret") {
        return match &identity.client_secret {
            Some(known) if known == secret => Ok(()),
            _ => Err(Denial::invalid_client(7_000_215, "Invalid client secret provided.")),
        };
    }
    let Some(assertion) = form.get("client_assertion") else {
        let text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
        return Err(Denial::invalid_client(7_000_218, text));
    };
    if form.need("client_assertion_type")? != JWT_BEARER {
        return Err(Denial::invalid_client(50_027, "Invalid JWT token: unknown client_assertion_type."));
    }
    // A file's trailing newline is not part of the token; some SDKs send it.
    let Some(claims) = world.issuer.verify(assertion.trim_end()) else {
        let text = "No matching federated identity record found for presented assertion issuer or signature.";
        return Err(Denial::invalid_client(700_211, text));
    };
    federated(identity, &claims)
}

fn federated(identity: &Identity, claims: &Value) -> Result<(), Denial> {
    let now = system_now();
    if claims["exp"].as_i64().is_none_or(|exp| exp <= now) || claims["nbf"].as_i64().is_some_and(|nbf| nbf > now) {
        let text = "Client assertion is not within its valid time range.";
        return Err(Denial::invalid_client(700_024, text));
    }
    let for_exchange = match &claims["aud"] {
        Value::String(audience) => audience == EXCHANGE_AUDIENCE,
        Value::Array(audiences) => audiences.iter().any(|audience| audience == EXCHANGE_AUDIENCE),
        _ => false,
    };
    if !for_exchange {
        let text = "No matching federated identity record found for presented assertion audience.";
        return Err(Denial::invalid_client(700_212, text));
    }
    let subject = claims["sub"].as_str().unwrap_or_default();
    if !identity.federated_subjects.iter().any(|known| known == subject) {
        let text = format!("No matching federated identity record found for presented assertion subject '{subject}'.");
        return Err(Denial::invalid_client(700_213, text));
    }
    Ok(())
}

/// `GET /common/discovery/instance`: tells MSAL that this host is an authority.
pub(super) async fn instance(State(world): State<Arc<World>>) -> Json<Value> {
    let authority = world.access_tokens.authority();
    let host = authority.trim_start_matches("https://");
    Json(json!({
        "tenant_discovery_endpoint": format!("{authority}/common/v2.0/.well-known/openid-configuration"),
        "api-version": "1.1",
        "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
    }))
}

/// `GET /{tenant}/v2.0/.well-known/openid-configuration`
pub(super) async fn configuration(State(world): State<Arc<World>>, Path(tenant): Path<String>) -> Json<Value> {
    let base = format!("{}/{tenant}", world.access_tokens.authority());
    Json(json!({
        "issuer": format!("{base}/v2.0"),
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "jwks_uri": format!("{base}/discovery/v2.0/keys"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        "response_types_supported": ["code", "id_token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
    }))
}

/// `GET /{tenant}/discovery/v2.0/keys`
pub(super) async fn keys(State(world): State<Arc<World>>) -> Json<Value> {
    Json(world.access_tokens.jwks())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_default_scopes_name_a_resource() {
        assert_eq!(resource_of("https://vault.azure.net/.default"), Ok("https://vault.azure.net"));
        assert_eq!(resource_of("openid https://vault.azure.net/.default"), Ok("https://vault.azure.net"));
        assert!(resource_of("https://vault.azure.net/user_impersonation").is_err());
        assert!(resource_of("/.default").is_err());
    }

    #[test]
    fn a_denial_carries_its_number_in_text_and_in_codes() {
        let denial = Denial::invalid_client(7_000_215, "Invalid client secret provided.");
        assert_eq!(denial.into_response().status(), StatusCode::UNAUTHORIZED);
        assert_eq!(Denial::missing("scope").number, 900_144);
    }
}

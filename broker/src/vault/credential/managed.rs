//! A managed identity's token, from the machine's own endpoint.
//!
//! Own code: `azure_identity` knows one address for IMDS, sleeps and retries for over a minute, and refuses an
//! `expires_on` that is a number.

mod answer;
mod endpoint;

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    http::Url,
    time::OffsetDateTime,
};

pub use self::endpoint::{IMDS, InvalidEndpoint, app_service, imds};
use super::{ManagedEndpoint, ManagedId, SignInError, error::chain};
use crate::vault::{
    observe::{Operation, RequestObserver},
    transport::Count,
};

/// Far above any token with what surrounds it.
const MAX_ANSWER: usize = 64 * 1024;

/// Asks for one of the machine's identities.
pub(super) struct Managed {
    pub(super) id: ManagedId,
    pub(super) endpoint: ManagedEndpoint,
    pub(super) client: reqwest::Client,
    pub(super) observer: Arc<dyn RequestObserver>,
}

impl Managed {
    async fn fetch(&self, resource: &str) -> Result<AccessToken, SignInError> {
        let endpoint = self.endpoint.shown();
        let mut count = Count::start(self.observer.as_ref(), Operation::Token);
        let unreachable =
            |error: &reqwest::Error| SignInError::Unreachable { endpoint: endpoint.clone(), cause: root(error) };
        let mut response = self.request(resource).send().await.map_err(|error| unreachable(&error.without_url()))?;
        let status = response.status().as_u16();
        count.status = Some(status);
        drop(count);
        if status != 200 {
            return Err(SignInError::Refused { endpoint, status });
        }
        let mut body = zeroize::Zeroizing::new(Vec::with_capacity(MAX_ANSWER));
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error.without_url()))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(SignInError::NoToken { endpoint });
            }
            body.extend_from_slice(&chunk);
        }
        answer::token(&body, OffsetDateTime::now_utc()).ok_or(SignInError::NoToken { endpoint })
    }

    fn request(&self, resource: &str) -> reqwest::RequestBuilder {
        let request = self.client.get(url(&self.endpoint, &self.id, resource));
        match &self.endpoint {
            ManagedEndpoint::Imds(_) => request.header("metadata", "true"),
            ManagedEndpoint::AppService { header, .. } => request.header("x-identity-header", header.expose()),
        }
    }
}

/// What is asked for. The two endpoints differ in their names for the same ids.
fn url(endpoint: &ManagedEndpoint, id: &ManagedId, resource: &str) -> Url {
    let (mut url, version, object, arm) = match endpoint {
        ManagedEndpoint::Imds(url) => (url.clone(), "2018-02-01", "object_id", "msi_res_id"),
        ManagedEndpoint::AppService { url, .. } => (url.clone(), "2019-08-01", "principal_id", "mi_res_id"),
    };
    let mut query = url.query_pairs_mut();
    query.append_pair("api-version", version).append_pair("resource", resource);
    match id {
        ManagedId::System => &mut query,
        ManagedId::Client(id) => query.append_pair("client_id", id),
        ManagedId::Object(id) => query.append_pair(object, id),
        ManagedId::Resource(id) => query.append_pair(arm, id),
    };
    drop(query);
    url
}

/// The root of the matter in one bounded line.
fn root(error: &reqwest::Error) -> String {
    let innermost = chain(error).last();
    let text = innermost.map_or_else(String::new, ToString::to_string);
    text.chars().take(160).flat_map(char::escape_debug).collect()
}

#[async_trait]
impl TokenCredential for Managed {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let scope = scopes.first().copied().unwrap_or_default();
        Ok(self.fetch(scope.strip_suffix("/.default").unwrap_or(scope)).await?)
    }
}

impl std::fmt::Debug for Managed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Managed").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_endpoint_is_asked_in_its_own_words() {
        let imds = imds(None).unwrap();
        let app_service = app_service("http://127.0.0.1:41741/msi/token/?a=b", "kwcanary".into()).unwrap();
        let client = ManagedId::Client("c 1".to_owned());
        let object = ManagedId::Object("o".to_owned());
        let resource = ManagedId::Resource("/subscriptions/s/r".to_owned());
        let base =
            "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fv";
        let app = "http://127.0.0.1:41741/msi/token/?a=b&api-version=2019-08-01&resource=https%3A%2F%2Fv";
        for (endpoint, id, expected) in [
            (&imds, &ManagedId::System, base.to_owned()),
            (&imds, &client, format!("{base}&client_id=c+1")),
            (&imds, &object, format!("{base}&object_id=o")),
            (&imds, &resource, format!("{base}&msi_res_id=%2Fsubscriptions%2Fs%2Fr")),
            (&app_service, &ManagedId::System, app.to_owned()),
            (&app_service, &client, format!("{app}&client_id=c+1")),
            (&app_service, &object, format!("{app}&principal_id=o")),
            (&app_service, &resource, format!("{app}&mi_res_id=%2Fsubscriptions%2Fs%2Fr")),
        ] {
            assert_eq!(url(endpoint, id, "https://v").as_str(), expected);
        }
    }
}

//! The calls to one registry about one repository
//! ([OCI distribution](https://github.com/opencontainers/distribution-spec/blob/main/spec.md)).

use std::collections::BTreeSet;

use http::{HeaderValue, Method};
use serde::Deserialize;
use url::Url;

use super::{
    digest::Digest,
    error::Said,
    manifest::ACCEPT,
    reference::{ReferenceError, Target},
    transport::{Answer, Ask, Transport, TransportError},
};

/// What registries must take is 4 MiB of manifest; a configuration needs no more.
const MAX_DOCUMENT: usize = 4 * 1024 * 1024;
/// Errors and the answer to `/v2/`.
const MAX_WORDS: usize = 64 * 1024;

/// One repository.
pub(super) struct Registry<'a> {
    transport: &'a Transport,
    target: &'a Target,
    /// Registries without TLS.
    plain: &'a BTreeSet<String>,
    origin: Url,
    home: String,
}

impl<'a> Registry<'a> {
    pub(super) fn new(
        transport: &'a Transport,
        target: &'a Target,
        plain: &'a BTreeSet<String>,
    ) -> Result<Self, ReferenceError> {
        let scheme = if plain.contains(&target.registry) { "http" } else { "https" };
        // For example `1.2.3.999`, which is a number to URLs.
        let origin = Url::parse(&format!("{scheme}://{}/", target.authority()))
            .map_err(|_| ReferenceError::Part("its registry's host"))?;
        let home = origin.host_str().unwrap_or_default().to_owned();
        Ok(Self { transport, target, plain, origin, home })
    }

    /// As images name it.
    pub(super) fn name(&self) -> &str {
        &self.target.registry
    }

    pub(super) fn is_plain(&self) -> bool {
        self.origin.scheme() == "http"
    }

    /// Whether a token service named by this registry may be asked without TLS.
    pub(super) fn may_be_plain(&self, url: &Url) -> bool {
        let authority = url.host_str().map(|host| url.port().map_or(host.to_owned(), |port| format!("{host}:{port}")));
        let listed = authority.is_some_and(|authority| self.plain.contains(&authority));
        self.is_plain() && (listed || url.host_str() == Some(&self.home))
    }

    /// The right to pull, as token services write it.
    pub(super) fn scope(&self) -> String {
        format!("repository:{}:pull", self.target.repository)
    }

    /// An absolute path at the registry.
    pub(super) fn at(&self, path: &str) -> Url {
        let mut url = self.origin.clone();
        url.set_path(path);
        url
    }

    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<Answer, TransportError> {
        self.transport.ask(&self.home, ask).await
    }

    /// Whether the manifest may be read, and which it is.
    pub(super) async fn head(&self, authorization: Option<&HeaderValue>) -> Result<Answer, TransportError> {
        self.read(Method::HEAD, &self.manifest_path(self.target.version.as_str()), authorization, MAX_WORDS).await
    }

    /// A manifest by tag or digest.
    pub(super) async fn manifest(
        &self,
        version: &str,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, TransportError> {
        self.read(Method::GET, &self.manifest_path(version), authorization, MAX_DOCUMENT).await
    }

    /// A blob that is a configuration.
    pub(super) async fn blob(
        &self,
        digest: &Digest,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, TransportError> {
        let path = format!("/v2/{}/blobs/{digest}", self.target.repository);
        self.read(Method::GET, &path, authorization, MAX_DOCUMENT).await
    }

    /// What the registry says to anybody.
    pub(super) async fn greeting(&self) -> Result<Answer, TransportError> {
        self.read(Method::GET, "/v2/", None, MAX_WORDS).await
    }

    fn manifest_path(&self, version: &str) -> String {
        format!("/v2/{}/manifests/{version}", self.target.repository)
    }

    async fn read(
        &self,
        method: Method,
        path: &str,
        authorization: Option<&HeaderValue>,
        limit: usize,
    ) -> Result<Answer, TransportError> {
        let accept = if path.contains("/manifests/") { ACCEPT } else { "*/*" };
        self.ask(Ask { method, url: self.at(path), accept, authorization, form: None, limit }).await
    }
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<ErrorCode>,
}

#[derive(Deserialize)]
struct ErrorCode {
    code: String,
}

impl Said {
    /// The status, and the code where there is one and it is one: capitals and underscores.
    pub(super) fn of(answer: &Answer) -> Self {
        let errors = serde_json::from_slice::<Errors>(&answer.body.bytes).ok();
        let code = errors.and_then(|it| it.errors.into_iter().next()).map(|it| it.code);
        let is_code =
            |code: &String| (1..=40).contains(&code.len()) && code.bytes().all(|c| c.is_ascii_uppercase() || c == b'_');
        Self { status: answer.status.as_u16(), code: code.filter(is_code) }
    }
}

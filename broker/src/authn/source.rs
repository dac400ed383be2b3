//! Where an issuer's keys are, and reading them: by discovery, from a URL, or from a file.
//!
//! HTTPS only, no redirects, everything bounded: whoever controls this answer decides who every caller is.

use std::{
    error::Error as _,
    fmt, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Certificate, Client, StatusCode, redirect};
use serde::Deserialize;
use tokio::{fs::File, io::AsyncReadExt};
use url::Url;

use super::keys::{KeySet, KeySetError};

const MAX_DOCUMENT: usize = 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Of one request, to the last byte. Discovery makes two.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Where keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `jwks_uri` of the issuer's OpenID configuration.
    Discovery,
    /// A key set at an https URL.
    Url(Url),
    /// A key set in a file.
    File(PathBuf),
}

impl Place {
    /// From a flag: what holds `://` is a URL, the rest a path; discovery where there is none.
    pub fn parse(flag: Option<&str>) -> Result<Self, SourceError> {
        match flag {
            None => Ok(Self::Discovery),
            Some(text) if text.contains("://") => Ok(Self::Url(https(text)?)),
            Some(text) => Ok(Self::File(text.into())),
        }
    }
}

/// Why the source of keys cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Not `https://…`.
    #[error("`{0}` is no https URL; keys are fetched over https only, or read from a file")]
    NotHttps(String),
    /// The CA file.
    #[error("{path}: {reason}; it holds CA certificates in PEM", path = path.display())]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The HTTP client.
    #[error("no HTTPS client for the issuer: {0}")]
    Client(reqwest::Error),
}

/// Why keys could not be read this time. The messages name the place.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{at} does not answer: {reason}")]
    Unreachable { at: String, reason: String },
    #[error("{at} answers {status}")]
    Status { at: String, status: StatusCode },
    #[error("{0} is longer than 1 MiB")]
    TooLong(String),
    #[error("{path}: {source}", path = path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{at} is no OpenID configuration of issuer {issuer}: {reason}")]
    Discovery { at: Url, issuer: String, reason: &'static str },
    #[error("{at}: {source}")]
    KeySet { at: String, source: KeySetError },
}

/// The source of one issuer's keys.
pub struct KeySource {
    start: Start,
    issuer: String,
    client: Client,
}

/// A [`Place`] with everything known that can be before the first request.
enum Start {
    Configuration(Url),
    Keys(Url),
    File(PathBuf),
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.start {
            Start::Configuration(url) | Start::Keys(url) => write!(f, "{url}"),
            Start::File(path) => write!(f, "{}", path.display()),
        }
    }
}

#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: String,
}

impl KeySource {
    /// Reads nothing but the CA file, whose certificates are trusted besides the system's. With discovery the issuer is
    /// an https URL.
    pub fn new(issuer: &str, place: Place, ca_file: Option<PathBuf>) -> Result<Self, SourceError> {
        let start = match place {
            Place::Discovery => Start::Configuration(https(&format!(
                "{}/.well-known/openid-configuration",
                issuer.trim_end_matches('/')
            ))?),
            Place::Url(url) => Start::Keys(https(url.as_str())?),
            Place::File(path) => Start::File(path),
        };
        let mut client = Client::builder()
            .https_only(true)
            // As for Azure: the environment must not be able to send this elsewhere.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            // Fetches are minutes apart: a kept connection would only be found dead.
            .pool_max_idle_per_host(0);
        if let Some(path) = ca_file {
            client = client.tls_certs_merge(ca_certificates(&path)?);
        }
        Ok(Self { start, issuer: issuer.to_owned(), client: client.build().map_err(SourceError::Client)? })
    }

    /// Reads the keys that are there now.
    pub(super) async fn fetch(&self) -> Result<KeySet, FetchError> {
        let (at, document) = match &self.start {
            Start::File(path) => (path.display().to_string(), read(path).await?),
            Start::Keys(url) => (url.to_string(), self.get(url).await?),
            Start::Configuration(configuration) => {
                let url = self.discover(configuration).await?;
                (url.to_string(), self.get(&url).await?)
            }
        };
        KeySet::parse(&document).map_err(|source| FetchError::KeySet { at, source })
    }

    async fn discover(&self, at: &Url) -> Result<Url, FetchError> {
        let failed = |reason| FetchError::Discovery { at: at.clone(), issuer: self.issuer.clone(), reason };
        let document = self.get(at).await?;
        let Configuration { issuer, jwks_uri } =
            serde_json::from_slice(&document).map_err(|_| failed("it lacks `issuer` or `jwks_uri`"))?;
        // OpenID Connect Discovery 4.3: otherwise one tenant of a shared host could speak for another.
        if issuer != self.issuer {
            return Err(failed("its `issuer` is another"));
        }
        https(&jwks_uri).map_err(|_| failed("its `jwks_uri` is no https URL"))
    }

    async fn get(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        let unreachable = |error| FetchError::Unreachable { at: url.to_string(), reason: causes(&error) };
        let mut response = self.client.get(url.clone()).send().await.map_err(unreachable)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status { at: url.to_string(), status: response.status() });
        }
        let mut document = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if document.len() + chunk.len() > MAX_DOCUMENT {
                return Err(FetchError::TooLong(url.to_string()));
            }
            document.extend_from_slice(&chunk);
        }
        Ok(document)
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, FetchError> {
    let failed = |source| FetchError::File { path: path.to_owned(), source };
    let mut document = Vec::new();
    let file = File::open(path).await.map_err(failed)?;
    file.take(MAX_DOCUMENT as u64 + 1).read_to_end(&mut document).await.map_err(failed)?;
    if document.len() > MAX_DOCUMENT { Err(FetchError::TooLong(path.display().to_string())) } else { Ok(document) }
}

fn https(text: &str) -> Result<Url, SourceError> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "https" && url.has_host());
    url.ok_or_else(|| SourceError::NotHttps(super::quote(text)))
}

fn ca_certificates(path: &Path) -> Result<Vec<Certificate>, SourceError> {
    let failed = |reason| SourceError::CaFile { path: path.to_owned(), reason };
    let pem = fs::read(path).map_err(|error| failed(error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| failed(error.to_string()))?;
    if certificates.is_empty() { Err(failed("no certificate in it".to_owned())) } else { Ok(certificates) }
}

/// reqwest's own message says only that sending failed; why is among its causes. The URL is named by the caller.
fn causes(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    if causes.is_empty() { error.to_string() } else { causes.join(": ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{IssuerServer, Signer, key_set};
    use super::*;

    const CONFIGURATION: &str = "/.well-known/openid-configuration";

    fn ca_file(dir: &Path, server: &IssuerServer) -> PathBuf {
        let path = dir.join("ca.crt");
        fs::write(&path, &server.ca_pem).unwrap();
        path
    }

    async fn fetch(server: &IssuerServer, place: Place) -> Result<KeySet, FetchError> {
        let dir = tempfile::tempdir().unwrap();
        KeySource::new(&server.url, place, Some(ca_file(dir.path(), server))).unwrap().fetch().await
    }

    fn keys_url(server: &IssuerServer) -> Place {
        Place::parse(Some(&format!("{}/keys", server.url))).unwrap()
    }

    #[test]
    fn a_flag_is_an_https_url_or_a_file() {
        assert_eq!(Place::parse(None).unwrap(), Place::Discovery);
        assert_eq!(Place::parse(Some("/etc/keys.json")).unwrap(), Place::File("/etc/keys.json".into()));
        assert!(matches!(Place::parse(Some("https://issuer.example/keys")), Ok(Place::Url(_))));
        for bad in ["http://issuer.example/keys", "file:///etc/keys.json", "https://"] {
            assert!(Place::parse(Some(bad)).unwrap_err().to_string().contains(bad));
        }
        let _ = rustls::crypto::ring::default_provider().install_default();
        for bad in ["http://issuer.example", "kubernetes/serviceaccount"] {
            assert!(matches!(KeySource::new(bad, Place::Discovery, None), Err(SourceError::NotHttps(_))), "{bad}");
        }
    }

    #[tokio::test]
    async fn keys_are_found_by_discovery() {
        IssuerServer::with(|server| async move {
            server.publish(&[&Signer::ec("k")]);
            let configuration = json!({ "issuer": server.url, "jwks_uri": format!("{}/keys", server.url) });
            server.answer(CONFIGURATION, "200 OK", configuration.to_string());
            assert!(fetch(&server, Place::Discovery).await.unwrap().get("k").is_some());
        })
        .await;
    }

    #[tokio::test]
    async fn a_configuration_of_another_issuer_or_to_plain_http_is_refused() {
        IssuerServer::with(|server| async move {
            for (issuer, uri, said) in [
                ("https://other.example", "https://localhost/keys", "its `issuer` is another"),
                (&server.url, "http://localhost/keys", "its `jwks_uri` is no https URL"),
            ] {
                let configuration = json!({ "issuer": issuer, "jwks_uri": uri });
                server.answer(CONFIGURATION, "200 OK", configuration.to_string());
                let error = fetch(&server, Place::Discovery).await.unwrap_err().to_string();
                assert!(error.contains(said), "{error}");
            }
            assert_eq!(server.asked(), 2);
        })
        .await;
    }

    #[tokio::test]
    async fn redirects_errors_and_oversize_answers_are_refused() {
        IssuerServer::with(|server| async move {
            server.answer("/keys", "302 Found\r\nlocation: /other", "");
            assert!(matches!(fetch(&server, keys_url(&server)).await, Err(FetchError::Status { .. })));
            server.answer("/keys", "503 Service Unavailable", "");
            assert!(matches!(fetch(&server, keys_url(&server)).await, Err(FetchError::Status { .. })));
            server.answer("/keys", "200 OK", " ".repeat(MAX_DOCUMENT + 1));
            assert!(matches!(fetch(&server, keys_url(&server)).await, Err(FetchError::TooLong(_))));
            assert_eq!(server.asked(), 3);
        })
        .await;
    }

    #[tokio::test]
    async fn a_server_that_no_known_authority_vouches_for_is_refused() {
        IssuerServer::with(|server| async move {
            server.publish(&[&Signer::ec("k")]);
            let source = KeySource::new(&server.url, keys_url(&server), None).unwrap();
            let error = source.fetch().await.unwrap_err().to_string();
            assert!(error.contains("certificate") && error.contains(&server.url), "{error}");
            assert_eq!(server.asked(), 0);
        })
        .await;
    }

    #[tokio::test]
    async fn a_file_is_read_and_a_bad_one_named() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        let source = KeySource::new("https://issuer.example", Place::File(path.clone()), None).unwrap();
        let said = |error: FetchError| error.to_string().contains(path.to_str().unwrap());
        assert!(said(source.fetch().await.unwrap_err()));
        fs::write(&path, "{}").unwrap();
        assert!(said(source.fetch().await.unwrap_err()));
        fs::File::create(&path).unwrap().set_len(MAX_DOCUMENT as u64 + 1).unwrap();
        assert!(said(source.fetch().await.unwrap_err()));
        fs::write(&path, key_set(&[&Signer::ec("k")])).unwrap();
        assert!(source.fetch().await.unwrap().get("k").is_some());
    }

    #[test]
    fn a_bad_ca_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.crt");
        for content in [None, Some("no PEM")] {
            if let Some(content) = content {
                fs::write(&path, content).unwrap();
            }
            let error = KeySource::new("https://issuer.example", Place::Discovery, Some(path.clone())).unwrap_err();
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        }
    }
}

//! The issuer's public keys: a JSON Web Key Set (RFC 7517), from a file, a URL or by OpenID discovery.

use std::{collections::HashMap, path::PathBuf, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Client, redirect};
use serde::Deserialize;
use url::Url;

use super::jws::VerifyingKey;

const MAX_BODY: usize = 1 << 20;
const MAX_KEYS: usize = 100;
const TIMEOUT: Duration = Duration::from_secs(10);

/// The keys by their ids.
pub type Keys = HashMap<String, VerifyingKey>;

/// Where the keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// At `ISSUER/.well-known/openid-configuration`, in its `jwks_uri`.
    Discovery(Url),
    /// There.
    At(Url),
    /// In a file, for clusters whose issuer cannot be reached.
    File(PathBuf),
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The flags say nothing that can be used.
    #[error("{flag} `{value}` is not an https URL{or}")]
    Location {
        /// Which flag.
        flag: &'static str,
        /// What it says.
        value: String,
        /// What else it may be.
        or: &'static str,
    },
    /// The file of CA certificates.
    #[error("KEYWARD_JWKS_CA_FILE {path}: {reason}", path = path.display())]
    Ca {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file of keys.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The issuer.
    #[error("{url}: {reason}")]
    Fetch {
        /// Which URL.
        url: Url,
        /// Why.
        reason: String,
    },
    /// What was read is no key set, or holds no key of use.
    #[error("{0} holds no RSA, P-256 or P-384 key with a `kid`")]
    NoKeys(String),
}

impl Location {
    /// From the flags: `--jwks` where it is set, else discovery at the issuer.
    pub fn new(issuer: &str, jwks: Option<&str>) -> Result<Self, KeysError> {
        let https = |text: &str| Url::parse(text).ok().filter(|url| url.scheme() == "https");
        match jwks {
            Some(text) if !text.contains("://") => Ok(Self::File(PathBuf::from(text))),
            Some(text) => https(text).map(Self::At).ok_or_else(|| KeysError::Location {
                flag: "--jwks",
                value: text.to_owned(),
                or: " and not a file",
            }),
            None => https(issuer).map(Self::Discovery).ok_or_else(|| KeysError::Location {
                flag: "--jwks-issuer",
                value: issuer.to_owned(),
                or: "; give its keys with --jwks",
            }),
        }
    }

    /// Reads the keys.
    pub async fn read(&self, client: &Client) -> Result<Keys, KeysError> {
        match self {
            Self::File(path) => {
                let text = tokio::fs::read(path).await;
                let text = text.map_err(|source| KeysError::File { path: path.clone(), source })?;
                parse(&text, &path.display().to_string())
            }
            Self::At(url) => parse(&fetch(client, url).await?, url.as_str()),
            Self::Discovery(issuer) => {
                let url = discovered(client, issuer).await?;
                parse(&fetch(client, &url).await?, url.as_str())
            }
        }
    }
}

/// A client that trusts the system's roots and those of `ca_file`, follows no redirect and uses no proxy.
pub fn client(ca_file: Option<&PathBuf>) -> Result<Client, KeysError> {
    let builder = Client::builder()
        .https_only(true)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .connect_timeout(TIMEOUT / 2)
        .timeout(TIMEOUT);
    let Some(path) = ca_file else {
        let failed =
            |error: reqwest::Error| KeysError::Ca { path: PathBuf::from("(system)"), reason: error.to_string() };
        return builder.build().map_err(failed);
    };
    let refused = |reason: String| KeysError::Ca { path: path.clone(), reason };
    let pem = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    let roots = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| refused(error.to_string()))?;
    if roots.is_empty() {
        return Err(refused("it holds no certificate".to_owned()));
    }
    builder.tls_certs_merge(roots).build().map_err(|error| refused(error.to_string()))
}

async fn discovered(client: &Client, issuer: &Url) -> Result<Url, KeysError> {
    #[derive(Deserialize)]
    struct Configuration {
        jwks_uri: String,
    }
    // The path of the issuer stays in front (OpenID Connect Discovery 1.0, 4.1).
    let text = format!("{}/.well-known/openid-configuration", issuer.as_str().trim_end_matches('/'));
    let failed = |reason: &str| KeysError::Fetch { url: issuer.clone(), reason: reason.to_owned() };
    let url = Url::parse(&text).map_err(|_| failed("no URL can be made of the issuer"))?;
    let body = fetch(client, &url).await?;
    let configuration: Configuration =
        serde_json::from_slice(&body).map_err(|_| failed("its discovery document has no jwks_uri"))?;
    let keys = Url::parse(&configuration.jwks_uri).ok().filter(|url| url.scheme() == "https");
    keys.ok_or_else(|| failed("its jwks_uri is not an https URL"))
}

async fn fetch(client: &Client, url: &Url) -> Result<Vec<u8>, KeysError> {
    let failed = |reason: String| KeysError::Fetch { url: url.clone(), reason };
    let cause = |error: reqwest::Error| failed(root_cause(&error));
    let mut response = client.get(url.clone()).send().await.map_err(cause)?;
    if !response.status().is_success() {
        return Err(failed(format!("it answered {}", response.status())));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(cause)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(failed("its answer is larger than 1 MiB".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn root_cause(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().map_or_else(String::new, ToString::to_string)
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Key {
    kid: String,
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The keys of use in a set; others are passed over, as RFC 7517 asks. Without any the set is refused.
pub fn parse(text: &[u8], place: &str) -> Result<Keys, KeysError> {
    let none = || KeysError::NoKeys(place.to_owned());
    let set: KeySet = serde_json::from_slice(text).map_err(|_| none())?;
    let keys: Keys = set
        .keys
        .into_iter()
        .filter_map(|key| serde_json::from_value::<Key>(key).ok())
        .filter(|key| key.usage.as_deref().is_none_or(|usage| usage == "sig"))
        .filter_map(|key| Some((key.kid.clone(), verifying_key(&key)?)))
        .take(MAX_KEYS)
        .collect();
    if keys.is_empty() { Err(none()) } else { Ok(keys) }
}

fn verifying_key(key: &Key) -> Option<VerifyingKey> {
    let decode = |part: &Option<String>| URL_SAFE_NO_PAD.decode(part.as_ref()?).ok();
    let point = |length: usize| {
        let (x, y) = (decode(&key.x)?, decode(&key.y)?);
        // SEC 1, 2.3.3: an uncompressed point.
        (x.len() == length && y.len() == length).then(|| [&[4], x.as_slice(), y.as_slice()].concat())
    };
    match (key.kty.as_str(), key.crv.as_deref()) {
        ("RSA", _) => {
            // ring refuses a modulus that begins with a zero byte, which some issuers write.
            let n: Vec<u8> = decode(&key.n)?.into_iter().skip_while(|byte| *byte == 0).collect();
            Some(VerifyingKey::Rsa { n, e: decode(&key.e)? })
        }
        ("EC", Some("P-256")) => point(32).map(VerifyingKey::P256),
        ("EC", Some("P-384")) => point(48).map(VerifyingKey::P384),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_of_use_are_taken_and_others_passed_over() {
        let part = |length: usize| URL_SAFE_NO_PAD.encode(vec![7; length]);
        let set = json!({"keys": [
            {"kid": "rsa", "kty": "RSA", "n": URL_SAFE_NO_PAD.encode([0, 9, 9]), "e": "AQAB", "alg": "RS256"},
            {"kid": "p256", "kty": "EC", "crv": "P-256", "x": part(32), "y": part(32), "use": "sig"},
            {"kid": "p384", "kty": "EC", "crv": "P-384", "x": part(48), "y": part(48)},
            {"kid": "short", "kty": "EC", "crv": "P-256", "x": part(31), "y": part(32)},
            {"kid": "encryption", "kty": "RSA", "n": "CQ", "e": "AQAB", "use": "enc"},
            {"kid": "symmetric", "kty": "oct", "k": "AAAA"},
            {"kty": "RSA", "n": "CQ", "e": "AQAB"},
            "not a key",
        ]});
        let keys = parse(set.to_string().as_bytes(), "here").unwrap();
        let mut ids: Vec<_> = keys.keys().map(String::as_str).collect();
        ids.sort_unstable();
        assert_eq!(ids, ["p256", "p384", "rsa"]);
        assert_eq!(keys["rsa"], VerifyingKey::Rsa { n: vec![9, 9], e: vec![1, 0, 1] });
    }

    #[test]
    fn a_set_without_keys_of_use_is_named() {
        for text in ["", "{}", r#"{"keys": []}"#, r#"{"keys": [{"kid": "a", "kty": "oct", "k": "AA"}]}"#] {
            let error = parse(text.as_bytes(), "https://issuer.example/jwks").unwrap_err().to_string();
            assert!(error.starts_with("https://issuer.example/jwks holds no"), "{error}");
        }
    }

    #[test]
    fn a_location_is_https_or_a_file() {
        assert!(matches!(Location::new("https://i.example", None), Ok(Location::Discovery(_))));
        assert!(matches!(Location::new("anything", Some("https://i.example/keys")), Ok(Location::At(_))));
        assert!(matches!(Location::new("anything", Some("/etc/keys.json")), Ok(Location::File(_))));
        for (issuer, jwks) in [("http://i.example", None), ("i", None), ("https://i", Some("http://i.example/keys"))] {
            assert!(matches!(Location::new(issuer, jwks), Err(KeysError::Location { .. })), "{issuer} {jwks:?}");
        }
    }
}

//! Keys that sign tokens as a cluster's issuer does, and an issuer's server, for the tests of this room.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, PublicKeyComponents},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256},
};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::keys::KeySet;

pub(super) const ISSUER: &str = "https://issuer.example";
/// The time that tests of pure parts take for now.
pub(super) const NOW: u64 = 1_800_000_000;
/// When [`claims`] end: far enough for tests that read a real clock.
pub(super) const EXPIRES: u64 = 4_000_000_000;

/// The claims of a projected token, as Kubernetes 1.33 writes them.
pub(super) fn claims() -> Value {
    json!({
        "aud": ["keyward-broker"], "exp": EXPIRES, "iat": 1_700_000_000, "nbf": 1_700_000_000, "iss": ISSUER,
        "jti": "8f0c1f5e-0000-4000-8000-000000000002",
        "kubernetes.io": {
            "namespace": "shop",
            "node": { "name": "node-1.example", "uid": "0d3b0e7c-0000-4000-8000-000000000003" },
            "pod": { "name": "web-0", "uid": "3f1c2d8e-0000-4000-8000-000000000001" },
            "serviceaccount": { "name": "web", "uid": "77aa0c52-0000-4000-8000-000000000004" },
        },
        "sub": "system:serviceaccount:shop:web",
    })
}

pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token of these parts, whatever they are.
pub(super) fn token(header: &Value, claims: &str, signature: &[u8]) -> String {
    [encode(header.to_string().as_bytes()), encode(claims.as_bytes()), encode(signature)].join(".")
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

/// An issuer's key.
pub(super) struct Signer {
    kid: String,
    pair: Pair,
}

impl Signer {
    /// The RSA key of the fixtures.
    pub(super) fn rsa(kid: &str) -> Self {
        let pair = RsaKeyPair::from_pkcs8(include_bytes!("fixtures/rsa.pk8")).unwrap();
        Self { kid: kid.to_owned(), pair: Pair::Rsa(pair) }
    }

    /// A new P-256 key.
    pub(super) fn ec(kid: &str) -> Self {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        Self { kid: kid.to_owned(), pair: Pair::Ec(pair) }
    }

    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    pub(super) fn sign(&self, claims: &str) -> String {
        let alg = if matches!(self.pair, Pair::Rsa(_)) { "RS256" } else { "ES256" };
        let unsigned = token(&json!({ "alg": alg, "kid": self.kid }), claims, b"");
        let signed = unsigned.trim_end_matches('.');
        format!("{signed}.{}", encode(&self.raw_signature(signed.as_bytes())))
    }

    pub(super) fn raw_signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
        }
    }

    /// An HS256 token whose HMAC key is the public key: it passes wherever the token chooses the algorithm.
    pub(super) fn confuse(&self, claims: &str) -> String {
        let unsigned = token(&json!({ "alg": "HS256", "kid": self.kid }), claims, b"");
        let signed = unsigned.trim_end_matches('.');
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.jwk()["n"].as_str().unwrap().as_bytes());
        format!("{signed}.{}", encode(hmac::sign(&key, signed.as_bytes()).as_ref()))
    }

    pub(super) fn jwk(&self) -> Value {
        match &self.pair {
            Pair::Rsa(pair) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({ "kty": "RSA", "use": "sig", "kid": self.kid, "n": encode(&n), "e": encode(&e) })
            }
            Pair::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "kid": self.kid, "x": encode(x), "y": encode(y) })
            }
        }
    }

    pub(super) fn key_set(&self) -> KeySet {
        KeySet::parse(key_set(&[self]).as_bytes()).unwrap()
    }
}

/// What an issuer with these keys publishes.
pub(super) fn key_set(signers: &[&Signer]) -> String {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    json!({ "keys": keys }).to_string()
}

/// What the server answers on a path: status line and body.
type Answers = Arc<Mutex<Vec<(String, &'static str, String)>>>;

/// An issuer's HTTPS server with a certificate of its own, which counts what it is asked.
#[derive(Clone)]
pub(super) struct IssuerServer {
    pub(super) url: String,
    pub(super) ca_pem: String,
    answers: Answers,
    asked: Arc<AtomicUsize>,
}

impl IssuerServer {
    /// Runs `test` beside a server, which ends with it.
    pub(super) async fn with<F: Future<Output = ()>>(test: impl FnOnce(Self) -> F) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(pair.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![pair.cert.der().clone()], key).unwrap();
        let server = Self {
            url: format!("https://localhost:{}", listener.local_addr().unwrap().port()),
            ca_pem: pair.cert.pem(),
            answers: Answers::default(),
            asked: Arc::default(),
        };
        tokio::select! {
            () = server.serve(listener, TlsAcceptor::from(Arc::new(config))) => {}
            () = test(server.clone()) => {}
        }
    }

    pub(super) fn answer(&self, path: &str, status: &'static str, body: impl Into<String>) {
        let mut answers = self.answers.lock().unwrap();
        answers.retain(|(known, ..)| known != path);
        answers.push((path.to_owned(), status, body.into()));
    }

    /// Publishes these keys at `/keys`.
    pub(super) fn publish(&self, signers: &[&Signer]) {
        self.answer("/keys", "200 OK", key_set(signers));
    }

    /// How many requests came.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// One connection at a time, one request each: a second request at a time would show as a test that hangs.
    async fn serve(&self, listener: TcpListener, tls: TlsAcceptor) {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = tls.accept(socket).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            self.asked.fetch_add(1, Ordering::SeqCst);
            // Refusing a body that is too long ends the connection early: not the server's trouble.
            let _ = stream.write_all(self.reply(&String::from_utf8(head).unwrap()).as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    }

    fn reply(&self, head: &str) -> String {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let answers = self.answers.lock().unwrap();
        let known = answers.iter().find(|(known, ..)| known == path);
        let (status, body) = known.map_or(("404 Not Found", ""), |(_, status, body)| (*status, body.as_str()));
        format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }
}

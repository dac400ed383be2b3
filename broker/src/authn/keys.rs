//! A JSON Web Key Set (RFC 7517) → keys that can verify a signature.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;

/// More keys than any issuer publishes at a time.
const MAX_KEYS: usize = 100;
/// Uncompressed, as ring wants a point and SEC 1 writes it.
const UNCOMPRESSED: u8 = 4;

/// Signature algorithms (RFC 7518) that are accepted: public-key ones only, as a key that verifies here is public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Es256,
    Es384,
}

impl Algorithm {
    /// From `alg`, which is compared with case.
    pub(super) fn parse(alg: &str) -> Option<Self> {
        match alg {
            "RS256" => Some(Self::Rs256),
            "RS384" => Some(Self::Rs384),
            "RS512" => Some(Self::Rs512),
            "ES256" => Some(Self::Es256),
            "ES384" => Some(Self::Es384),
            _ => None,
        }
    }
}

/// A key of the issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PublicKey {
    material: Material,
    /// Where the issuer restricts the key to one.
    only: Option<Algorithm>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
}

impl PublicKey {
    /// Whether this key made `signature` over `message`. The key decides what algorithms it is for, not the token.
    pub(super) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if self.only.is_some_and(|only| only != algorithm) {
            return false;
        }
        let rsa = |parameters: &RsaParameters, n, e| {
            RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
        };
        match (&self.material, algorithm) {
            (Material::Rsa { n, e }, Algorithm::Rs256) => rsa(&RSA_PKCS1_2048_8192_SHA256, n, e),
            (Material::Rsa { n, e }, Algorithm::Rs384) => rsa(&RSA_PKCS1_2048_8192_SHA384, n, e),
            (Material::Rsa { n, e }, Algorithm::Rs512) => rsa(&RSA_PKCS1_2048_8192_SHA512, n, e),
            (Material::P256(point), Algorithm::Es256) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
            (Material::P384(point), Algorithm::Es384) => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(message, signature).is_ok()
            }
            _ => false,
        }
    }
}

/// The issuer's keys by `kid`.
#[derive(Clone, Debug)]
pub struct KeySet(HashMap<String, PublicKey>);

/// Why a document is no key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not `{"keys": […]}`.
    #[error("it is no JSON Web Key Set")]
    Malformed,
    /// Nothing in it can verify a token.
    #[error("it holds no RSA, P-256 or P-384 key for signatures that has a `kid`")]
    Empty,
    /// More than is sane.
    #[error("it holds more than {MAX_KEYS} keys")]
    TooMany,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    r#use: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a document. Keys for other purposes are skipped, as RFC 7517 section 5 asks.
    pub fn parse(document: &[u8]) -> Result<Self, KeySetError> {
        let Document { keys } = serde_json::from_slice(document).map_err(|_| KeySetError::Malformed)?;
        if keys.len() > MAX_KEYS {
            return Err(KeySetError::TooMany);
        }
        let mut set = HashMap::new();
        for jwk in keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok()) {
            if let Some(key) = usable(&jwk) {
                // The first of a name holds: which of two would verify must not depend on the order of a map.
                set.entry(jwk.kid).or_insert(key);
            }
        }
        if set.is_empty() { Err(KeySetError::Empty) } else { Ok(Self(set)) }
    }

    pub(super) fn get(&self, kid: &str) -> Option<&PublicKey> {
        self.0.get(kid)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

fn usable(jwk: &Jwk) -> Option<PublicKey> {
    if jwk.r#use.as_deref().is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    let only = match jwk.alg.as_deref() {
        None => None,
        Some(alg) => Some(Algorithm::parse(alg)?),
    };
    let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => Material::Rsa { n: number(jwk.n.as_ref()?)?, e: number(jwk.e.as_ref()?)? },
        ("EC", Some("P-256")) => Material::P256(point(jwk, 32)?),
        ("EC", Some("P-384")) => Material::P384(point(jwk, 48)?),
        _ => return None,
    };
    Some(PublicKey { material, only })
}

/// A big-endian number. Some issuers write a leading zero, which ring refuses.
fn number(text: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let first = bytes.iter().position(|byte| *byte != 0)?;
    Some(bytes[first..].to_vec())
}

fn point(jwk: &Jwk, size: usize) -> Option<Vec<u8>> {
    let mut point = vec![UNCOMPRESSED];
    for coordinate in [jwk.x.as_ref()?, jwk.y.as_ref()?] {
        let bytes = URL_SAFE_NO_PAD.decode(coordinate).ok()?;
        if bytes.len() != size {
            return None;
        }
        point.extend(bytes);
    }
    Some(point)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::Signer;
    use super::*;

    fn parse(keys: &Value) -> Result<KeySet, KeySetError> {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    fn altered(member: &str, value: Value) -> Value {
        let mut jwk = Signer::ec("k").jwk();
        jwk[member] = value;
        jwk
    }

    #[test]
    fn keys_for_other_purposes_are_skipped() {
        for skipped in [
            json!({ "kty": "oct", "kid": "k", "k": "AAAA" }),
            altered("use", json!("enc")),
            altered("alg", json!("HS256")),
            altered("crv", json!("P-521")),
            altered("x", json!("AAAA")),
            altered("y", Value::Null),
            altered("kid", Value::Null),
            json!("no key"),
        ] {
            assert_eq!(parse(&json!([skipped])).unwrap_err(), KeySetError::Empty, "{skipped}");
            let set = parse(&json!([skipped, Signer::rsa("good").jwk()])).unwrap();
            assert_eq!((set.len(), set.get("good").is_some()), (1, true));
        }
    }

    #[test]
    fn a_leading_zero_in_a_number_is_read_past() {
        let mut jwk = Signer::rsa("k").jwk();
        let plain = parse(&json!([jwk])).unwrap();
        let mut padded = vec![0];
        padded.extend(URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap());
        jwk["n"] = json!(URL_SAFE_NO_PAD.encode(padded));
        assert_eq!(parse(&json!([jwk])).unwrap().get("k"), plain.get("k"));
    }

    #[test]
    fn a_key_restricted_to_one_algorithm_verifies_no_other() {
        let signer = Signer::rsa("k");
        let mut jwk = signer.jwk();
        jwk["alg"] = json!("RS512");
        let signature = signer.raw_signature(b"message");
        let verify = |jwk: &Value| parse(&json!([jwk])).unwrap().get("k").unwrap().clone();
        assert!(verify(&signer.jwk()).verify(Algorithm::Rs256, b"message", &signature));
        assert!(!verify(&jwk).verify(Algorithm::Rs256, b"message", &signature));
    }

    #[test]
    fn the_first_key_of_a_name_holds() {
        let (first, second) = (Signer::ec("k"), Signer::ec("k"));
        let set = parse(&json!([first.jwk(), second.jwk()])).unwrap();
        assert_eq!(set.get("k"), first.key_set().get("k"));
    }

    #[test]
    fn documents_that_are_no_key_set_are_refused() {
        for text in ["", "[]", "{}", r#"{"keys":{}}"#, "<html>"] {
            assert_eq!(KeySet::parse(text.as_bytes()).unwrap_err(), KeySetError::Malformed, "{text}");
        }
        assert_eq!(parse(&json!(vec![Signer::ec("k").jwk(); 101])).unwrap_err(), KeySetError::TooMany);
    }
}

//! JSON Web Signatures in compact form (RFC 7515), verified with ring. Pure.
//!
//! The key says which algorithm it is for. A token that names another is refused, so `none` and an HMAC keyed with the
//! public key (RFC 8725, 2.1) have nothing to hold on to.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::Deserialize;

use super::AuthnError;

/// Projected tokens are about 1 KiB.
pub const MAX_TOKEN: usize = 16 * 1024;

/// The three parts of a token whose header was read.
#[derive(Debug)]
pub struct Jws<'a> {
    /// `kid`
    pub key_id: String,
    algorithm: String,
    signed: &'a str,
    payload: &'a str,
    signature: &'a str,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

/// A public key that may verify tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyingKey {
    /// RS256
    Rsa {
        /// Modulus, big-endian.
        n: Vec<u8>,
        /// Exponent, big-endian.
        e: Vec<u8>,
    },
    /// ES256: the uncompressed point.
    P256(Vec<u8>),
    /// ES384: the uncompressed point.
    P384(Vec<u8>),
}

impl<'a> Jws<'a> {
    /// Takes a token apart. Nothing of it is trusted yet.
    pub fn parse(token: &'a str) -> Result<Self, AuthnError> {
        if token.len() > MAX_TOKEN {
            return Err(AuthnError::Malformed("it is longer than 16 KiB"));
        }
        let no_jws = AuthnError::Malformed("it is no JSON Web Token");
        let Some((signed, signature)) = token.rsplit_once('.') else { return Err(no_jws) };
        let Some((header, payload)) = signed.split_once('.').filter(|(_, payload)| !payload.contains('.')) else {
            return Err(no_jws);
        };
        let Ok(header) = serde_json::from_slice::<Header>(&decode(header)?) else { return Err(no_jws) };
        if header.crit.is_some() {
            return Err(AuthnError::Malformed("it demands extensions (crit) that are not known"));
        }
        let key_id = header.kid.ok_or(AuthnError::Malformed("it does not name its key (kid)"))?;
        Ok(Self { key_id, algorithm: header.alg, signed, payload, signature })
    }

    /// The payload, once `key` proves it.
    pub fn verify(&self, key: &VerifyingKey) -> Result<Vec<u8>, AuthnError> {
        let expected = key.algorithm();
        if self.algorithm != expected {
            return Err(AuthnError::Malformed("its algorithm is not that of its key"));
        }
        let signature = decode(self.signature)?;
        let signed = self.signed.as_bytes();
        let verified = match key {
            VerifyingKey::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, signed, &signature)
            }
            VerifyingKey::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, &signature)
            }
            VerifyingKey::P384(point) => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(signed, &signature)
            }
        };
        verified.map_err(|_| AuthnError::BadSignature)?;
        decode(self.payload)
    }
}

impl VerifyingKey {
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "RS256",
            Self::P256(_) => "ES256",
            Self::P384(_) => "ES384",
        }
    }
}

fn decode(part: &str) -> Result<Vec<u8>, AuthnError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| AuthnError::Malformed("a part of it is not base64url"))
}

#[cfg(test)]
mod tests {
    use ring::hmac;

    use super::*;
    use crate::authn::testing::Signer;

    const HEADER: &str = r#"{"alg":"ES256","kid":"k"}"#;

    #[test]
    fn a_good_signature_yields_the_payload() {
        let signer = Signer::new("k");
        let token = signer.token(HEADER, "payload");
        let jws = Jws::parse(&token).unwrap();
        assert_eq!(jws.key_id, "k");
        assert_eq!(jws.verify(&signer.key()).unwrap(), b"payload");
    }

    #[test]
    fn another_key_another_payload_and_no_signature_are_refused() {
        let (signer, other) = (Signer::new("k"), Signer::new("k"));
        let token = signer.token(HEADER, "payload");
        assert_eq!(Jws::parse(&token).unwrap().verify(&other.key()), Err(AuthnError::BadSignature));
        let mut parts: Vec<&str> = token.split('.').collect();
        let changed = URL_SAFE_NO_PAD.encode("another");
        parts[1] = &changed;
        assert_eq!(Jws::parse(&parts.join(".")).unwrap().verify(&signer.key()), Err(AuthnError::BadSignature));
        parts[2] = "";
        assert_eq!(Jws::parse(&parts.join(".")).unwrap().verify(&signer.key()), Err(AuthnError::BadSignature));
    }

    #[test]
    fn the_token_does_not_choose_the_algorithm() {
        let signer = Signer::new("k");
        for algorithm in ["none", "None", "HS256", "RS256", "ES384", ""] {
            let token = signer.token(&format!(r#"{{"alg":"{algorithm}","kid":"k"}}"#), "payload");
            let refused = Jws::parse(&token).unwrap().verify(&signer.key());
            assert!(matches!(refused, Err(AuthnError::Malformed(_))), "{algorithm}");
        }
    }

    #[test]
    fn an_hmac_keyed_with_the_public_key_is_refused() {
        let signer = Signer::new("k");
        let VerifyingKey::P256(public) = signer.key() else { unreachable!() };
        let header = r#"{"alg":"HS256","kid":"k"}"#;
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("payload"));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &public), signed.as_bytes());
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag));
        assert!(matches!(Jws::parse(&token).unwrap().verify(&signer.key()), Err(AuthnError::Malformed(_))));
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        let signer = Signer::new("k");
        let no_kid = signer.token(r#"{"alg":"ES256"}"#, "payload");
        let critical = signer.token(r#"{"alg":"ES256","kid":"k","crit":["exp"]}"#, "payload");
        for token in ["", "a", "a.b", "a.b.c", "a.b.c.d", "....", &"a".repeat(MAX_TOKEN + 1), &no_kid, &critical] {
            assert!(matches!(Jws::parse(token), Err(AuthnError::Malformed(_))), "{}", token.len());
        }
    }
}

//! JSON Web Tokens: signing with the emulator's keys, and checking what it signed itself.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use serde_json::{Value, json};

use super::jwk::{self, Jwk, b64};
use super::keymaker::{Curve, rsa_pkcs8};

/// Why a key or a token could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key is not one of ours.
    #[error("cannot make a signing key: {0}")]
    Key(String),
    /// The signature failed.
    #[error("cannot sign the token")]
    Signature,
}

/// Why a token does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    #[error("the token is not a signed JWT")]
    Malformed,
    #[error("the token names another algorithm or key")]
    UnknownKey,
    #[error("the token's signature is wrong")]
    BadSignature,
}

/// A signing key with its public half.
pub(super) struct SigningKey {
    kid: String,
    pair: Pair,
}

enum Pair {
    Rs256(Box<RsaKeyPair>),
    Es256(Box<EcdsaKeyPair>),
}

impl SigningKey {
    /// A new RSA key of 2048 bits, what clusters sign service account tokens with. Takes a moment.
    pub(super) fn rs256() -> Result<Self, SignError> {
        let der = rsa_pkcs8(2048).map_err(|error| SignError::Key(error.to_string()))?;
        let pair = RsaKeyPair::from_pkcs8(&der).map_err(|error| SignError::Key(error.to_string()))?;
        Ok(Self { kid: kid_of(pair.public_key().as_ref()), pair: Pair::Rs256(Box::new(pair)) })
    }

    /// A new EC key: quick to make, for tokens whose readers do not look inside.
    pub(super) fn es256() -> Result<Self, SignError> {
        let rng = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let failed = |error: &dyn std::fmt::Display| SignError::Key(error.to_string());
        let der = EcdsaKeyPair::generate_pkcs8(algorithm, &rng).map_err(|error| failed(&error))?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref(), &rng).map_err(|error| failed(&error))?;
        Ok(Self { kid: kid_of(pair.public_key().as_ref()), pair: Pair::Es256(Box::new(pair)) })
    }

    /// Its id.
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    /// Its `alg`.
    pub(super) fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rs256(_) => "RS256",
            Pair::Es256(_) => "ES256",
        }
    }

    /// A key set holding it alone.
    pub(super) fn jwks(&self) -> Value {
        let mut key = self.jwk();
        key.insert("use".to_owned(), "sig".into());
        key.insert("alg".to_owned(), self.algorithm().into());
        key.insert("kid".to_owned(), self.kid.clone().into());
        json!({"keys": [key]})
    }

    fn jwk(&self) -> Jwk {
        match &self.pair {
            Pair::Rs256(pair) => {
                let public: ring::rsa::PublicKeyComponents<Vec<u8>> = pair.public_key().into();
                jwk::rsa(&public.n, &public.e)
            }
            Pair::Es256(pair) => jwk::ec(Curve::P256, pair.public_key().as_ref()).unwrap_or_default(),
        }
    }

    /// Signs `claims` under the usual header.
    pub(super) fn sign(&self, claims: &Value) -> Result<String, SignError> {
        self.sign_under(&json!({"alg": self.algorithm(), "kid": self.kid, "typ": "JWT"}), claims)
    }

    /// Signs `claims` under any header, truthful or not.
    pub(super) fn sign_under(&self, header: &Value, claims: &Value) -> Result<String, SignError> {
        let signed = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        let rng = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &rng, signed.as_bytes(), &mut signature)
                    .map_err(|_| SignError::Signature)?;
                signature
            }
            Pair::Es256(pair) => {
                pair.sign(&rng, signed.as_bytes()).map_err(|_| SignError::Signature)?.as_ref().to_vec()
            }
        };
        Ok(format!("{signed}.{}", b64(signature)))
    }

    /// The claims of a token that this key signed. Times, issuer and audience are the caller's to check.
    pub(super) fn verify(&self, token: &str) -> Result<Value, TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let header = decode_json(header)?;
        let claims = decode_json(claims)?;
        if header["alg"] != self.algorithm() || header["kid"] != self.kid {
            return Err(TokenError::UnknownKey);
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Malformed)?;
        let verified = match &self.pair {
            Pair::Rs256(pair) => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key())
                .verify(signed.as_bytes(), &signature),
            Pair::Es256(pair) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key())
                .verify(signed.as_bytes(), &signature),
        };
        verified.map(|()| claims).map_err(|_| TokenError::BadSignature)
    }
}

/// A token nobody signed: header `alg: none`, empty signature.
pub(super) fn unsigned(claims: &Value) -> String {
    format!("{}.{}.", b64(json!({"alg": "none", "typ": "JWT"}).to_string()), b64(claims.to_string()))
}

fn decode_json(part: &str) -> Result<Value, TokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed)
}

fn kid_of(public: &[u8]) -> String {
    b64(&ring::digest::digest(&ring::digest::SHA256, public).as_ref()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_key_verify_what_they_signed_and_nothing_else() {
        let claims = json!({"sub": "somebody"});
        for key in [SigningKey::es256().unwrap(), SigningKey::rs256().unwrap()] {
            let token = key.sign(&claims).unwrap();
            assert_eq!(key.verify(&token), Ok(claims.clone()));

            let other = SigningKey::es256().unwrap();
            assert_eq!(other.verify(&token), Err(TokenError::UnknownKey));
            let header = json!({"alg": other.algorithm(), "kid": other.kid()});
            let forged = SigningKey::es256().unwrap().sign_under(&header, &claims).unwrap();
            assert_eq!(other.verify(&forged), Err(TokenError::BadSignature));
            assert_eq!(key.verify(&unsigned(&claims)), Err(TokenError::UnknownKey));
            assert_eq!(key.verify("a.b"), Err(TokenError::Malformed));
        }
    }

    #[test]
    fn a_key_set_holds_the_public_half_only() {
        let set = SigningKey::rs256().unwrap().jwks();
        let key = set["keys"][0].as_object().unwrap();
        let members: Vec<&str> = key.keys().map(String::as_str).collect();
        assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"]);
    }
}

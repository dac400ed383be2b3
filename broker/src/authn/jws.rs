//! A compact JSON Web Signature (RFC 7515): three parts, of which the second is given out only once the third holds.
//!
//! The few lines that are needed, over ring. A JWT library would add a second notion of audiences, leeways and
//! algorithms beside the one of `claims`, and a second crypto provider to install.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use super::{
    AuthnError, MAX_TOKEN,
    keys::{Algorithm, PublicKey},
    quote,
};

/// A token taken apart and not yet believed.
pub(super) struct Jws<'a> {
    algorithm: Algorithm,
    kid: String,
    signed: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood; none is.
    crit: Option<serde::de::IgnoredAny>,
}

const PARTS: AuthnError = AuthnError::Malformed("it is not three parts in base64url, parted by dots");
const TOO_LONG: AuthnError = AuthnError::Malformed("it is longer than 16 KiB");

impl<'a> Jws<'a> {
    /// Takes a token apart.
    pub(super) fn parse(token: &'a str) -> Result<Self, AuthnError> {
        if token.len() > MAX_TOKEN {
            return Err(TOO_LONG);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(PARTS)?;
        let (header, payload) = signed.split_once('.').ok_or(PARTS)?;
        let header = decode(header).ok_or(PARTS)?;
        let signature = decode(signature).ok_or(PARTS)?;
        let Header { alg, kid, crit } =
            serde_json::from_slice(&header).map_err(|_| AuthnError::Malformed("its header does not parse"))?;
        let algorithm = Algorithm::parse(&alg).ok_or_else(|| AuthnError::Algorithm(quote(&alg)))?;
        if crit.is_some() {
            return Err(AuthnError::Malformed("its header asks for extensions"));
        }
        let kid = kid.ok_or(AuthnError::Malformed("its header names no key (`kid`)"))?;
        Ok(Self { algorithm, kid, signed, payload, signature })
    }

    /// The claims of a token that nobody has verified: for what can be told without. Whose algorithm it is, is the
    /// verifier's affair.
    pub(super) fn unverified(token: &str) -> Result<Vec<u8>, AuthnError> {
        if token.len() > MAX_TOKEN {
            return Err(TOO_LONG);
        }
        let mut parts = token.split('.').map(decode);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Some(header)), Some(Some(claims)), Some(Some(signature)), None)
                if !header.is_empty() && !signature.is_empty() =>
            {
                Ok(claims)
            }
            _ => Err(PARTS),
        }
    }

    /// The key it says it is signed with.
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    /// The claims, if `key` signed them.
    pub(super) fn verify(&self, key: &PublicKey) -> Result<Vec<u8>, AuthnError> {
        if !key.verify(self.algorithm, self.signed.as_bytes(), &self.signature) {
            return Err(AuthnError::BadSignature);
        }
        decode(self.payload).ok_or(AuthnError::Malformed("its claims are not base64url"))
    }
}

fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{Signer, claims, encode, token};
    use super::*;

    fn refusal(token: &str) -> AuthnError {
        Jws::parse(token).err().unwrap()
    }

    fn key_of(signer: &Signer) -> PublicKey {
        signer.key_set().get(signer.kid()).unwrap().clone()
    }

    #[test]
    fn claims_come_out_only_under_the_signers_key() {
        let claims = claims().to_string();
        for signer in [Signer::rsa("k"), Signer::ec("k")] {
            let token = signer.sign(&claims);
            let jws = Jws::parse(&token).unwrap();
            assert_eq!(jws.kid(), "k");
            assert_eq!(jws.verify(&key_of(&signer)).unwrap(), claims.as_bytes());
            assert_eq!(jws.verify(&key_of(&Signer::ec("k"))), Err(AuthnError::BadSignature));
        }
    }

    #[test]
    fn only_what_has_three_parts_has_unverified_claims() {
        let signed = Signer::ec("k").sign(&claims().to_string());
        assert_eq!(Jws::unverified(&signed).unwrap(), claims().to_string().as_bytes());
        let (rest, _) = signed.rsplit_once('.').unwrap();
        for bad in ["", "a", "..", "a.b.c", rest, &format!("{rest}."), &format!("{signed}."), &format!("{signed}.x")] {
            assert!(matches!(Jws::unverified(bad), Err(AuthnError::Malformed(_))), "{bad}");
        }
        let long = format!("{rest}.{}", "A".repeat(MAX_TOKEN));
        assert!(matches!(Jws::unverified(&long), Err(AuthnError::Malformed(_))));
    }

    #[test]
    fn an_altered_part_breaks_the_signature() {
        let signer = Signer::ec("k");
        let token = signer.sign(&claims().to_string());
        let parts: Vec<&str> = token.split('.').collect();
        let other = encode(claims().to_string().replace("shop", "bank").as_bytes());
        let header = encode(json!({ "alg": "ES256", "kid": "k", "typ": "JWT", "x": 1 }).to_string().as_bytes());
        let short = encode(&decode(parts[2]).unwrap()[1..]);
        for altered in [[parts[0], &other, parts[2]], [&header, parts[1], parts[2]], [parts[0], parts[1], &short]] {
            let verdict = Jws::parse(&altered.join(".")).unwrap().verify(&key_of(&signer));
            assert_eq!(verdict, Err(AuthnError::BadSignature));
        }
    }

    #[test]
    fn alg_none_and_the_unknown_are_refused_by_name() {
        for alg in ["none", "None", "", "HS256", "HS512", "PS256", "EdDSA", "RS1", "rs256"] {
            let token = token(&json!({ "alg": alg, "kid": "k" }), &claims().to_string(), b"");
            assert_eq!(refusal(&token), AuthnError::Algorithm(alg.to_owned()));
        }
    }

    #[test]
    fn an_hmac_keyed_with_the_public_key_is_refused() {
        let signer = Signer::rsa("k");
        let token = signer.confuse(&claims().to_string());
        assert_eq!(refusal(&token), AuthnError::Algorithm("HS256".into()));
    }

    #[test]
    fn a_signature_under_another_algorithm_than_the_keys_is_refused() {
        let (rsa, ec) = (Signer::rsa("k"), Signer::ec("k"));
        let claims = claims().to_string();
        for (token, key) in [(rsa.sign(&claims), key_of(&ec)), (ec.sign(&claims), key_of(&rsa))] {
            assert_eq!(Jws::parse(&token).unwrap().verify(&key), Err(AuthnError::BadSignature));
        }
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        let header = |value: serde_json::Value| token(&value, "{}", b"x");
        let cases = [
            String::new(),
            "kwcanary".into(),
            "a.b".into(),
            "a.b.c.d".into(),
            "..".into(),
            "e30.e30.e30".into(),
            "e30=.e30.e30".into(),
            "a".repeat(MAX_TOKEN + 1),
            header(json!({ "alg": "ES256" })),
            header(json!({ "alg": "ES256", "kid": 1 })),
            header(json!({ "alg": "ES256", "kid": "k", "crit": ["b64"] })),
            header(json!([])),
        ];
        for case in cases {
            let error = refusal(&case);
            assert!(matches!(error, AuthnError::Malformed(_)), "{case}: {error}");
            assert!(!error.to_string().contains("kwcanary"));
        }
    }
}

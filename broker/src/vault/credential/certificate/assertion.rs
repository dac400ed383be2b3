//! The assertion that a certificate's key signs (RFC 7523), as Entra documents it.
//!
//! Source: <https://learn.microsoft.com/entra/identity-platform/certificate-credentials>

use std::fmt;

use async_trait::async_trait;
use azure_core::{error::ErrorKind, http::ClientMethodOptions, time::OffsetDateTime};
use azure_identity::ClientAssertion;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ring::{
    rand::{SecureRandom as _, SystemRandom},
    signature::RSA_PKCS1_SHA256,
};
use serde_json::json;
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use super::Signer;

/// As long as Entra recommends at most.
const LIFE: i64 = 600;

/// Signs one assertion each time it is asked.
pub(in super::super) struct SignedAssertion {
    pub(in super::super) signer: Signer,
    pub(in super::super) client_id: String,
    /// The token endpoint.
    pub(in super::super) audience: String,
    /// Whether the chain goes into the header, for trust by subject name and issuer.
    pub(in super::super) send_chain: bool,
}

impl SignedAssertion {
    /// Header and claims; `id` makes it good for one use.
    fn text(&self, id: &[u8; 16], now: i64) -> String {
        let leaf = self.signer.leaf();
        let mut header = json!({
            "alg": "RS256",
            "typ": "JWT",
            "x5t": BASE64.encode(Sha1::digest(leaf)),
            "x5t#S256": BASE64.encode(Sha256::digest(leaf)),
        });
        if self.send_chain {
            header["x5c"] = self.signer.chain_base64().into();
        }
        let claims = json!({
            "aud": self.audience,
            "iss": self.client_id,
            "sub": self.client_id,
            "jti": BASE64.encode(id),
            "nbf": now,
            "iat": now,
            "exp": now + LIFE,
        });
        format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()))
    }

    fn sign(&self, now: i64) -> Result<String, ring::error::Unspecified> {
        let (random, mut id) = (SystemRandom::new(), [0; 16]);
        random.fill(&mut id)?;
        let text = self.text(&id, now);
        let mut signature = vec![0; self.signer.key.public().modulus_len()];
        self.signer.key.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature)?;
        Ok(format!("{text}.{}", BASE64.encode(signature)))
    }
}

#[async_trait]
impl ClientAssertion for SignedAssertion {
    async fn secret(&self, _options: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        self.sign(OffsetDateTime::now_utc().unix_timestamp())
            .map_err(|_| azure_core::Error::with_message(ErrorKind::Credential, "the assertion cannot be signed"))
    }
}

impl fmt::Debug for SignedAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedAssertion").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::KeyPair as _;
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::Value;

    use super::{
        super::tests::{CERTIFICATE, KEY},
        *,
    };

    fn assertion(send_chain: bool) -> SignedAssertion {
        SignedAssertion {
            signer: Signer::from_pem(format!("{KEY}{CERTIFICATE}").as_bytes()).unwrap(),
            client_id: "client-1".to_owned(),
            audience: "https://login.example/t/oauth2/v2.0/token".to_owned(),
            send_chain,
        }
    }

    fn part(token: &str, number: usize) -> Value {
        serde_json::from_slice(&BASE64.decode(token.split('.').nth(number).unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn an_assertion_is_signed_by_the_key_and_names_the_certificate() {
        let assertion = assertion(false);
        let token = assertion.sign(1_000).unwrap();
        let (text, signature) = token.rsplit_once('.').unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, assertion.signer.key.public_key());
        public.verify(text.as_bytes(), &BASE64.decode(signature).unwrap()).unwrap();

        let header = part(&token, 0);
        assert_eq!((&header["alg"], &header["typ"]), (&"RS256".into(), &"JWT".into()));
        assert_eq!(header["x5t"], BASE64.encode(Sha1::digest(assertion.signer.leaf())));
        assert_eq!(header["x5t#S256"], BASE64.encode(Sha256::digest(assertion.signer.leaf())));
        assert!(header.get("x5c").is_none());

        let claims = part(&token, 1);
        assert_eq!(claims["aud"], "https://login.example/t/oauth2/v2.0/token");
        assert_eq!((&claims["iss"], &claims["sub"]), (&"client-1".into(), &"client-1".into()));
        assert_eq!((&claims["nbf"], &claims["exp"]), (&1_000.into(), &1_600.into()));
    }

    #[test]
    fn no_two_assertions_are_the_same() {
        let assertion = assertion(false);
        let [one, other] = [(); 2].map(|()| part(&assertion.sign(1_000).unwrap(), 1)["jti"].clone());
        assert!(one.is_string() && one != other);
    }

    #[test]
    fn the_chain_is_sent_where_that_is_wanted() {
        use base64::engine::general_purpose::STANDARD;
        let assertion = assertion(true);
        let header = part(&assertion.sign(1_000).unwrap(), 0);
        assert_eq!(header["x5c"], json!([STANDARD.encode(assertion.signer.leaf())]));
    }

    #[test]
    fn what_signs_is_not_printed() {
        assert_eq!(format!("{:?}", assertion(false)), "SignedAssertion { client_id: \"client-1\", .. }");
    }
}

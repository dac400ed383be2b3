//! Makes key pairs. RSA takes a moment: callers on the async runtime use a blocking thread.

use getrandom::SysRng;
use p521::elliptic_curve::Generate;
use p521::elliptic_curve::sec1::ToSec1Point;
use rcgen::{KeyPair, PublicKeyData, SignatureAlgorithm};
use rsa::RsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey;
use rsa::rand_core::UnwrapErr;
use rsa::traits::PublicKeyParts;
use rustls_pki_types::PrivatePkcs8KeyDer;

use super::jwk::{self, Jwk};

/// What kind of key to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeySpec {
    /// So many bits.
    Rsa(u32),
    /// On this curve.
    Ec(Curve),
}

/// A NIST curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|curve| curve.name() == name)
    }

    pub(super) fn from_oid(oid: &str) -> Option<Self> {
        match oid {
            "1.2.840.10045.3.1.7" => Some(Self::P256),
            "1.3.132.0.34" => Some(Self::P384),
            "1.3.132.0.35" => Some(Self::P521),
            _ => None,
        }
    }

    pub(super) fn field_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyError {
    #[error("{0} is not a key this emulator makes; use RSA of 2048, 3072 or 4096 bits, or EC on P-256, P-384 or P-521")]
    Unsupported(String),
    #[error("a certificate needs an RSA key or one on P-256 or P-384")]
    NotForCertificates,
    #[error("making the key failed: {0}")]
    Failed(String),
}

impl KeySpec {
    /// From the members of a request: `kty` (an `-HSM` suffix is taken as its plain kind), `key_size`, `crv`.
    pub(super) fn from_request(kty: &str, size: Option<u32>, curve: Option<&str>) -> Result<Self, KeyError> {
        match kty.trim_end_matches("-HSM") {
            "RSA" => match size.unwrap_or(2048) {
                bits @ (2048 | 3072 | 4096) => Ok(Self::Rsa(bits)),
                bits => Err(KeyError::Unsupported(format!("RSA of {bits} bits"))),
            },
            "EC" => {
                let name = curve.unwrap_or("P-256");
                Curve::from_name(name).map(Self::Ec).ok_or_else(|| KeyError::Unsupported(format!("EC on {name}")))
            }
            other => Err(KeyError::Unsupported(other.to_owned())),
        }
    }

    /// A key of which only the public half is kept: the emulator offers no cryptographic operations.
    pub(super) fn make_public(self) -> Result<Jwk, KeyError> {
        match self {
            Self::Rsa(bits) => {
                let key = rsa_key(bits)?;
                Ok(jwk::rsa(&key.n().to_be_bytes(), &key.e().to_be_bytes()))
            }
            Self::Ec(Curve::P521) => {
                let point = p521::SecretKey::generate().public_key().to_sec1_point(false);
                jwk::ec(Curve::P521, point.as_bytes()).ok_or_else(|| KeyError::Failed("P-521 point".to_owned()))
            }
            Self::Ec(_) => {
                let pair = self.make_pair()?;
                jwk::from_spki(&pair.subject_public_key_info()).ok_or_else(|| KeyError::Failed("EC point".to_owned()))
            }
        }
    }

    /// A key pair that can sign certificates.
    pub(super) fn make_pair(self) -> Result<KeyPair, KeyError> {
        match self {
            Self::Rsa(bits) => {
                let der = rsa_pkcs8(bits)?;
                let der = PrivatePkcs8KeyDer::from(der.as_slice());
                KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_RSA_SHA256).map_err(failed)
            }
            Self::Ec(Curve::P256) => ec_pair(&rcgen::PKCS_ECDSA_P256_SHA256),
            Self::Ec(Curve::P384) => ec_pair(&rcgen::PKCS_ECDSA_P384_SHA384),
            Self::Ec(Curve::P521) => Err(KeyError::NotForCertificates),
        }
    }
}

/// A new RSA key, PKCS#8 DER.
pub(super) fn rsa_pkcs8(bits: u32) -> Result<Vec<u8>, KeyError> {
    Ok(rsa_key(bits)?.to_pkcs8_der().map_err(failed)?.as_bytes().to_vec())
}

fn rsa_key(bits: u32) -> Result<RsaPrivateKey, KeyError> {
    RsaPrivateKey::new(&mut UnwrapErr(SysRng), bits as usize).map_err(failed)
}

fn ec_pair(algorithm: &'static SignatureAlgorithm) -> Result<KeyPair, KeyError> {
    KeyPair::generate_for(algorithm).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> KeyError {
    KeyError::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_makes_a_key_with_both_coordinates() {
        for (curve, octets) in [("P-256", 43), ("P-384", 64), ("P-521", 88)] {
            let key = KeySpec::from_request("EC-HSM", None, Some(curve)).unwrap().make_public().unwrap();
            assert_eq!(key["crv"], curve);
            for coordinate in ["x", "y"] {
                assert_eq!(key[coordinate].as_str().unwrap().len(), octets, "{curve} {coordinate}");
            }
        }
    }

    #[test]
    fn an_rsa_modulus_has_exactly_its_bits() {
        let key = KeySpec::from_request("RSA", None, None).unwrap().make_public().unwrap();
        // 256 octets are 342 characters of unpadded base64; Key Vault writes no leading zero octet.
        assert_eq!(key["n"].as_str().unwrap().len(), 342);
        assert_eq!(key["e"], "AQAB");
    }

    #[test]
    fn other_keys_are_refused() {
        for (kty, size, curve) in [("RSA", Some(1024), None), ("EC", None, Some("P-256K")), ("oct", None, None)] {
            assert!(KeySpec::from_request(kty, size, curve).is_err(), "{kty}");
        }
        assert!(KeySpec::Ec(Curve::P521).make_pair().is_err());
    }
}

//! A private key: read in any of its encodings, given out only beside the certificate it belongs to.

use der::{Decode as _, Encode as _};
use keyward_types::SecretBytes;
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
        Ed25519KeyPair, KeyPair as _,
    },
};
use sec1::{EcParameters, EcPrivateKey};
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};
use zeroize::Zeroizing;

use super::{CertificateError, pem};

const P_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A private key, well formed and nothing more: only [`PrivateKey::pem_if_pair_of`] lets it out.
pub(super) struct PrivateKey(Kind);

enum Kind {
    /// PKCS#1.
    Rsa(Zeroizing<Vec<u8>>),
    Ec {
        curve: ObjectIdentifier,
        scalar: Zeroizing<Vec<u8>>,
        /// The public half as the key itself states it.
        point: Option<Vec<u8>>,
    },
    Other {
        algorithm: ObjectIdentifier,
        pkcs8: Zeroizing<Vec<u8>>,
        /// The public half as the key itself states it.
        public: Option<Vec<u8>>,
    },
}

impl PrivateKey {
    pub(super) fn from_pkcs8(der: &[u8]) -> Result<Self, CertificateError> {
        let info = pkcs8::PrivateKeyInfoRef::try_from(der).map_err(|_| CertificateError::BadKey)?;
        let key = info.private_key.as_bytes();
        match info.algorithm.oid {
            pkcs1::ALGORITHM_OID => Self::from_pkcs1(key),
            sec1::ALGORITHM_OID => {
                let curve = info.algorithm.parameters_oid().map_err(|_| CertificateError::BadKey)?;
                Self::from_sec1(key, Some(curve))
            }
            algorithm => Ok(Self(Kind::Other {
                algorithm,
                pkcs8: Zeroizing::new(der.to_vec()),
                public: info.public_key.and_then(|public| public.as_bytes()).map(<[u8]>::to_vec),
            })),
        }
    }

    pub(super) fn from_pkcs1(der: &[u8]) -> Result<Self, CertificateError> {
        pkcs1::RsaPrivateKeyRef::from_der(der).map_err(|_| CertificateError::BadKey)?;
        Ok(Self(Kind::Rsa(Zeroizing::new(der.to_vec()))))
    }

    /// `curve` where the wrapping PKCS#8 names it; otherwise the key itself must.
    pub(super) fn from_sec1(der: &[u8], curve: Option<ObjectIdentifier>) -> Result<Self, CertificateError> {
        let key = EcPrivateKey::from_der(der).map_err(|_| CertificateError::BadKey)?;
        let own = key.parameters.and_then(EcParameters::named_curve);
        let curve = curve.or(own).ok_or(CertificateError::BadKey)?;
        if own.is_some_and(|own| own != curve) {
            return Err(CertificateError::BadKey);
        }
        let width = signing_algorithm(curve).map_or(0, |(_, width)| width);
        Ok(Self(Kind::Ec { curve, scalar: padded(key.private_key, width), point: key.public_key.map(<[u8]>::to_vec) }))
    }

    /// The key in PEM, if `public` (a `SubjectPublicKeyInfo`) is its other half: PKCS#1 for RSA, SEC1 for EC, as
    /// akv2k8s writes them, PKCS#8 for what has no older form.
    pub(super) fn pem_if_pair_of(&self, public: &[u8]) -> Result<SecretBytes, CertificateError> {
        let public = SubjectPublicKeyInfoRef::from_der(public).map_err(|_| CertificateError::Damaged)?;
        let bits = public.subject_public_key.as_bytes().ok_or(CertificateError::Damaged)?;
        match &self.0 {
            Kind::Rsa(key) => rsa_pem(key, &public, bits),
            Kind::Ec { curve, scalar, point } => {
                let certified = public.algorithm.parameters_oid();
                if public.algorithm.oid != sec1::ALGORITHM_OID || certified != Ok(*curve) {
                    return Err(CertificateError::OtherKey);
                }
                ec_pem(*curve, scalar, point.as_deref(), bits)
            }
            Kind::Other { algorithm, pkcs8, public: own } => {
                if public.algorithm.oid != *algorithm {
                    return Err(CertificateError::OtherKey);
                }
                other_pem(*algorithm, pkcs8, own.as_deref(), bits)
            }
        }
    }
}

fn rsa_pem(key: &[u8], public: &SubjectPublicKeyInfoRef<'_>, bits: &[u8]) -> Result<SecretBytes, CertificateError> {
    let own = pkcs1::RsaPrivateKeyRef::from_der(key).map_err(|_| CertificateError::BadKey)?;
    if public.algorithm.oid != pkcs1::ALGORITHM_OID {
        return Err(CertificateError::OtherKey);
    }
    let certified = pkcs1::RsaPublicKeyRef::from_der(bits).map_err(|_| CertificateError::Damaged)?;
    if own.public_key() == certified { Ok(secret_pem("RSA PRIVATE KEY", key)) } else { Err(CertificateError::OtherKey) }
}

/// The public point goes in as the certificate has it: with curve and point every reader of SEC1 is content.
fn ec_pem(
    curve: ObjectIdentifier,
    scalar: &[u8],
    point: Option<&[u8]>,
    certified: &[u8],
) -> Result<SecretBytes, CertificateError> {
    match (signing_algorithm(curve), point) {
        (Some((algorithm, _)), _) => {
            EcdsaKeyPair::from_private_key_and_public_key(algorithm, scalar, certified, &SystemRandom::new())
                .map_err(|_| CertificateError::OtherKey)?;
        }
        (None, Some(point)) if point == certified => {}
        (None, Some(_)) => return Err(CertificateError::OtherKey),
        (None, None) => return Err(CertificateError::Unverifiable),
    }
    let parameters = Some(EcParameters::NamedCurve(curve));
    let key = EcPrivateKey { private_key: scalar, parameters, public_key: Some(certified) };
    let der = Zeroizing::new(key.to_der().map_err(|_| CertificateError::BadKey)?);
    Ok(secret_pem("EC PRIVATE KEY", &der))
}

fn other_pem(
    algorithm: ObjectIdentifier,
    pkcs8: &[u8],
    own: Option<&[u8]>,
    certified: &[u8],
) -> Result<SecretBytes, CertificateError> {
    let matches = if algorithm == ED25519 {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| CertificateError::BadKey)?;
        pair.public_key().as_ref() == certified
    } else {
        own.ok_or(CertificateError::Unverifiable)? == certified
    };
    if matches { Ok(secret_pem("PRIVATE KEY", pkcs8)) } else { Err(CertificateError::OtherKey) }
}

/// For the curves whose public half can be computed here, with the bytes of a scalar. For others the key's own word
/// must do.
fn signing_algorithm(curve: ObjectIdentifier) -> Option<(&'static EcdsaSigningAlgorithm, usize)> {
    match curve {
        P_256 => Some((&ECDSA_P256_SHA256_ASN1_SIGNING, 32)),
        P_384 => Some((&ECDSA_P384_SHA384_ASN1_SIGNING, 48)),
        _ => None,
    }
}

/// Some writers drop leading zeros of a scalar, which RFC 5915 does not allow.
fn padded(scalar: &[u8], width: usize) -> Zeroizing<Vec<u8>> {
    let zeros = width.saturating_sub(scalar.len());
    let mut padded = Zeroizing::new(Vec::with_capacity(zeros + scalar.len()));
    padded.resize(zeros, 0);
    padded.extend_from_slice(scalar);
    padded
}

fn secret_pem(label: &str, der: &[u8]) -> SecretBytes {
    pem::armor(label, der).as_str().into()
}

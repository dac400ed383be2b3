//! JSON Web Key (RFC 7517) to a public key. What goes out is built from the public numbers; nothing is copied over.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use der::{Encode as _, asn1::AnyRef, asn1::BitStringRef, asn1::UintRef};
use serde_json::{Map, Value};
use spki::{AlgorithmIdentifierRef, ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::pem;
use crate::object::PublicKey;

/// Bytes of the longest modulus taken, 16384 bits; Key Vault's longest is 4096.
const MAX_MODULUS: usize = 2048;

/// Why a JSON Web Key cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// `oct`, or nothing known.
    #[error("the key is neither RSA nor EC; only those have a public half to give")]
    Kind,
    /// Not one of the four curves of Key Vault.
    #[error("the key's curve is none of P-256, P-384, P-521 and P-256K")]
    Curve,
    /// A number is missing or is no number.
    #[error("the vault's answer makes no sense: member `{0}` of the key is missing or malformed")]
    Member(&'static str),
}

struct Curve {
    /// The name in RFC 7518 and RFC 8812.
    name: &'static str,
    oid: ObjectIdentifier,
    /// Bytes of a coordinate.
    width: usize,
}

/// The public key in both its forms. `kty` loses `-HSM` and `P-256K` becomes `secp256k1`: what the RFCs know.
pub(super) fn public_key(jwk: &Map<String, Value>) -> Result<PublicKey, JwkError> {
    match jwk.get("kty").and_then(Value::as_str) {
        Some("RSA" | "RSA-HSM") => rsa(jwk),
        Some("EC" | "EC-HSM") => ec(jwk),
        _ => Err(JwkError::Kind),
    }
}

fn rsa(jwk: &Map<String, Value>) -> Result<PublicKey, JwkError> {
    let modulus = number(jwk, "n", MAX_MODULUS)?;
    let exponent = number(jwk, "e", MAX_MODULUS)?;
    let key = pkcs1::RsaPublicKeyRef {
        modulus: UintRef::new(&modulus).map_err(|_| JwkError::Member("n"))?,
        public_exponent: UintRef::new(&exponent).map_err(|_| JwkError::Member("e"))?,
    };
    let key = key.to_der().map_err(|_| JwkError::Member("n"))?;
    let algorithm = AlgorithmIdentifierRef { oid: pkcs1::ALGORITHM_OID, parameters: Some(AnyRef::NULL) };
    Ok(PublicKey {
        pem: spki_pem(algorithm, &key).ok_or(JwkError::Member("n"))?,
        jwk: written(jwk, [("kty", "RSA".to_owned()), ("n", encode(&modulus)), ("e", encode(&exponent))]),
    })
}

fn ec(jwk: &Map<String, Value>) -> Result<PublicKey, JwkError> {
    let curve = jwk.get("crv").and_then(Value::as_str).and_then(curve).ok_or(JwkError::Curve)?;
    let x = coordinate(jwk, "x", curve.width)?;
    let y = coordinate(jwk, "y", curve.width)?;
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    let algorithm = AlgorithmIdentifierRef { oid: sec1::ALGORITHM_OID, parameters: Some(AnyRef::from(&curve.oid)) };
    Ok(PublicKey {
        pem: spki_pem(algorithm, &point).ok_or(JwkError::Member("x"))?,
        jwk: written(
            jwk,
            [("kty", "EC".to_owned()), ("crv", curve.name.to_owned()), ("x", encode(&x)), ("y", encode(&y))],
        ),
    })
}

fn curve(name: &str) -> Option<Curve> {
    let (name, oid, width) = match name {
        "P-256" => ("P-256", "1.2.840.10045.3.1.7", 32),
        "P-384" => ("P-384", "1.3.132.0.34", 48),
        "P-521" => ("P-521", "1.3.132.0.35", 66),
        "P-256K" | "SECP256K1" | "secp256k1" => ("secp256k1", "1.3.132.0.10", 32),
        _ => return None,
    };
    Some(Curve { name, oid: ObjectIdentifier::new(oid).ok()?, width })
}

/// A positive integer without leading zeros. Some servers send one too many.
fn number(jwk: &Map<String, Value>, member: &'static str, most: usize) -> Result<Vec<u8>, JwkError> {
    let text = jwk.get(member).and_then(Value::as_str).ok_or(JwkError::Member(member))?;
    if text.len() > most * 2 {
        return Err(JwkError::Member(member));
    }
    let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| JwkError::Member(member))?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let number = bytes.get(zeros..).unwrap_or_default();
    if number.is_empty() || number.len() > most { Err(JwkError::Member(member)) } else { Ok(number.to_vec()) }
}

/// A field element in its full width.
fn coordinate(jwk: &Map<String, Value>, member: &'static str, width: usize) -> Result<Vec<u8>, JwkError> {
    let number = number(jwk, member, width)?;
    let mut padded = vec![0; width - number.len()];
    padded.extend(number);
    Ok(padded)
}

fn spki_pem(algorithm: AlgorithmIdentifierRef<'_>, key: &[u8]) -> Option<String> {
    let spki = SubjectPublicKeyInfoRef { algorithm, subject_public_key: BitStringRef::from_bytes(key).ok()? };
    Some(pem::armor("PUBLIC KEY", &spki.to_der().ok()?).to_string())
}

/// The members in order of name, with the key's identifier where it has one.
fn written<const N: usize>(jwk: &Map<String, Value>, members: [(&'static str, String); N]) -> String {
    let mut members = BTreeMap::from(members);
    if let Some(kid) = jwk.get("kid").and_then(Value::as_str) {
        members.insert("kid", kid.to_owned());
    }
    serde_json::json!(members).to_string()
}

fn encode(number: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(number)
}

#[cfg(test)]
mod tests;

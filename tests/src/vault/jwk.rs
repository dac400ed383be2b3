//! Public JSON Web Keys (RFC 7518): unpadded base64url, and no leading zero octet in `n`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::keymaker::Curve;

/// The members of a public key.
pub(super) type Jwk = Map<String, Value>;

/// Base64url without padding, as JOSE writes octets.
pub(super) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An RSA key from its modulus and exponent, big endian.
pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Jwk {
    let trim = |bytes: &[u8]| b64(&bytes[bytes.iter().take_while(|byte| **byte == 0).count()..]);
    members(json!({"kty": "RSA", "n": trim(modulus), "e": trim(exponent)}))
}

/// An EC key from its uncompressed point (SEC 1), or `None` where `point` is no such thing.
pub(super) fn ec(curve: Curve, point: &[u8]) -> Option<Jwk> {
    let coordinates = point.strip_prefix(&[4])?;
    if coordinates.len() != 2 * curve.field_bytes() {
        return None;
    }
    let (x, y) = coordinates.split_at(curve.field_bytes());
    Some(members(json!({"kty": "EC", "crv": curve.name(), "x": b64(x), "y": b64(y)})))
}

/// The key of a `SubjectPublicKeyInfo`, or `None` where it is neither RSA nor on a curve Key Vault has.
pub(super) fn from_spki(spki: &[u8]) -> Option<Jwk> {
    let (_, spki) = SubjectPublicKeyInfo::from_der(spki).ok()?;
    match spki.parsed().ok()? {
        PublicKey::RSA(key) => Some(rsa(key.modulus, key.exponent)),
        PublicKey::EC(point) => {
            let oid = spki.algorithm.parameters.as_ref()?.as_oid().ok()?.to_id_string();
            ec(Curve::from_oid(&oid)?, point.data())
        }
        _ => None,
    }
}

fn members(value: Value) -> Jwk {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zero_octets_of_a_modulus_are_dropped() {
        assert_eq!(rsa(&[0, 0xab, 0xcd], &[1, 0, 1])["n"], b64([0xab, 0xcd]));
    }

    #[test]
    fn a_point_of_the_wrong_length_makes_no_key() {
        assert!(ec(Curve::P256, &[4; 65]).is_some());
        assert!(ec(Curve::P256, &[4; 64]).is_none());
        assert!(ec(Curve::P256, &[2; 65]).is_none());
        assert!(ec(Curve::P256, &[]).is_none());
    }

    #[test]
    fn a_spki_gives_the_same_key_as_its_point() {
        use rcgen::PublicKeyData;
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        assert_eq!(from_spki(&pair.subject_public_key_info()), ec(Curve::P384, pair.public_key_raw()));
    }
}

use serde_json::json;
use x509_parser::prelude::{FromDer as _, SubjectPublicKeyInfo};

use super::*;
use crate::render::fixtures::{der, fixture, text};

fn read(jwk: Value) -> Result<PublicKey, JwkError> {
    match jwk {
        Value::Object(members) => public_key(&members),
        other => panic!("{other}"),
    }
}

/// The point of the `ec.pub` fixture, and the modulus of `rsa.pub`.
fn numbers() -> (String, String, Vec<u8>) {
    let ec = der(fixture!("ec.pub"));
    let (_, ec) = SubjectPublicKeyInfo::from_der(&ec).unwrap();
    let point = &ec.subject_public_key.data;
    let rsa = der(fixture!("rsa.pub"));
    let (_, rsa) = SubjectPublicKeyInfo::from_der(&rsa).unwrap();
    let rsa = pkcs1::RsaPublicKeyRef::try_from(rsa.subject_public_key.data.as_ref()).unwrap();
    (encode(&point[1..33]), encode(&point[33..]), rsa.modulus.as_bytes().to_vec())
}

#[test]
fn rsa_gives_the_pem_of_openssl_and_a_canonical_jwk() {
    let (_, _, modulus) = numbers();
    let padded = [&[0], modulus.as_slice()].concat();
    for (kty, n, e) in [("RSA", &modulus, "AQAB"), ("RSA-HSM", &modulus, "AQAB"), ("RSA", &padded, "AAEAAQ==")] {
        let key = read(json!({"kty": kty, "n": encode(n), "e": e, "kid": "https://v/keys/k/1"})).unwrap();
        assert_eq!(key.pem, text(fixture!("rsa.pub")), "{kty}");
        let n = encode(&modulus);
        assert_eq!(key.jwk, format!(r#"{{"e":"AQAB","kid":"https://v/keys/k/1","kty":"RSA","n":"{n}"}}"#), "{kty}");
    }
}

#[test]
fn ec_gives_the_pem_of_openssl_and_a_canonical_jwk() {
    let (x, y, _) = numbers();
    for kty in ["EC", "EC-HSM"] {
        let key = read(json!({"kty": kty, "crv": "P-256", "x": x, "y": y, "key_ops": ["verify"]})).unwrap();
        assert_eq!(key.pem, text(fixture!("ec.pub")), "{kty}");
        assert_eq!(key.jwk, format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#), "{kty}");
    }
}

#[test]
fn every_curve_of_key_vault_is_read_with_its_width() {
    for (crv, name, oid, width) in [
        ("P-256", "P-256", "1.2.840.10045.3.1.7", 32),
        ("P-384", "P-384", "1.3.132.0.34", 48),
        ("P-521", "P-521", "1.3.132.0.35", 66),
        ("P-256K", "secp256k1", "1.3.132.0.10", 32),
    ] {
        let key = read(json!({"kty": "EC", "crv": crv, "x": encode(&[1]), "y": encode(&vec![2; width])})).unwrap();
        let spki = der(key.pem.as_bytes());
        let (_, spki) = SubjectPublicKeyInfo::from_der(&spki).unwrap();
        assert_eq!(spki.algorithm.parameters.unwrap().as_oid().unwrap().to_id_string(), oid, "{crv}");
        let mut point = vec![0; width];
        point[0] = 4;
        point.push(1);
        point.extend(vec![2; width]);
        assert_eq!(spki.subject_public_key.data, point, "{crv}");
        assert!(key.jwk.contains(&format!(r#""crv":"{name}""#)), "{crv}");
    }
}

#[test]
fn private_members_are_never_copied() {
    let (x, y, modulus) = numbers();
    let n = encode(&modulus);
    for public in [json!({"kty": "RSA", "n": n, "e": "AQAB"}), json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})] {
        let clean = read(public.clone()).unwrap();
        let mut whole = public;
        for member in ["d", "p", "q", "dp", "dq", "qi", "k", "oth", "key_hsm"] {
            whole[member] = json!("kwcanary");
        }
        assert!(read(whole).unwrap() == clean, "a private member came through");
    }
}

#[test]
fn what_is_no_public_key_is_refused_by_its_member() {
    let y = encode(&[2; 32]);
    for (jwk, expected) in [
        (json!({}), JwkError::Kind),
        (json!({"kty": "oct", "k": "kwcanary"}), JwkError::Kind),
        (json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"}), JwkError::Kind),
        (json!({"kty": 1}), JwkError::Kind),
        (json!({"kty": "RSA", "e": "AQAB"}), JwkError::Member("n")),
        (json!({"kty": "RSA", "n": "AA", "e": "AQAB"}), JwkError::Member("n")),
        (json!({"kty": "RSA", "n": "a+/b", "e": "AQAB"}), JwkError::Member("n")),
        (json!({"kty": "RSA", "n": "A".repeat(100_000), "e": "AQAB"}), JwkError::Member("n")),
        (json!({"kty": "RSA", "n": "AQAB", "e": ["kwcanary"]}), JwkError::Member("e")),
        (json!({"kty": "EC", "x": y, "y": y}), JwkError::Curve),
        (json!({"kty": "EC", "crv": "kwcanary", "x": y, "y": y}), JwkError::Curve),
        (json!({"kty": "EC", "crv": "P-256", "x": y}), JwkError::Member("y")),
        (json!({"kty": "EC", "crv": "P-256", "x": encode(&[2; 33]), "y": y}), JwkError::Member("x")),
    ] {
        assert_eq!(read(jwk.clone()).unwrap_err(), expected, "{jwk}");
    }
}

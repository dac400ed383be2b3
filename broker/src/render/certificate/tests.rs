use super::*;
use crate::render::fixtures::{der, fixture, pem_twin, pfx_twin, text};

/// Leaf, intermediate, root as OpenSSL writes them.
fn chain_of(leaf: &[u8]) -> String {
    [leaf, fixture!("intermediate.crt"), fixture!("root.crt")].map(text).concat()
}

fn key_of(certificate: &Certificate) -> Option<&str> {
    certificate.key.as_ref().map(|key| key.expose_str().unwrap())
}

#[test]
fn every_kind_of_file_gives_the_same_chain_and_key() {
    let rsa = (fixture!("rsa.crt"), fixture!("rsa.key"));
    let ec = (fixture!("ec.crt"), fixture!("ec.key"));
    for (name, twin, (leaf, key)) in [
        ("modern.pfx", pfx_twin(fixture!("modern.pfx")), rsa),
        ("legacy-rc2.pfx", pfx_twin(fixture!("legacy-rc2.pfx")), rsa),
        ("legacy-3des.pfx", pfx_twin(fixture!("legacy-3des.pfx")), rsa),
        ("plain.pfx", pfx_twin(fixture!("plain.pfx")), rsa),
        ("null-none.pfx", pfx_twin(fixture!("null-none.pfx")), rsa),
        ("null-3des.pfx", pfx_twin(fixture!("null-3des.pfx")), rsa),
        ("null-rc2.pfx", pfx_twin(fixture!("null-rc2.pfx")), rsa),
        ("null-aes.pfx", pfx_twin(fixture!("null-aes.pfx")), rsa),
        ("shuffled.pfx", pfx_twin(fixture!("shuffled.pfx")), rsa),
        ("ec.pfx", pfx_twin(fixture!("ec.pfx")), ec),
        ("rsa-pkcs8.pem", pem_twin(fixture!("rsa-pkcs8.pem")), rsa),
        ("rsa-pkcs1.pem", pem_twin(fixture!("rsa-pkcs1.pem")), rsa),
        ("ec-sec1.pem", pem_twin(fixture!("ec-sec1.pem")), ec),
    ] {
        let from_twin = from_twin(&der(leaf), &twin).unwrap_or_else(|error| panic!("{name}: {error}"));
        let from_secret = from_secret(&twin.value).unwrap_or_else(|error| panic!("{name}: {error}"));
        for certificate in [from_twin, from_secret] {
            assert_eq!(certificate.chain, chain_of(leaf), "{name}");
            assert_eq!(certificate.root.as_deref(), Some(text(fixture!("root.crt"))), "{name}");
            assert!(key_of(&certificate) == Some(text(key)), "{name}: another key");
        }
    }
}

#[test]
fn a_binary_pfx_in_a_secret_is_recognised() {
    let certificate = from_secret(&SecretBytes::new(fixture!("modern.pfx"))).unwrap();
    assert_eq!(certificate.chain, chain_of(fixture!("rsa.crt")));
}

#[test]
fn other_curves_are_read() {
    for (name, file) in
        [("P-384", fixture!("P-384.pem")), ("P-521", fixture!("P-521.pem")), ("secp256k1", fixture!("secp256k1.pem"))]
    {
        let certificate = from_secret(&SecretBytes::new(file)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(key_of(&certificate).unwrap().starts_with("-----BEGIN EC PRIVATE KEY-----\n"), "{name}");
        assert_eq!(certificate.root.as_deref(), Some(certificate.chain.as_str()), "{name}");
    }
}

#[test]
fn ed25519_stays_pkcs8() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let certificate = rcgen::CertificateParams::new(["ed.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let file = |key: &rcgen::KeyPair| pem_twin(format!("{}{}", key.serialize_pem(), certificate.pem()).as_bytes());
    let read = from_twin(certificate.der(), &file(&key)).unwrap();
    assert_eq!(der(key_of(&read).unwrap().as_bytes()), key.serialized_der());
    assert_eq!(from_twin(certificate.der(), &file(&other)).unwrap_err(), CertificateError::OtherKey);
}

#[test]
fn a_key_that_may_not_be_exported_leaves_the_chain() {
    let leaf = der(fixture!("rsa.crt"));
    let certificate = from_twin(&leaf, &pfx_twin(fixture!("no-key.pfx"))).unwrap();
    assert_eq!(certificate.chain, chain_of(fixture!("rsa.crt")));
    assert!(certificate.key.is_none());
    let certificate = from_twin(&leaf, &pem_twin(b"")).unwrap();
    assert_eq!(certificate.chain, text(fixture!("rsa.crt")));
    assert!(certificate.key.is_none() && certificate.root.is_none());
}

#[test]
fn what_is_damaged_or_does_not_fit_is_refused_with_its_reason() {
    let two_keys = [fixture!("rsa-pkcs8.pem"), fixture!("ec-sec1.pem")].concat();
    let many = fixture!("root.crt").repeat(65);
    let truncated = fixture!("modern.pfx").split_last().unwrap().1;
    let mut altered = fixture!("plain.pfx").to_vec();
    altered[200] ^= 1;
    let mut altered_null = fixture!("null-none.pfx").to_vec();
    altered_null[200] ^= 1;
    let mut other_type = pem_twin(fixture!("rsa-pkcs8.pem"));
    other_type.content_type = Some("kwcanary".to_owned());
    for (name, twin, expected) in [
        ("no MAC", pfx_twin(fixture!("no-mac.pfx")), CertificateError::NoMac),
        ("password", pfx_twin(fixture!("password.pfx")), CertificateError::Password),
        ("altered", pfx_twin(&altered), CertificateError::Password),
        ("altered, no password", pfx_twin(&altered_null), CertificateError::Password),
        ("truncated", pfx_twin(truncated), CertificateError::NotPfx),
        ("garbage", pfx_twin(b"kwcanary garbage"), CertificateError::NotPfx),
        ("empty", pfx_twin(b""), CertificateError::NotPfx),
        ("another leaf", pfx_twin(fixture!("ec.pfx")), CertificateError::LeafMissing),
        ("another key", pem_twin(fixture!("mismatch.pem")), CertificateError::OtherKey),
        ("encrypted", pem_twin(fixture!("encrypted.pem")), CertificateError::EncryptedKey),
        ("two keys", pem_twin(&two_keys), CertificateError::SeveralKeys),
        ("many", pem_twin(&many), CertificateError::TooManyCertificates),
        (
            "OpenSSH",
            pem_twin(b"-----BEGIN OPENSSH PRIVATE KEY-----\n-----END OPENSSH PRIVATE KEY-----"),
            CertificateError::BadKey,
        ),
        ("empty key", pem_twin(b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----"), CertificateError::BadKey),
        ("open block", pem_twin(b"-----BEGIN CERTIFICATE-----\nkwcanary"), CertificateError::Pem),
        ("not text", pem_twin(&[0xff]), CertificateError::Pem),
        (
            "PEM as PFX",
            RawSecret { content_type: pfx_twin(b"").content_type, ..pem_twin(fixture!("rsa-pkcs8.pem")) },
            CertificateError::NotBase64,
        ),
        ("type", other_type, CertificateError::ContentType),
    ] {
        assert_eq!(from_twin(&der(fixture!("rsa.crt")), &twin).unwrap_err(), expected, "{name}");
    }
}

#[test]
fn a_secret_without_a_pair_is_refused_with_its_reason() {
    for (name, value, expected) in [
        ("no key", fixture!("rsa.crt"), CertificateError::NoKeyInSecret),
        ("no certificate", fixture!("rsa.key"), CertificateError::NoCertificate),
        ("another's key", fixture!("mismatch.pem"), CertificateError::OtherKey),
        ("text", b"kwcanary: text", CertificateError::NotPfx),
        ("base64 of text", b"a3djYW5hcnk=", CertificateError::NotPfx),
    ] {
        assert_eq!(from_secret(&SecretBytes::new(value)).unwrap_err(), expected, "{name}");
    }
}

#[test]
fn an_unlike_kind_of_key_is_another_key() {
    let keys = [fixture!("rsa-pkcs8.pem"), fixture!("ec-sec1.pem"), fixture!("P-384.pem"), fixture!("P-521.pem")];
    for (position, file) in keys.into_iter().enumerate() {
        let key = Bundle::from_pem(file).unwrap().key.unwrap();
        for (other, file) in keys.into_iter().enumerate() {
            let bundle = Bundle::from_pem(file).unwrap();
            let pairs = bundle
                .certificates
                .iter()
                .filter(|certificate| key.pem_if_pair_of(chain::public_key(certificate).unwrap()).is_ok());
            assert_eq!(pairs.count(), usize::from(position == other), "{position} with {other}");
        }
    }
}

//! Private keys: ECDSA P-256 in PKCS#8, wiped when they are dropped. Pure.

use std::ops::Deref;

use keyward_types::SecretBytes;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use zeroize::Zeroize as _;

use super::certificate::Certificate;

/// One to sign with.
pub(super) struct Wiped(pub(super) KeyPair);

impl Deref for Wiped {
    type Target = KeyPair;

    fn deref(&self) -> &KeyPair {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// From PEM; `None` where it is no key of our kind.
pub(super) fn read(pem: &SecretBytes) -> Option<Wiped> {
    let mut der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose()).ok()?;
    let pair = KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256).ok().map(Wiped);
    der.zeroize();
    pair
}

/// Whether the key in PEM is the certificate's.
pub(super) fn belongs(pem: &SecretBytes, certificate: &Certificate) -> bool {
    read(pem).is_some_and(|key| key.der_bytes() == certificate.public_key())
}

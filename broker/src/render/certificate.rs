//! A certificate as the vault holds it, PFX or PEM, to a chain in order and the key that belongs to it.
//!
//! | room | holds |
//! |---|---|
//! | `bundle` | what a file holds, in no order: certificates, perhaps a key |
//! | `pfx` | PKCS#12 to a bundle |
//! | `private_key` | a key, whether it belongs to a certificate, and its PEM |
//! | `chain` | leaf first, each followed by its issuer |

mod bundle;
mod chain;
mod error;
mod pfx;
mod private_key;

pub use error::CertificateError;
use keyward_types::SecretBytes;

use self::{bundle::Bundle, private_key::PrivateKey};
use super::pem;
use crate::object::{Certificate, RawSecret};

/// From a certificate object: its leaf, and the secret of the same version.
pub(super) fn from_twin(leaf: &[u8], twin: &RawSecret) -> Result<Certificate, CertificateError> {
    let media_type = twin.content_type.as_deref().map(|text| text.split(';').next().unwrap_or_default().trim());
    let mut bundle = match media_type {
        Some("application/x-pkcs12") => Bundle::from_pfx_text(twin.value.expose())?,
        Some("application/x-pem-file") => Bundle::from_pem(twin.value.expose())?,
        _ => return Err(CertificateError::ContentType),
    };
    if bundle.certificates.is_empty() {
        bundle.certificates.push(leaf.to_vec());
    }
    // A chain without the leaf belongs to another version: reads of certificate and secret were torn apart.
    let position =
        bundle.certificates.iter().position(|certificate| certificate == leaf).ok_or(CertificateError::LeafMissing)?;
    assemble(&bundle, position)
}

/// From a secret into which somebody put a PFX (base64 or binary) or PEM. The leaf is the certificate of its key.
pub(super) fn from_secret(value: &SecretBytes) -> Result<Certificate, CertificateError> {
    let bundle = Bundle::recognise(value.expose())?;
    let key = bundle.key.as_ref().ok_or(CertificateError::NoKeyInSecret)?;
    let mut reason = CertificateError::NoCertificate;
    for (position, certificate) in bundle.certificates.iter().enumerate() {
        match chain::public_key(certificate).and_then(|public| key.pem_if_pair_of(public)) {
            Ok(_) => return assemble(&bundle, position),
            Err(error) => reason = error,
        }
    }
    Err(reason)
}

fn assemble(bundle: &Bundle, leaf: usize) -> Result<Certificate, CertificateError> {
    let chain = chain::sorted(&bundle.certificates, leaf)?;
    let key = match (&bundle.key, bundle.certificates.get(leaf)) {
        (Some(key), Some(leaf)) => Some(PrivateKey::pem_if_pair_of(key, chain::public_key(leaf)?)?),
        _ => None,
    };
    let armored = |certificate: &[u8]| pem::armor("CERTIFICATE", certificate).to_string();
    Ok(Certificate {
        chain: chain.certificates.iter().map(|certificate| armored(certificate)).collect(),
        root: chain.root.map(armored),
        key,
    })
}

#[cfg(test)]
mod tests;

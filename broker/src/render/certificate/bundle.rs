//! What a PFX or PEM file holds: certificates in no particular order, and at most one private key.

use super::{CertificateError, PrivateKey, pem, pfx};

/// Enough for any chain with its cross-signed alternatives; sorting compares them pairwise.
const MAX_CERTIFICATES: usize = 64;

pub(super) struct Bundle {
    /// DER.
    pub(super) certificates: Vec<Vec<u8>>,
    pub(super) key: Option<PrivateKey>,
}

impl Bundle {
    pub(super) fn new(mut keys: Vec<PrivateKey>, certificates: Vec<Vec<u8>>) -> Result<Self, CertificateError> {
        if certificates.len() > MAX_CERTIFICATES {
            return Err(CertificateError::TooManyCertificates);
        }
        let key = keys.pop();
        if keys.is_empty() { Ok(Self { certificates, key }) } else { Err(CertificateError::SeveralKeys) }
    }

    /// A PFX in base64, as Key Vault gives it.
    pub(super) fn from_pfx_text(text: &[u8]) -> Result<Self, CertificateError> {
        pfx::read(&pem::decode_base64(text).ok_or(CertificateError::NotBase64)?)
    }

    /// Key and certificates in any order. Other blocks, such as `EC PARAMETERS`, are passed over.
    pub(super) fn from_pem(text: &[u8]) -> Result<Self, CertificateError> {
        let text = std::str::from_utf8(text).map_err(|_| CertificateError::Pem)?;
        let mut keys = Vec::new();
        let mut certificates = Vec::new();
        for block in pem::blocks(text).map_err(|_| CertificateError::Pem)? {
            let der = || block.der().map_err(|_| CertificateError::Pem);
            match block.label {
                "CERTIFICATE" => certificates.push(der()?.to_vec()),
                "PRIVATE KEY" => keys.push(PrivateKey::from_pkcs8(&der()?)?),
                "RSA PRIVATE KEY" => keys.push(PrivateKey::from_pkcs1(&der()?)?),
                "EC PRIVATE KEY" => keys.push(PrivateKey::from_sec1(&der()?, None)?),
                "ENCRYPTED PRIVATE KEY" => return Err(CertificateError::EncryptedKey),
                _ if block.is_private_key() => return Err(CertificateError::BadKey),
                _ => {}
            }
        }
        Self::new(keys, certificates)
    }

    /// PEM, binary PFX or PFX in base64, whichever it looks like.
    pub(super) fn recognise(value: &[u8]) -> Result<Self, CertificateError> {
        const SEQUENCE: u8 = 0x30;
        if value.windows(BEGIN.len()).any(|window| window == BEGIN) {
            Self::from_pem(value)
        } else if value.first() == Some(&SEQUENCE) && !value.is_ascii() {
            pfx::read(value)
        } else {
            Self::from_pfx_text(value).map_err(|error| match error {
                CertificateError::NotBase64 => CertificateError::NotPfx,
                other => other,
            })
        }
    }
}

const BEGIN: &[u8] = b"-----BEGIN ";

//! A client certificate and its key, read from files at every sign-in.
//!
//! `azure_identity` can do this with OpenSSL only; here ring signs.

mod assertion;
mod files;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use p12_keystore::Pkcs12Archive;
use ring::{
    rsa::{KeyPair as RsaKeyPair, PublicKeyComponents},
    signature::KeyPair as _,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

pub(super) use self::{assertion::SignedAssertion, files::read};

/// Why a certificate cannot sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Neither PEM nor PFX.
    #[error("it is neither PEM (-----BEGIN …) nor a PFX; export it again")]
    Form,
    /// PEM that cannot be decoded.
    #[error("its PEM is damaged")]
    Pem,
    /// The password is wrong, missing, or the file altered.
    #[error("the PFX does not open with this password; give the right one, and export it with one where it has none")]
    Password,
    /// Ciphers nobody reads any more, or structures.
    #[error("the PFX cannot be read; export it again with AES-256 or 3DES")]
    Unsupported,
    /// No private key, or one behind a password.
    #[error(
        "it holds no private key that can be read; store the key beside the certificate, in PEM without a password"
    )]
    NoKey,
    /// More than one.
    #[error("it holds several private keys; keep the certificate's own")]
    SeveralKeys,
    /// Entra takes RS256 and PS256 only.
    #[error("its key is not RSA of 2048 to 4096 bits, which Entra asks for")]
    NotRsa,
    /// No certificate of that key.
    #[error("it holds no certificate of its private key; store the pair that was issued together")]
    NoPair,
    /// Both a PFX and PEM.
    #[error("it holds both client.pfx and tls.crt; keep one")]
    Both,
}

/// A key that signs, the certificate that belongs to it, and the rest of the chain as it was found.
#[derive(Debug)]
pub(super) struct Signer {
    key: RsaKeyPair,
    /// DER, leaf first.
    chain: Vec<Vec<u8>>,
}

impl Signer {
    /// From PEM: certificates and the key, in any order.
    fn from_pem(text: &[u8]) -> Result<Self, CertificateError> {
        let certificates = CertificateDer::pem_slice_iter(text).map(|found| found.map(|der| der.to_vec()));
        let certificates = certificates.collect::<Result<Vec<_>, _>>().map_err(|_| CertificateError::Pem)?;
        let mut keys = PrivateKeyDer::pem_slice_iter(text);
        let key = keys.next().ok_or(CertificateError::NoKey)?.map_err(|_| CertificateError::Pem)?;
        if keys.next().is_some() {
            return Err(CertificateError::SeveralKeys);
        }
        let key = match &key {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(CertificateError::NotRsa),
        };
        Self::new(key.map_err(|_| CertificateError::NotRsa)?, certificates)
    }

    /// From PKCS#12 in DER.
    fn from_pfx(der: &[u8], password: &str) -> Result<Self, CertificateError> {
        use p12_keystore::error::Error;
        let archive = Pkcs12Archive::from_pkcs12(der, password).map_err(|error| match error {
            Error::MacError(_) => CertificateError::Password,
            Error::DerError(_) | Error::InvalidData | Error::InvalidLength => CertificateError::Form,
            _ => CertificateError::Unsupported,
        })?;
        let [key] = archive.keys.as_slice() else {
            return Err(if archive.keys.is_empty() { CertificateError::NoKey } else { CertificateError::SeveralKeys });
        };
        let key = RsaKeyPair::from_pkcs8(key.key.as_der()).map_err(|_| CertificateError::NotRsa)?;
        Self::new(key, archive.certs.iter().map(|bag| bag.cert.as_der().to_vec()).collect())
    }

    fn new(key: RsaKeyPair, mut chain: Vec<Vec<u8>>) -> Result<Self, CertificateError> {
        let leaf = chain.iter().position(|der| is_pair(&key, der)).ok_or(CertificateError::NoPair)?;
        let leaf = chain.remove(leaf);
        chain.insert(0, leaf);
        Ok(Self { key, chain })
    }

    fn leaf(&self) -> &[u8] {
        self.chain.first().map_or(&[], Vec::as_slice)
    }

    /// As the header `x5c` wants it: base64 of DER, leaf first.
    fn chain_base64(&self) -> Vec<String> {
        self.chain.iter().map(|der| STANDARD.encode(der)).collect()
    }
}

/// Whether `der` certifies the public half of `key`.
fn is_pair(key: &RsaKeyPair, der: &[u8]) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return false };
    let Ok(x509_parser::public_key::PublicKey::RSA(certified)) = certificate.public_key().parsed() else {
        return false;
    };
    let own = PublicKeyComponents::<Vec<u8>>::from(key.public_key());
    let unsigned = |number: &[u8]| number.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
    unsigned(certified.modulus) == unsigned(&own.n) && unsigned(certified.exponent) == unsigned(&own.e)
}

#[cfg(test)]
mod tests;

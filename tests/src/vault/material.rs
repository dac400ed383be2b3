//! A certificate's private key and chain, and the two shapes they have in its secret: PKCS#12 with an empty password,
//! and PEM.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, Pkcs12ImportPolicy, PrivateKey, PrivateKeyChain};
use pem::{EncodeConfig, LineEnding, Pem};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::policy::PKCS12;

/// Rounds of the key derivation, as many as Key Vault's own files have. The password is empty: more protect nothing.
const ROUNDS: u32 = 2_000;

/// A key and its chain, DER.
#[derive(Clone)]
pub(super) struct Material {
    /// PKCS#8.
    pub(super) key: Vec<u8>,
    /// Leaf first; never empty.
    pub(super) chain: Vec<Vec<u8>>,
}

/// What is read off the leaf.
pub(super) struct LeafFacts {
    pub(super) spki: Vec<u8>,
    pub(super) subject: String,
    pub(super) nbf: i64,
    pub(super) exp: i64,
}

/// Why a certificate cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MaterialError {
    #[error("the value is no base64 PKCS#12 file, or the password is wrong")]
    Pfx,
    #[error("the value is no PEM file")]
    Pem,
    #[error("the value holds no private key in PKCS#8")]
    NoKey,
    #[error("the value holds no X.509 certificate")]
    NoCertificate,
    #[error("the secret cannot be written: {0}")]
    Write(String),
}

impl Material {
    /// Reads what an import carries: PEM text, or base64 of PEM or PKCS#12.
    pub(super) fn parse(value: &str, password: &str) -> Result<Self, MaterialError> {
        if value.trim_start().starts_with("-----BEGIN") {
            return Self::from_pem(value);
        }
        let compact: String = value.split_ascii_whitespace().collect();
        let bytes = STANDARD.decode(compact).map_err(|_| MaterialError::Pfx)?;
        match std::str::from_utf8(&bytes) {
            Ok(text) if text.trim_start().starts_with("-----BEGIN") => Self::from_pem(text),
            _ => Self::from_pfx(&bytes, password),
        }
    }

    /// Reads a PKCS#12 file.
    pub(super) fn from_pfx(bytes: &[u8], password: &str) -> Result<Self, MaterialError> {
        let store = KeyStore::from_pkcs12(bytes, password, Pkcs12ImportPolicy::Relaxed);
        let store = store.map_err(|_| MaterialError::Pfx)?;
        let (_, chain) = store.private_key_chain().ok_or(MaterialError::NoKey)?;
        let certificates = chain.certs().iter().map(|certificate| certificate.as_der().to_vec()).collect();
        Self::checked(chain.key().as_der().to_vec(), certificates)
    }

    /// Reads a PKCS#8 key and certificates, in any order of kinds.
    pub(super) fn from_pem(text: &str) -> Result<Self, MaterialError> {
        let blocks = pem::parse_many(text).map_err(|_| MaterialError::Pem)?;
        let key = blocks.iter().find(|block| block.tag() == "PRIVATE KEY").ok_or(MaterialError::NoKey)?;
        let certificates = blocks.iter().filter(|block| block.tag() == "CERTIFICATE");
        Self::checked(key.contents().to_vec(), certificates.map(|block| block.contents().to_vec()).collect())
    }

    fn checked(key: Vec<u8>, chain: Vec<Vec<u8>>) -> Result<Self, MaterialError> {
        PrivateKey::from_der(&key).map_err(|_| MaterialError::NoKey)?;
        let material = Self { key, chain };
        material.leaf_facts()?;
        Ok(material)
    }

    /// The leaf, DER.
    pub(super) fn leaf(&self) -> &[u8] {
        self.chain.first().map_or(&[], Vec::as_slice)
    }

    pub(super) fn leaf_facts(&self) -> Result<LeafFacts, MaterialError> {
        let (_, leaf) = X509Certificate::from_der(self.leaf()).map_err(|_| MaterialError::NoCertificate)?;
        Ok(LeafFacts {
            spki: leaf.public_key().raw.to_vec(),
            subject: leaf.subject().to_string(),
            nbf: leaf.validity().not_before.timestamp(),
            exp: leaf.validity().not_after.timestamp(),
        })
    }

    /// The value of the certificate's secret. Where the key may not be exported, the chain alone.
    pub(super) fn secret_value(&self, content_type: &str, exportable: bool) -> Result<String, MaterialError> {
        if content_type == PKCS12 { self.to_pfx(exportable) } else { Ok(self.to_pem(exportable)) }
    }

    fn to_pem(&self, with_key: bool) -> String {
        let key = with_key.then(|| Pem::new("PRIVATE KEY", self.key.clone()));
        let chain = self.chain.iter().map(|der| Pem::new("CERTIFICATE", der.clone()));
        let blocks: Vec<Pem> = key.into_iter().chain(chain).collect();
        pem::encode_many_config(&blocks, EncodeConfig::new().set_line_ending(LineEnding::LF))
    }

    fn to_pfx(&self, with_key: bool) -> Result<String, MaterialError> {
        let failed = |error: p12_keystore::error::Error| MaterialError::Write(error.to_string());
        let chain = self.chain.iter().map(|der| Certificate::from_der(der)).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(failed)?;
        let mut store = KeyStore::new();
        if with_key {
            let key = PrivateKey::from_der(&self.key).map_err(failed)?;
            let entry = PrivateKeyChain::new(vec![1, 0, 0, 0], key, chain);
            store.add_entry("certificate", KeyStoreEntry::PrivateKeyChain(entry));
        } else {
            for (position, certificate) in chain.into_iter().enumerate() {
                store.add_entry(&position.to_string(), KeyStoreEntry::Certificate(certificate));
            }
        }
        let written = store.writer("").encryption_iterations(ROUNDS).mac_iterations(ROUNDS).write().map_err(failed)?;
        Ok(STANDARD.encode(written))
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::PEM;
    use super::*;

    fn material() -> Material {
        let made = rcgen::generate_simple_self_signed(vec!["shop.example".to_owned()]).unwrap();
        Material { key: made.signing_key.serialize_der(), chain: vec![made.cert.der().to_vec()] }
    }

    #[test]
    fn both_shapes_read_back_as_they_were_written() {
        let material = material();
        for content_type in [PKCS12, PEM] {
            let value = material.secret_value(content_type, true).unwrap();
            let read = Material::parse(&value, "").unwrap();
            assert!(read.key == material.key && read.chain == material.chain, "{content_type}");
        }
    }

    #[test]
    fn without_export_the_chain_is_there_and_the_key_is_not() {
        for content_type in [PKCS12, PEM] {
            let value = material().secret_value(content_type, false).unwrap();
            assert_eq!(Material::parse(&value, "").err(), Some(MaterialError::NoKey), "{content_type}");
        }
    }

    #[test]
    fn garbage_is_named_for_what_it_is_not() {
        for (value, error) in [
            ("!", MaterialError::Pfx),
            ("AAAA", MaterialError::Pfx),
            ("-----BEGIN NOTHING", MaterialError::NoKey),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", MaterialError::NoKey),
        ] {
            assert_eq!(Material::parse(value, "").err(), Some(error), "{value}");
        }
    }
}

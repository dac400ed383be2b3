//! Issues certificates as a policy asks: self-signed, or below an intermediate and a root of the emulator's own.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

use super::errors::Refusal;
use super::keymaker::KeyError;
use super::material::Material;
use super::policy::{EMULATOR, Policy, SELF};
use crate::ca::params_for;

/// Root and intermediate for certificates that shall have a chain.
pub(super) struct ChainAuthority {
    root: Vec<u8>,
    intermediate: CertifiedIssuer<'static, KeyPair>,
}

/// Why no certificate was issued.
#[derive(Debug, thiserror::Error)]
pub(super) enum IssueError {
    #[error("issuer {0} is not known here; use {SELF}, or {EMULATOR} for a chain with intermediate and root")]
    UnknownIssuer(String),
    #[error("subject {0} is not a list of NAME=VALUE with names from CN, O, OU, L, ST, C")]
    BadSubject(String),
    #[error("{0} is not an IP address")]
    BadAddress(String),
    #[error("extended key usage {0} is not an object identifier")]
    BadUsage(String),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("cannot issue: {0}")]
    Failed(#[from] rcgen::Error),
    #[error(transparent)]
    Authority(#[from] crate::ca::CaError),
}

impl From<IssueError> for Refusal {
    fn from(error: IssueError) -> Self {
        Self::bad_parameter(error.to_string())
    }
}

impl ChainAuthority {
    /// Makes both; their keys live in memory only.
    pub(super) fn new() -> Result<Self, IssueError> {
        let root = CertifiedIssuer::self_signed(authority("Emulated Root")?, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let intermediate = CertifiedIssuer::signed_by(authority("Emulated Intermediate")?, key, &root)?;
        Ok(Self { root: root.der().to_vec(), intermediate })
    }

    /// Makes a key and a certificate for it. RSA takes a moment.
    pub(super) fn issue(&self, policy: &Policy, now: i64) -> Result<Material, IssueError> {
        let params = leaf(policy, now)?;
        let key = policy.key_spec()?.make_pair()?;
        let chain = match policy.issuer.name.as_str() {
            SELF => vec![params.self_signed(&key)?.der().to_vec()],
            EMULATOR => {
                let leaf = params.signed_by(&key, &self.intermediate)?;
                vec![leaf.der().to_vec(), self.intermediate.der().to_vec(), self.root.clone()]
            }
            other => return Err(IssueError::UnknownIssuer(other.to_owned())),
        };
        Ok(Material { key: key.serialize_der(), chain })
    }
}

fn authority(name: &str) -> Result<CertificateParams, IssueError> {
    let mut params = params_for(name)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_after = params.not_before + Duration::days(3_650);
    Ok(params)
}

fn leaf(policy: &Policy, now: i64) -> Result<CertificateParams, IssueError> {
    let props = &policy.x509_props;
    let mut params = params_for("leaf")?;
    params.distinguished_name = subject(&props.subject)?;
    params.not_before = OffsetDateTime::from_unix_timestamp(now).unwrap_or(params.not_before);
    params.not_after = params.not_before + Duration::days(i64::from(props.validity_months.min(1_200)) * 365 / 12);
    params.subject_alt_names = Vec::new();
    for name in &props.sans.dns_names {
        params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
    }
    for address in &props.sans.ip_addresses {
        let parsed = address.parse().map_err(|_| IssueError::BadAddress(address.clone()))?;
        params.subject_alt_names.push(SanType::IpAddress(parsed));
    }
    for email in &props.sans.emails {
        params.subject_alt_names.push(SanType::Rfc822Name(email.as_str().try_into()?));
    }
    params.key_usages = props.key_usage.iter().filter_map(|usage| key_usage(usage)).collect();
    params.extended_key_usages = props.ekus.iter().map(|oid| extended_usage(oid)).collect::<Result<_, _>>()?;
    Ok(params)
}

/// `CN=shop.example, O=Acme`. Values with commas or quotes are beyond an emulator.
fn subject(text: &str) -> Result<DistinguishedName, IssueError> {
    let bad = || IssueError::BadSubject(text.to_owned());
    let mut name = DistinguishedName::new();
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let (kind, value) = part.split_once('=').ok_or_else(bad)?;
        let kind = match kind.trim().to_ascii_uppercase().as_str() {
            "CN" => DnType::CommonName,
            "O" => DnType::OrganizationName,
            "OU" => DnType::OrganizationalUnitName,
            "L" => DnType::LocalityName,
            "ST" | "S" => DnType::StateOrProvinceName,
            "C" => DnType::CountryName,
            _ => return Err(bad()),
        };
        name.push(kind, value.trim());
    }
    Ok(name)
}

fn key_usage(name: &str) -> Option<KeyUsagePurpose> {
    Some(match name {
        "digitalSignature" => KeyUsagePurpose::DigitalSignature,
        "nonRepudiation" => KeyUsagePurpose::ContentCommitment,
        "keyEncipherment" => KeyUsagePurpose::KeyEncipherment,
        "dataEncipherment" => KeyUsagePurpose::DataEncipherment,
        "keyAgreement" => KeyUsagePurpose::KeyAgreement,
        "keyCertSign" => KeyUsagePurpose::KeyCertSign,
        "cRLSign" => KeyUsagePurpose::CrlSign,
        "encipherOnly" => KeyUsagePurpose::EncipherOnly,
        "decipherOnly" => KeyUsagePurpose::DecipherOnly,
        _ => return None,
    })
}

fn extended_usage(oid: &str) -> Result<ExtendedKeyUsagePurpose, IssueError> {
    Ok(match oid {
        "1.3.6.1.5.5.7.3.1" => ExtendedKeyUsagePurpose::ServerAuth,
        "1.3.6.1.5.5.7.3.2" => ExtendedKeyUsagePurpose::ClientAuth,
        _ => {
            let arcs: Option<Vec<u64>> = oid.split('.').map(|arc| arc.parse().ok()).collect();
            // The encoder needs the first two arcs to be ones that exist.
            let arcs = arcs.filter(|arcs| arcs.len() > 2 && arcs[0] <= 2 && arcs[1] < 40);
            ExtendedKeyUsagePurpose::Other(arcs.ok_or_else(|| IssueError::BadUsage(oid.to_owned()))?)
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use x509_parser::prelude::*;

    use super::*;

    fn policy(asked: &serde_json::Value) -> Policy {
        let ec = Policy::default_for("web").with(&json!({"key_props": {"kty": "EC"}})).unwrap();
        ec.with(asked).unwrap()
    }

    #[test]
    fn a_chained_certificate_comes_with_intermediate_and_root_in_order() {
        let authority = ChainAuthority::new().unwrap();
        let asked = json!({"issuer": {"name": EMULATOR}, "x509_props": {"sans": {"dns_names": ["a.example"]}}});
        let material = authority.issue(&policy(&asked), 1_700_000_000).unwrap();
        assert_eq!(material.chain.len(), 3);
        let parsed: Vec<_> = material.chain.iter().map(|der| X509Certificate::from_der(der).unwrap().1).collect();
        for pair in parsed.windows(2) {
            assert_eq!(pair[0].issuer(), pair[1].subject());
            pair[0].verify_signature(Some(pair[1].public_key())).unwrap();
        }
        assert_eq!(parsed[2].issuer(), parsed[2].subject());
    }

    #[test]
    fn a_self_signed_certificate_is_its_own_issuer_and_holds_as_long_as_asked() {
        let authority = ChainAuthority::new().unwrap();
        let asked = json!({"x509_props": {"subject": "CN=a, O=Acme", "validity_months": 24}});
        let facts = authority.issue(&policy(&asked), 1_700_000_000).unwrap().leaf_facts().unwrap();
        assert_eq!(facts.subject, "CN=a, O=Acme");
        assert_eq!((facts.nbf, facts.exp), (1_700_000_000, 1_700_000_000 + 730 * 86_400));
    }

    #[test]
    fn what_cannot_be_issued_is_named() {
        let authority = ChainAuthority::new().unwrap();
        for (asked, named) in [
            (json!({"issuer": {"name": "DigiCert"}}), "DigiCert"),
            (json!({"x509_props": {"subject": "nobody"}}), "nobody"),
            (json!({"x509_props": {"ekus": ["1.x"]}}), "1.x"),
            (json!({"x509_props": {"sans": {"ipAddresses": ["300.1.1.1"]}}}), "300.1.1.1"),
        ] {
            let error = authority.issue(&policy(&asked), 0).err().unwrap().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}

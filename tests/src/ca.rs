//! A certificate authority for tests and the quickstart: server certificates, and client certificates that carry a
//! Keyward role. The emulator serves with one of its own.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use time::{Duration, OffsetDateTime};

/// Short enough that nobody mistakes these for real certificates, long enough for a machine left running.
const LIFETIME: Duration = Duration::days(30);

/// Why a certificate could not be made or written.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The parameters make no certificate, for instance a name that is not a DNS name.
    #[error("cannot issue the certificate: {0}")]
    Issue(#[from] rcgen::Error),
    /// The directory cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Which file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The directory cannot be read.
    #[error("cannot read {path}: {source}; the directory is to hold tls.crt, tls.key and ca.crt")]
    Read {
        /// Which file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A self-signed authority; its key lives in memory only.
pub struct TestCa {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate, its key, and the authority that vouches for it, in PEM.
pub struct Issued {
    /// The certificate.
    pub cert_pem: String,
    /// Its private key, PKCS#8.
    pub key_pem: String,
    /// The authority's certificate.
    pub ca_pem: String,
}

impl TestCa {
    /// An authority named `common_name`.
    pub fn new(common_name: &str) -> Result<Self, CaError> {
        let mut params = params_for(common_name)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// The authority's own certificate: what clients are to trust.
    pub fn cert_pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server certificate for DNS names and IP addresses.
    pub fn issue_server(&self, names: &[&str]) -> Result<Issued, CaError> {
        let mut params = params_for(names.first().copied().unwrap_or("localhost"))?;
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        params.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(&params)
    }

    /// A client certificate for a role: URI `spiffe://TRUST_DOMAIN/keyward/ROLE`, client authentication only.
    pub fn issue_role(&self, role: &str, trust_domain: &str) -> Result<Issued, CaError> {
        let mut params = params_for(role)?;
        let uri = format!("spiffe://{trust_domain}/keyward/{role}");
        params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params)
    }

    /// The same for a role that serves too, under DNS names and `localhost`.
    pub fn issue_serving_role(&self, role: &str, trust_domain: &str, names: &[String]) -> Result<Issued, CaError> {
        let mut params = params_for(role)?;
        let names: Vec<String> = ["localhost".to_owned()].into_iter().chain(names.iter().cloned()).collect();
        params.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
        let uri = format!("spiffe://{trust_domain}/keyward/{role}");
        params.subject_alt_names.push(SanType::URI(uri.try_into()?));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(&params)
    }

    /// Any certificate: for the odd ones that denial tests need (expired, without a usage, a foreign name).
    pub fn issue(&self, params: &CertificateParams) -> Result<Issued, CaError> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued { cert_pem: certificate.pem(), key_pem: key.serialize_pem(), ca_pem: self.cert_pem() })
    }
}

impl Issued {
    /// Reads what [`Self::write_dir`] writes.
    pub fn read_dir(dir: &Path) -> Result<Self, CaError> {
        let read = |name| {
            let path = dir.join(name);
            fs::read_to_string(&path).map_err(|source| CaError::Read { path: path.display().to_string(), source })
        };
        Ok(Self { cert_pem: read("tls.crt")?, key_pem: read("tls.key")?, ca_pem: read("ca.crt")? })
    }

    /// Writes `tls.crt`, `tls.key` and `ca.crt`, the layout of a Kubernetes TLS Secret.
    pub fn write_dir(&self, dir: &Path) -> Result<(), CaError> {
        let failed = |path: &Path, source| CaError::Write { path: path.display().to_string(), source };
        fs::create_dir_all(dir).map_err(|source| failed(dir, source))?;
        for (name, text) in [("tls.crt", &self.cert_pem), ("tls.key", &self.key_pem), ("ca.crt", &self.ca_pem)] {
            let path = dir.join(name);
            fs::write(&path, text).map_err(|source| failed(&path, source))?;
        }
        Ok(())
    }
}

/// Parameters every certificate here starts from; callers of [`TestCa::issue`] may too.
pub fn params_for(common_name: &str) -> Result<CertificateParams, CaError> {
    let now = OffsetDateTime::now_utc();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    // An hour back, for machines whose clocks disagree.
    params.not_before = now - Duration::hours(1);
    params.not_after = now + LIFETIME;
    // 16 octets with the top bit clear: positive, and within the 20 octets that RFC 5280 allows.
    let mut serial = *uuid::Uuid::new_v4().as_bytes();
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::*;

    use super::*;

    fn parsed<T>(pem: &str, look: impl FnOnce(&X509Certificate<'_>) -> T) -> T {
        let der = ::pem::parse(pem).unwrap().into_contents();
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        look(&certificate)
    }

    #[test]
    fn a_role_certificate_names_the_role_and_may_only_act_as_a_client() {
        let issued = TestCa::new("test").unwrap().issue_role("operator", "example.org").unwrap();
        parsed(&issued.cert_pem, |certificate| {
            let usage = certificate.extended_key_usage().unwrap().unwrap().value;
            assert!(usage.client_auth && !usage.server_auth);
            let names = &certificate.subject_alternative_name().unwrap().unwrap().value.general_names;
            assert_eq!(names, &vec![GeneralName::URI("spiffe://example.org/keyward/operator")]);
        });
    }

    #[test]
    fn a_server_certificate_covers_names_and_addresses() {
        let issued = TestCa::new("test").unwrap().issue_server(&["localhost", "*.vault.test", "127.0.0.1"]).unwrap();
        parsed(&issued.cert_pem, |certificate| {
            let names = &certificate.subject_alternative_name().unwrap().unwrap().value.general_names;
            assert_eq!(names.len(), 3);
            assert!(names.contains(&GeneralName::DNSName("*.vault.test")));
            assert!(names.contains(&GeneralName::IPAddress(&[127, 0, 0, 1])));
        });
    }

    #[test]
    fn a_directory_gets_the_three_files_of_a_tls_secret() {
        let dir = tempfile::tempdir().unwrap();
        let issued = TestCa::new("test").unwrap().issue_server(&["localhost"]).unwrap();
        issued.write_dir(&dir.path().join("tls")).unwrap();
        for name in ["tls.crt", "tls.key", "ca.crt"] {
            assert!(fs::read_to_string(dir.path().join("tls").join(name)).unwrap().starts_with("-----BEGIN "));
        }
    }
}

//! Until when the certificates of a directory are valid. For metrics: nothing here is ever refused because it expired.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::config::certificates;
use super::dir::{Files, TlsError};

/// The last moments (`notAfter`) of what a server shows and trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Of the certificate that peers see.
    pub leaf: SystemTime,
    /// Of each certificate in `ca.crt`, in its order.
    pub authorities: Vec<SystemTime>,
}

impl Expiry {
    pub(super) fn of(directory: &Path, files: &Files) -> Result<Self, TlsError> {
        let read = |name: &str, pem: &[u8]| -> Result<Vec<SystemTime>, TlsError> {
            let dated = certificates(directory, name, pem)?.iter().map(not_after).collect::<Option<_>>();
            dated.ok_or_else(|| TlsError::Dates { path: directory.join(name) })
        };
        let chain = read("tls.crt", &files.cert)?;
        let [leaf, ..] = chain[..] else { return Err(TlsError::Dates { path: directory.join("tls.crt") }) };
        Ok(Self { leaf, authorities: read("ca.crt", &files.ca)? })
    }
}

fn not_after(certificate: &CertificateDer<'_>) -> Option<SystemTime> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let seconds = certificate.validity().not_after.timestamp();
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn ending(year: i32) -> String {
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(1960, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    fn seconds(time: SystemTime) -> i64 {
        let signed = |distance: Duration| i64::try_from(distance.as_secs()).unwrap();
        time.duration_since(UNIX_EPOCH).map_or_else(|before| -signed(before.duration()), signed)
    }

    fn of(cert: &str, ca: &str) -> Result<Expiry, TlsError> {
        Expiry::of(Path::new("/tls"), &Files { cert: cert.into(), key: Vec::new().into(), ca: ca.into() })
    }

    #[test]
    fn the_leaf_is_the_first_of_its_chain_and_every_authority_is_told() {
        let expiry = of(&(ending(2030) + &ending(2040)), &(ending(2031) + &ending(1965) + &ending(2090))).unwrap();
        assert_eq!(seconds(expiry.leaf), 1_893_456_000);
        let authorities: Vec<_> = expiry.authorities.into_iter().map(seconds).collect();
        assert_eq!(authorities, [1_924_992_000, -157_766_400, 3_786_912_000]);
    }

    #[test]
    fn a_certificate_that_does_not_parse_is_named_with_its_file() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let good = ending(2030);
        for (cert, ca, file) in [(broken, &*good, "/tls/tls.crt"), (&*good, broken, "/tls/ca.crt")] {
            let error = of(cert, ca).unwrap_err().to_string();
            assert!(error.starts_with(file), "{error}");
        }
    }
}

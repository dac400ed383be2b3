//! Making authorities and what they sign. It takes the time and random numbers, and does no I/O.

use std::time::{Duration, SystemTime};

use keyward_types::SecretBytes;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;
use zeroize::Zeroize as _;

use super::{
    certificate::{BACKDATE, Certificate},
    key,
    slots::Signer,
};

/// 16 of the 20 octets that RFC 5280 allows.
const SERIAL_OCTETS: usize = 16;

/// Why none is made.
#[derive(Debug, thiserror::Error)]
pub(super) enum IssueError {
    /// What was asked for makes no certificate.
    #[error("a certificate cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// No random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
    /// What was made is not understood here.
    #[error("a certificate that was just made is not understood")]
    Unread,
}

/// Whom a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// The role's word.
    pub(super) role: &'static str,
    /// Its URI.
    pub(super) uri: String,
    /// The names it serves under; a client alone has none.
    pub(super) dns: Vec<String>,
}

/// A certificate and its key, in PEM.
pub(super) struct Issued {
    pub(super) certificate: String,
    pub(super) key: SecretBytes,
}

/// A new authority: it signs what is no authority itself, and nothing else.
pub(super) fn authority(now: SystemTime, lifetime: Duration) -> Result<Signer, IssueError> {
    let serial = serial()?;
    let [first, second, third, fourth, ..] = serial;
    let name = u32::from_be_bytes([first, second, third, fourth]);
    let mut params = params(&format!("Keyward CA {name:08x}"), &serial, now, now + lifetime);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let (key, pem) = new_key()?;
    let made = params.self_signed(&*key)?;
    Ok(Signer { certificate: Certificate::read(made.der()).ok_or(IssueError::Unread)?, key: pem })
}

/// What `signer` says of `identity`. It never outlives its signer.
pub(super) fn leaf(
    signer: &Signer,
    identity: &Identity,
    now: SystemTime,
    lifetime: Duration,
) -> Result<Issued, IssueError> {
    let end = (now + lifetime).min(signer.certificate.not_after());
    let mut params = params(&format!("Keyward {}", identity.role), &serial()?, now, end);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    if !identity.dns.is_empty() {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    for name in &identity.dns {
        params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
    }
    params.subject_alt_names.push(SanType::URI(identity.uri.as_str().try_into()?));
    let signing = key::read(&signer.key).ok_or(IssueError::Unread)?;
    let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(signer.certificate.der()), &*signing)?;
    let (key, pem) = new_key()?;
    Ok(Issued { certificate: params.signed_by(&*key, &issuer)?.pem(), key: pem })
}

fn params(name: &str, serial: &[u8], now: SystemTime, end: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from_slice(serial));
    params.not_before = OffsetDateTime::from(now - BACKDATE);
    params.not_after = OffsetDateTime::from(end);
    params
}

fn new_key() -> Result<(key::Wiped, SecretBytes), IssueError> {
    let key = key::Wiped(KeyPair::generate()?);
    let mut text = key.serialize_pem();
    let pem = SecretBytes::from(text.as_str());
    text.zeroize();
    Ok((key, pem))
}

/// Positive, and never zero.
fn serial() -> Result<[u8; SERIAL_OCTETS], IssueError> {
    let mut serial = [0; SERIAL_OCTETS];
    getrandom::fill(&mut serial)?;
    serial[0] = serial[0] & 0x7f | 0x40;
    Ok(serial)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use x509_parser::prelude::{FromDer as _, X509Certificate};

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn at(days: u32) -> SystemTime {
        UNIX_EPOCH + 20_000 * DAY + days * DAY
    }

    fn broker() -> Identity {
        Identity {
            role: "broker",
            uri: "spiffe://example.org/keyward/broker".to_owned(),
            dns: vec!["keyward-broker.keyward.svc".to_owned(), "keyward-broker".to_owned()],
        }
    }

    fn read(issued: &Issued) -> Certificate {
        Certificate::read_all(issued.certificate.as_bytes()).unwrap().remove(0)
    }

    #[test]
    fn an_authority_signs_leaves_alone_and_every_one_has_a_name_of_its_own() {
        let signer = authority(at(0), 365 * DAY).unwrap();
        let other = authority(at(0), 365 * DAY).unwrap();
        let (_, parsed) = X509Certificate::from_der(signer.certificate.der()).unwrap();
        let constraints = parsed.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && constraints.value.ca && constraints.value.path_len_constraint == Some(0));
        assert!(parsed.key_usage().unwrap().unwrap().value.key_cert_sign());
        assert!(parsed.raw_serial().len() <= 20 && parsed.raw_serial()[0] < 0x80);
        let (_, second) = X509Certificate::from_der(other.certificate.der()).unwrap();
        assert!(parsed.subject() != second.subject() && parsed.raw_serial() != second.raw_serial());
        assert!(signer.certificate.is_authority());
    }

    #[test]
    fn a_leaf_says_who_it_is_and_is_its_signers_alone() {
        let (signer, other) = (authority(at(0), 365 * DAY).unwrap(), authority(at(0), 365 * DAY).unwrap());
        let issued = leaf(&signer, &broker(), at(0), 30 * DAY).unwrap();
        let certificate = read(&issued);
        assert!(signer.certificate.has_signed(&certificate) && !other.certificate.has_signed(&certificate));
        assert!(!certificate.is_authority() && key::belongs(&issued.key, &certificate));
        assert!(!key::belongs(&signer.key, &certificate));
        let usage = certificate.usage();
        assert!(usage.serves && usage.calls && usage.dns.len() == 2);
        assert!(usage.uris.iter().eq(["spiffe://example.org/keyward/broker"]));
        let client = Identity { dns: Vec::new(), ..broker() };
        let client = read(&leaf(&signer, &client, at(0), 30 * DAY).unwrap());
        assert!(client.usage().calls && !client.usage().serves && client.usage().dns.is_empty());
    }

    #[test]
    fn a_clock_an_hour_off_finds_it_valid_and_it_never_outlives_its_signer() {
        let signer = authority(at(0), 365 * DAY).unwrap();
        let certificate = read(&leaf(&signer, &broker(), at(0), 30 * DAY).unwrap());
        let hour = Duration::from_hours(1);
        for (now, holds) in [
            (at(0) - hour, true),
            (at(0) + hour, true),
            (at(0) - 3 * hour, false),
            (at(30) - hour, true),
            (at(30), false),
        ] {
            assert_eq!(certificate.holds(now), holds, "{now:?}");
        }
        assert!(signer.certificate.holds(at(0) - hour));
        let last = read(&leaf(&signer, &broker(), at(350), 30 * DAY).unwrap());
        assert_eq!(last.not_after(), signer.certificate.not_after());
    }

    #[test]
    fn it_is_renewed_at_about_half_of_its_life_and_always_at_the_same_moment() {
        let signer = authority(at(0), 365 * DAY).unwrap();
        let mut renewals: Vec<_> = (0..40)
            .map(|_| {
                let certificate = read(&leaf(&signer, &broker(), at(0), 30 * DAY).unwrap());
                assert_eq!(certificate.renewal(), certificate.clone().renewal());
                certificate.renewal()
            })
            .collect();
        assert!(renewals.iter().all(|renewal| (at(13)..at(17)).contains(renewal)));
        renewals.sort_unstable();
        renewals.dedup();
        assert!(renewals.len() > 10);
    }
}

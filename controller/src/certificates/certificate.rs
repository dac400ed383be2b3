//! A certificate, and what of it matters here. Pure.

use std::{
    collections::BTreeSet,
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer as _, X509Certificate},
};

/// How long before its making a certificate is valid: a clock that is an hour off finds it so, in either direction.
pub(super) const BACKDATE: Duration = Duration::from_hours(2);
/// The spread of renewals around half of a life, to either side: replicas and certificates do not all come at once.
const JITTER: f64 = 0.05;

/// One certificate. Two are the same when their bytes are.
#[derive(Clone)]
pub(crate) struct Certificate {
    der: Vec<u8>,
    public_key: Vec<u8>,
    serial: Vec<u8>,
    not_before: SystemTime,
    not_after: SystemTime,
    is_authority: bool,
    usage: Usage,
}

/// What it may be used for, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Its DNS names.
    pub(super) dns: BTreeSet<String>,
    /// Its URI names.
    pub(super) uris: BTreeSet<String>,
    /// Server authentication.
    pub(super) serves: bool,
    /// Client authentication.
    pub(super) calls: bool,
}

impl Certificate {
    /// From DER; `None` where it is no certificate.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (rest, parsed) = X509Certificate::from_der(der).ok()?;
        let usage = usage(&parsed)?;
        let authority = parsed.basic_constraints().ok()?.is_some_and(|constraints| constraints.value.ca);
        rest.is_empty().then(|| Self {
            der: der.to_vec(),
            public_key: parsed.public_key().subject_public_key.data.to_vec(),
            serial: parsed.raw_serial().to_vec(),
            not_before: time(parsed.validity().not_before.timestamp()),
            not_after: time(parsed.validity().not_after.timestamp()),
            is_authority: authority,
            usage,
        })
    }

    /// All in a text of PEM; `None` where one is none.
    pub(super) fn read_all(pem: &[u8]) -> Option<Vec<Self>> {
        CertificateDer::pem_slice_iter(pem).map(|der| Self::read(&der.ok()?)).collect()
    }

    /// The bytes.
    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its public key, without the algorithm.
    pub(super) fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Its last moment.
    pub(super) fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Whether it may sign others.
    pub(super) fn is_authority(&self) -> bool {
        self.is_authority
    }

    /// What it may be used for.
    pub(super) fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Older ones first; the same whichever slot they are in.
    pub(super) fn age(&self) -> impl Ord + '_ {
        (self.not_before, &self.der)
    }

    /// Whether it is valid.
    pub(super) fn holds(&self, now: SystemTime) -> bool {
        self.not_before <= now && now < self.not_after
    }

    /// When so much of its life is over, counted from when it was made here.
    pub(super) fn after(&self, part: f64) -> SystemTime {
        let made = self.not_before + BACKDATE;
        made + self.not_after.duration_since(made).unwrap_or_default().mul_f64(part)
    }

    /// When it is to be renewed: at half of its life or a little before or after, always the same for one certificate.
    pub(super) fn renewal(&self) -> SystemTime {
        let chance = f64::from(self.serial.last().copied().unwrap_or_default()) / f64::from(u8::MAX);
        self.after(0.5 + JITTER * (2.0 * chance - 1.0))
    }

    /// Whether this one's key has signed `other`.
    pub(super) fn has_signed(&self, other: &Self) -> bool {
        let (Ok((_, own)), Ok((_, other))) =
            (X509Certificate::from_der(&self.der), X509Certificate::from_der(&other.der))
        else {
            return false;
        };
        other.issuer() == own.subject() && other.verify_signature(Some(own.public_key())).is_ok()
    }
}

fn usage(parsed: &X509Certificate<'_>) -> Option<Usage> {
    let mut usage = Usage::default();
    if let Some(extended) = parsed.extended_key_usage().ok()? {
        (usage.serves, usage.calls) = (extended.value.server_auth, extended.value.client_auth);
    }
    for name in parsed.subject_alternative_name().ok()?.iter().flat_map(|names| &names.value.general_names) {
        match name {
            GeneralName::DNSName(name) => usage.dns.insert((*name).to_owned()),
            GeneralName::URI(uri) => usage.uris.insert((*uri).to_owned()),
            _ => false,
        };
    }
    Some(usage)
}

fn time(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    time.unwrap_or(UNIX_EPOCH)
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("serial", &format_args!("{:02x?}", self.serial)).finish_non_exhaustive()
    }
}

//! The authority's Secret, parsed and rendered: two slots, of which everybody trusts both. Pure.
//!
//! | key | what it is |
//! |---|---|
//! | `active.crt`, `active.key` | what signs |
//! | `next.crt`, `next.key` | what will: known everywhere first |
//! | `retired.crt` | what did: trusted until nobody shows a certificate of it any more. Its key is gone |
//!
//! An active slot without a key is what is left when the Secret was lost: certificates that are still in use, and that
//! nobody can sign for any more.

use std::collections::BTreeMap;

use keyward_types::SecretBytes;

use super::{certificate::Certificate, key};
use crate::authority::Bundle;

const ACTIVE: [&str; 2] = ["active.crt", "active.key"];
const NEXT: [&str; 2] = ["next.crt", "next.key"];
const RETIRED: &str = "retired.crt";

/// An authority that can sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signer {
    pub(super) certificate: Certificate,
    /// In PEM.
    pub(super) key: SecretBytes,
}

/// The slot in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Active {
    /// As it should be.
    Signs(Signer),
    /// The key was lost. Never empty.
    Orphaned(Vec<Certificate>),
}

/// The other slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Other {
    /// No rotation is under way.
    Empty,
    /// Prepared.
    Next(Signer),
    /// Not used any more. Never empty.
    Retired(Vec<Certificate>),
}

/// Both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slots {
    pub(super) active: Active,
    pub(super) other: Other,
}

/// Why the Secret's content cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SlotsError {
    /// A key is missing.
    #[error("it lacks {0}")]
    Lacks(&'static str),
    /// A certificate.
    #[error("{0} holds no certificate of an authority in PEM")]
    Certificate(&'static str),
    /// A private key.
    #[error("{key} is not the private key (ECDSA P-256, PKCS#8 in PEM) of {certificate}", certificate = .0[0], key = .0[1])]
    Pair([&'static str; 2]),
    /// Both of what can only be one.
    #[error("it holds both next.crt and retired.crt")]
    Both,
}

type Data = BTreeMap<String, SecretBytes>;

impl Slots {
    /// With one authority that signs from now on.
    pub(super) fn new(signer: Signer) -> Self {
        Self { active: Active::Signs(signer), other: Other::Empty }
    }

    /// From the Secret's data. Keys that are not known are somebody else's.
    pub(super) fn read(data: &Data) -> Result<Self, SlotsError> {
        let active = match data.get(ACTIVE[1]) {
            Some(_) => Active::Signs(signer(data, ACTIVE)?.ok_or(SlotsError::Lacks(ACTIVE[0]))?),
            None => Active::Orphaned(authorities(data, ACTIVE[0])?.ok_or(SlotsError::Lacks(ACTIVE[0]))?),
        };
        let (next, retired) = (signer(data, NEXT)?, authorities(data, RETIRED)?);
        Ok(match (active, next, retired) {
            (_, Some(_), Some(_)) => return Err(SlotsError::Both),
            (active, Some(next), None) => Self { active, other: Other::Next(next) },
            (active, None, None) => Self { active, other: Other::Empty },
            (active @ Active::Signs(_), None, Some(retired)) => Self { active, other: Other::Retired(retired) },
            // So that the other slot is free for one that can sign.
            (Active::Orphaned(mut lost), None, Some(retired)) => {
                lost.extend(retired);
                Self { active: Active::Orphaned(lost), other: Other::Empty }
            }
        })
    }

    /// As the Secret's data.
    pub(super) fn render(&self) -> BTreeMap<&'static str, SecretBytes> {
        let mut data = BTreeMap::new();
        let mut put = |[certificate, key]: [&'static str; 2], signer: &Signer| {
            data.insert(certificate, pem([&signer.certificate]));
            data.insert(key, signer.key.clone());
        };
        if let Active::Signs(signer) = &self.active {
            put(ACTIVE, signer);
        }
        if let Other::Next(signer) = &self.other {
            put(NEXT, signer);
        }
        if let Active::Orphaned(lost) = &self.active {
            data.insert(ACTIVE[0], pem(lost));
        }
        if let Other::Retired(retired) = &self.other {
            data.insert(RETIRED, pem(retired));
        }
        data
    }

    /// What everybody is to trust. It does not depend on which slot a certificate is in.
    pub(super) fn bundle(&self) -> Bundle {
        let mut all = self.active.certificates().to_vec();
        all.extend_from_slice(self.other.certificates());
        all.sort_by(|one, other| one.age().cmp(&other.age()));
        all.dedup();
        Bundle::of(all.iter().map(Certificate::der))
    }

    /// What signs now: nothing where the key was lost and no other is prepared.
    pub(super) fn signer(&self) -> Option<&Signer> {
        match (&self.active, &self.other) {
            (Active::Signs(signer), _) | (Active::Orphaned(_), Other::Next(signer)) => Some(signer),
            (Active::Orphaned(_), _) => None,
        }
    }

    /// Whether what `leaf` shows may stay in use: signed by what signs, or while nothing else can be done by what did.
    pub(super) fn vouches_for(&self, leaf: &Certificate) -> bool {
        let next = match (&self.active, &self.other) {
            (Active::Orphaned(_), Other::Next(next)) => Some(&next.certificate),
            _ => None,
        };
        self.active.certificates().iter().chain(next).any(|authority| authority.has_signed(leaf))
    }

    /// With one prepared for later.
    pub(super) fn prepared(self, next: Signer) -> Self {
        Self { other: Other::Next(next), ..self }
    }

    /// With the prepared one in use: the key of what was is forgotten.
    pub(super) fn activated(self) -> Self {
        match self.other {
            Other::Next(next) => Self { active: Active::Signs(next), other: Other::Retired(self.active.into()) },
            other => Self { other, ..self },
        }
    }

    /// With another one in use at once.
    pub(super) fn replaced(self, signer: Signer) -> Self {
        self.prepared(signer).activated()
    }

    /// Without what is not used any more.
    pub(super) fn forgotten(self) -> Self {
        Self { other: Other::Empty, ..self }
    }
}

impl Active {
    /// What is trusted for it.
    pub(super) fn certificates(&self) -> &[Certificate] {
        match self {
            Self::Signs(signer) => std::slice::from_ref(&signer.certificate),
            Self::Orphaned(lost) => lost,
        }
    }
}

impl From<Active> for Vec<Certificate> {
    fn from(active: Active) -> Self {
        match active {
            Active::Signs(signer) => vec![signer.certificate],
            Active::Orphaned(lost) => lost,
        }
    }
}

impl Other {
    /// What it is called.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Next(_) => "next",
            Self::Retired(_) => "retired",
        }
    }

    /// What is trusted for it.
    pub(super) fn certificates(&self) -> &[Certificate] {
        match self {
            Self::Empty => &[],
            Self::Next(signer) => std::slice::from_ref(&signer.certificate),
            Self::Retired(retired) => retired,
        }
    }
}

/// The certificates of authorities in one key; `None` where there is no such key.
fn authorities(data: &Data, name: &'static str) -> Result<Option<Vec<Certificate>>, SlotsError> {
    let Some(content) = data.get(name) else { return Ok(None) };
    let found = Certificate::read_all(content.expose())
        .filter(|found| !found.is_empty() && found.iter().all(Certificate::is_authority));
    found.map(Some).ok_or(SlotsError::Certificate(name))
}

fn signer(data: &Data, names: [&'static str; 2]) -> Result<Option<Signer>, SlotsError> {
    let (certificate, key) = match (authorities(data, names[0])?, data.get(names[1])) {
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(SlotsError::Lacks(names[1])),
        (None, Some(_)) => return Err(SlotsError::Lacks(names[0])),
        (Some(certificates), Some(key)) => match <[Certificate; 1]>::try_from(certificates) {
            Ok([certificate]) => (certificate, key.clone()),
            Err(_) => return Err(SlotsError::Certificate(names[0])),
        },
    };
    if key::belongs(&key, &certificate) { Ok(Some(Signer { certificate, key })) } else { Err(SlotsError::Pair(names)) }
}

fn pem<'a>(certificates: impl IntoIterator<Item = &'a Certificate>) -> SecretBytes {
    SecretBytes::from(Bundle::of(certificates.into_iter().map(Certificate::der)).as_str())
}

#[cfg(test)]
mod tests;

//! Which certificates servers have really shown, and who signed them: by their serial numbers, as callers see them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Whose certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Server {
    /// The broker's.
    Broker,
    /// The webhook's.
    Webhook,
}

/// How many another came after one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rotations {
    /// Of authorities.
    pub authorities: usize,
    /// Of servers' certificates.
    pub leaves: usize,
}

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Served(Mutex<BTreeMap<Server, Seen>>);

#[derive(Debug, Default)]
struct Seen {
    leaves: BTreeSet<Vec<u8>>,
    authorities: BTreeSet<Vec<u8>>,
}

impl Server {
    /// All.
    pub const ALL: [Self; 2] = [Self::Broker, Self::Webhook];

    /// In one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Webhook => "webhook",
        }
    }
}

impl Served {
    /// The server has shown `leaf` to somebody who trusts `bundle`, PEM.
    pub fn note(&self, server: Server, leaf: &[u8], bundle: &str) {
        let Ok((_, leaf)) = X509Certificate::from_der(leaf) else { return };
        let mut seen = self.seen();
        let seen = seen.entry(server).or_default();
        if seen.leaves.insert(leaf.raw_serial().to_vec())
            && let Some(signer) = signer(&leaf, bundle)
        {
            seen.authorities.insert(signer);
        }
    }

    /// Of one server.
    pub fn rotations(&self, server: Server) -> Rotations {
        self.seen().get(&server).map_or_else(Rotations::default, |seen| Rotations {
            authorities: seen.authorities.len().saturating_sub(1),
            leaves: seen.leaves.len().saturating_sub(1),
        })
    }

    /// Authorities that every server has been signed by, and certificates of all servers.
    pub fn total(&self) -> Rotations {
        let of_each = Server::ALL.map(|server| self.rotations(server));
        Rotations {
            authorities: of_each.iter().map(|rotations| rotations.authorities).min().unwrap_or_default(),
            leaves: of_each.iter().map(|rotations| rotations.leaves).sum(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<Server, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The serial number of who in `bundle` signed `leaf`.
fn signer(leaf: &X509Certificate<'_>, bundle: &str) -> Option<Vec<u8>> {
    CertificateDer::pem_slice_iter(bundle.as_bytes()).flatten().find_map(|der| {
        let (_, authority) = X509Certificate::from_der(&der).ok()?;
        leaf.verify_signature(Some(authority.public_key())).ok()?;
        Some(authority.raw_serial().to_vec())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::TestCa;

    #[test]
    fn certificates_are_told_apart_by_serial_and_their_signers_by_signature() {
        // Authorities of one name, as a controller's are.
        let [one, other] = [(); 2].map(|()| TestCa::new("Keyward CA").unwrap());
        let (bundle, served) = (one.cert_pem() + &other.cert_pem(), Served::default());
        let note = |server, ca: &TestCa, times: usize| {
            let leaf = pem::parse(ca.issue_server(&["localhost"]).unwrap().cert_pem).unwrap();
            (0..times).for_each(|_| served.note(server, leaf.contents(), &bundle));
        };
        note(Server::Broker, &one, 3);
        assert_eq!(served.rotations(Server::Broker), Rotations::default());
        note(Server::Broker, &one, 1);
        note(Server::Broker, &other, 2);
        assert_eq!(served.rotations(Server::Broker), Rotations { authorities: 1, leaves: 2 });
        assert_eq!(served.total(), Rotations { authorities: 0, leaves: 2 });
        for ca in [&one, &other] {
            note(Server::Webhook, ca, 1);
        }
        assert_eq!(served.total(), Rotations { authorities: 1, leaves: 3 });
    }
}

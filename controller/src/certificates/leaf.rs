//! The certificates that are issued: whose they are, and what was found of each. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use keyward_kit::tls::role::Role;
use keyward_types::SecretBytes;

use super::{
    certificate::{Certificate, Usage},
    issue::Identity,
    key,
};
use crate::plan::Observed;

/// Whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leaf {
    /// The controller's own: in memory, never in a Secret.
    Controller,
    /// The broker's.
    Broker,
    /// The webhook's.
    Webhook,
}

impl Leaf {
    /// The role it proves.
    pub(super) fn role(self) -> Role {
        match self {
            Self::Controller => Role::Controller,
            Self::Broker => Role::Broker,
            Self::Webhook => Role::Webhook,
        }
    }

    /// The role's word.
    pub fn as_str(self) -> &'static str {
        self.role().as_str()
    }
}

/// The type of Secret that holds one.
pub(super) const SECRET_TYPE: &str = "kubernetes.io/tls";
/// Its keys: certificate, private key, and whom its owner is to trust.
pub(super) const KEYS: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];

/// What was found of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It could not be read now.
    Unread,
    /// Nothing.
    Missing,
    /// A Secret of another type: somebody else's, and the API lets nobody change a type.
    Foreign {
        /// Its type.
        secret_type: String,
    },
    /// What cannot be used.
    Broken,
    /// One.
    Held(Held),
}

/// One that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) certificate: Certificate,
    /// `ca.crt`
    pub(super) authorities: String,
    /// Whether it says of its owner what it should, and its key is its own.
    pub(super) fits: bool,
}

impl Found {
    /// As the Secret has it.
    pub(super) fn of_secret(secret: Option<&Observed>, identity: &Identity) -> Self {
        match secret {
            None => Self::Missing,
            Some(Observed { secret_type: Some(secret_type), .. }) if secret_type != SECRET_TYPE => {
                Self::Foreign { secret_type: secret_type.clone() }
            }
            Some(secret) => Self::of_data(&secret.data, identity),
        }
    }

    /// Of the three files.
    pub(super) fn of_data(data: &BTreeMap<String, SecretBytes>, identity: &Identity) -> Self {
        let [certificate, key, authorities] = KEYS.map(|name| data.get(name));
        let chain = certificate.and_then(|pem| Certificate::read_all(pem.expose()));
        let (Some(certificate), Some(key)) = (chain.and_then(|chain| chain.into_iter().next()), key) else {
            return Self::Broken;
        };
        let fits = *certificate.usage() == identity.usage() && key::belongs(key, &certificate);
        let authorities = authorities.and_then(|pem| pem.expose_str()).unwrap_or_default().to_owned();
        Self::Held(Held { certificate, authorities, fits })
    }

    /// What is held, if anything.
    pub(super) fn held(&self) -> Option<&Held> {
        if let Self::Held(held) = self { Some(held) } else { None }
    }

    /// The authorities that its owner was told to trust and that are still good: what is left of a lost Secret.
    pub(super) fn trusted(&self, now: SystemTime) -> Vec<Certificate> {
        let Some(held) = self.held().filter(|held| held.certificate.holds(now)) else { return Vec::new() };
        let mut trusted = Certificate::read_all(held.authorities.as_bytes()).unwrap_or_default();
        trusted.retain(|authority| authority.is_authority() && authority.holds(now));
        // Those of somebody else's certificate are not ours to trust.
        let is_ours = trusted.iter().any(|authority| authority.has_signed(&held.certificate));
        if is_ours && held.fits { trusted } else { Vec::new() }
    }
}

impl Identity {
    /// What its certificate says.
    fn usage(&self) -> Usage {
        Usage {
            dns: self.dns.iter().cloned().collect(),
            uris: BTreeSet::from([self.uri.clone()]),
            serves: !self.dns.is_empty(),
            calls: true,
        }
    }
}

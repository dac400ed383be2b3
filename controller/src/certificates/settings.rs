//! What the command line asks for, checked as a whole. Pure.

use std::{path::PathBuf, time::Duration};

use super::{issue::Identity, leaf::Leaf};
use crate::args::{CertificateArgs, ServeArgs};

/// A second is the finest that certificates know.
const SHORTEST_LEAF: Duration = Duration::from_secs(4);
const SHORTEST_OVERLAP: Duration = Duration::from_secs(1);
/// A hundred years, which every format of a date can say.
const LONGEST: Duration = Duration::from_hours(24 * 36_525);
/// Of a DNS name, as certificates have it.
const LONGEST_NAME: usize = 253;

/// Where this controller's certificates come from.
#[derive(Clone, Debug)]
pub enum Provider {
    /// Somebody else puts them there.
    Directory(PathBuf),
    /// It issues them, and others too.
    Issuing(Settings),
}

/// What is issued, and where it is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(super) namespace: String,
    /// The authority's Secret.
    pub(super) authority: String,
    /// The controller's own is always among them.
    pub(super) leaves: Vec<Wanted>,
    /// The `MutatingWebhookConfiguration`.
    pub(super) hooks: Option<String>,
    pub(super) lifetimes: Lifetimes,
}

/// One certificate that there is to be.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) leaf: Leaf,
    pub(super) identity: Identity,
    /// Its Secret; `None` for what is in memory alone.
    pub(super) secret: Option<String>,
}

/// How long things last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetimes {
    pub(super) authority: Duration,
    pub(super) leaf: Duration,
    pub(super) overlap: Duration,
}

/// Why the flags make no sense together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Nobody provides certificates.
    #[error("give --tls-dir, the directory with the controller's certificate, or --issue-certificates")]
    NoProvider,
    /// Two do.
    #[error("--tls-dir and --issue-certificates exclude each other: who issues certificates holds its own in memory")]
    TwoProviders,
    /// For whom.
    #[error("--issue-certificates needs --broker-dns-name: the names by which the broker is called")]
    NoBrokerName,
    /// It would break whoever serves the webhook.
    #[error(
        "--webhook-configuration needs --webhook-dns-name: whose authority is written there must issue the certificate"
    )]
    NoWebhookName,
    /// No DNS name.
    #[error("{flag}: `{name}` is no DNS name in small letters")]
    Name {
        /// Which flag.
        flag: &'static str,
        /// What it says.
        name: String,
    },
    /// Two Secrets of one name.
    #[error("--ca-secret, --broker-secret and --webhook-secret must be three names")]
    SameSecret,
    /// Out of range.
    #[error("{flag} lasts from {least} to {most}")]
    Lifetime {
        /// Which flag.
        flag: &'static str,
        /// The shortest.
        least: String,
        /// The longest.
        most: String,
    },
    /// There would be no time for a rotation.
    #[error(
        "{flag} must be shorter than a quarter of --ca-lifetime: a rotation begins at half of it, takes two overlaps, \
         and nothing may outlive what signed it"
    )]
    Quarter {
        /// Which flag.
        flag: &'static str,
    },
}

impl Provider {
    /// As the flags say.
    pub fn of(args: &ServeArgs) -> Result<Self, SettingsError> {
        match (&args.tls_dir, args.certificates.issue_certificates) {
            (Some(directory), false) => Ok(Self::Directory(directory.clone())),
            (None, true) => Settings::of(&args.certificates, &args.lease_namespace).map(Self::Issuing),
            (None, false) => Err(SettingsError::NoProvider),
            (Some(_), true) => Err(SettingsError::TwoProviders),
        }
    }
}

impl Settings {
    fn of(args: &CertificateArgs, namespace: &str) -> Result<Self, SettingsError> {
        // Destructured, so that a flag that nobody looks at does not compile.
        let CertificateArgs {
            issue_certificates: _,
            ca_secret,
            broker_secret,
            broker_dns_name,
            webhook_secret,
            webhook_dns_name,
            webhook_configuration,
            trust_domain,
            ca_lifetime,
            leaf_lifetime,
            ca_overlap,
        } = args;
        if broker_dns_name.is_empty() {
            return Err(SettingsError::NoBrokerName);
        }
        if webhook_configuration.is_some() && webhook_dns_name.is_empty() {
            return Err(SettingsError::NoWebhookName);
        }
        if ca_secret == broker_secret || ca_secret == webhook_secret || broker_secret == webhook_secret {
            return Err(SettingsError::SameSecret);
        }
        named("--trust-domain", std::slice::from_ref(trust_domain))?;
        let wanted = |leaf: Leaf, dns: Vec<String>, secret: Option<&String>| Wanted {
            leaf,
            identity: Identity { role: leaf.as_str(), uri: leaf.role().uri(trust_domain), dns },
            secret: secret.cloned(),
        };
        let mut leaves = vec![
            wanted(Leaf::Controller, Vec::new(), None),
            wanted(Leaf::Broker, named("--broker-dns-name", broker_dns_name)?, Some(broker_secret)),
        ];
        if !webhook_dns_name.is_empty() {
            let names = named("--webhook-dns-name", webhook_dns_name)?;
            leaves.push(wanted(Leaf::Webhook, names, Some(webhook_secret)));
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            authority: ca_secret.clone(),
            leaves,
            hooks: webhook_configuration.clone(),
            lifetimes: Lifetimes::of(*ca_lifetime, *leaf_lifetime, *ca_overlap)?,
        })
    }

    /// What there is to be of this one.
    pub(super) fn wanted(&self, leaf: Leaf) -> Option<&Wanted> {
        self.leaves.iter().find(|wanted| wanted.leaf == leaf)
    }
}

impl Lifetimes {
    fn of(authority: Duration, leaf: Duration, overlap: Duration) -> Result<Self, SettingsError> {
        for (flag, duration, shortest) in [
            ("--ca-lifetime", authority, SHORTEST_LEAF * 4),
            ("--leaf-lifetime", leaf, SHORTEST_LEAF),
            ("--ca-overlap", overlap, SHORTEST_OVERLAP),
        ] {
            if !(shortest..=LONGEST).contains(&duration) {
                let [least, most] =
                    [shortest, LONGEST].map(|duration| humantime::format_duration(duration).to_string());
                return Err(SettingsError::Lifetime { flag, least, most });
            }
        }
        for (flag, duration) in [("--leaf-lifetime", leaf), ("--ca-overlap", overlap)] {
            if duration >= authority / 4 {
                return Err(SettingsError::Quarter { flag });
            }
        }
        Ok(Self { authority, leaf, overlap })
    }
}

fn named(flag: &'static str, names: &[String]) -> Result<Vec<String>, SettingsError> {
    let is_label = |label: &str| {
        let bytes = label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        bytes && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    let names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
    match names.iter().find(|name| name.len() > LONGEST_NAME || !name.split('.').all(is_label)) {
        Some(name) => Err(SettingsError::Name { flag, name: name.chars().take(LONGEST_NAME).collect() }),
        None => Ok(names),
    }
}

#[cfg(test)]
mod tests;

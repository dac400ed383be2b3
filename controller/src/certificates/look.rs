//! Reading everything that a decision is made from, and saying what is wrong with it.

use std::{collections::BTreeMap, time::Duration};

use keyward_types::SecretBytes;
use tokio::time::timeout;

use super::{
    Keeper,
    hooks::{self, Configuration},
    leaf::{Found, KEYS, Leaf},
    seen::{Authority, Dated, Hooks, Seen},
    settings::Wanted,
    state::Unusable,
};
use crate::{
    authority::Bundle,
    objects::ObjectError,
    plan::Observed,
    target::{Target, TargetKind},
};

/// For one request.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

/// What was found, and the objects it was found in.
pub(super) struct Look {
    pub(super) seen: Seen,
    pub(super) authority: Option<Observed>,
    pub(super) secrets: BTreeMap<Leaf, Observed>,
    pub(super) hooks: Option<Configuration>,
    pub(super) problems: Vec<Problem>,
}

/// What keeps something from being done, until somebody mends it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    /// The authority's Secret.
    #[error(
        "{secret} cannot be used: {why}. Nothing of it is overwritten and no certificate is issued; mend it, or delete it \
         to have a new authority made"
    )]
    Authority {
        /// Which.
        secret: Target,
        /// Why not.
        why: Unusable,
    },
    /// A Secret of a certificate's name.
    #[error(
        "{secret} is of type {secret_type} and not kubernetes.io/tls, so there is no certificate for the {owner}; delete it, \
         or have another name used (--{owner}-secret)"
    )]
    Foreign {
        /// Which.
        secret: Target,
        /// Its type.
        secret_type: String,
        /// Whose certificate it should hold.
        owner: &'static str,
    },
    /// The API server's answer.
    #[error("{0}; what depends on it waits")]
    Unread(#[from] ObjectError),
}

impl Problem {
    /// Which Secret an event is to be about, and its reason. Where the API server gives no answer the log alone tells.
    pub(super) fn event(&self) -> Option<(&Target, &'static str)> {
        match self {
            Self::Authority { secret, .. } => Some((secret, "AuthorityUnusable")),
            Self::Foreign { secret, .. } => Some((secret, "NotOwned")),
            Self::Unread(_) => None,
        }
    }

    /// For the counter.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Authority { .. } => "authority",
            Self::Foreign { .. } => "foreign",
            Self::Unread(_) => "read",
        }
    }
}

impl Look {
    /// What everybody is to trust, where that is known.
    pub(super) fn bundle(&self) -> Option<Bundle> {
        if let Authority::Held(dated) = &self.seen.authority { Some(dated.slots.bundle()) } else { None }
    }
}

impl Keeper {
    /// Looks at everything. Without the authority's Secret there is nothing to go by.
    pub(super) async fn look(&self) -> Result<Look, ObjectError> {
        let mut problems = Vec::new();
        let target = self.secret(&self.settings.authority);
        let secret = self.read(&target).await?;
        let authority = match secret.as_ref().map(Dated::read) {
            None => Authority::Missing { remembered: self.remembered.clone() },
            Some(Ok(dated)) => Authority::Held(dated),
            Some(Err(why)) => {
                problems.push(Problem::Authority { secret: target, why });
                Authority::Unusable
            }
        };
        let seen = Seen { authority, leaves: Vec::new(), hooks: Hooks::Absent, spread: true };
        let mut look = Look { seen, authority: secret, secrets: BTreeMap::new(), hooks: None, problems };
        for wanted in &self.settings.leaves {
            let found = self.leaf(wanted, &mut look).await;
            look.seen.leaves.push((wanted.leaf, found));
        }
        if let Some(bundle) = look.bundle() {
            look.seen.hooks = self.hooks(&bundle, &mut look).await;
            look.seen.spread = self.looks.as_ref().is_none_or(|looks| looks.all_hold(&bundle));
        }
        Ok(look)
    }

    async fn leaf(&self, wanted: &Wanted, look: &mut Look) -> Found {
        let Some(name) = &wanted.secret else { return self.own(wanted) };
        let target = self.secret(name);
        let secret = match self.read(&target).await {
            Ok(secret) => secret,
            Err(error) => {
                look.problems.push(error.into());
                return Found::Unread;
            }
        };
        let found = Found::of_secret(secret.as_ref(), &wanted.identity);
        if let Found::Foreign { secret_type } = &found {
            let (secret_type, owner) = (secret_type.clone(), wanted.leaf.as_str());
            look.problems.push(Problem::Foreign { secret: target, secret_type, owner });
        }
        look.secrets.extend(secret.map(|secret| (wanted.leaf, secret)));
        found
    }

    /// The controller's own, which is in memory.
    fn own(&self, wanted: &Wanted) -> Found {
        let Some(files) = self.outlets.own.borrow().clone() else { return Found::Missing };
        let contents = [files.certificate(), files.key(), files.authorities()];
        let data = KEYS.into_iter().zip(contents).map(|(name, content)| (name.to_owned(), SecretBytes::new(content)));
        Found::of_data(&data.collect(), &wanted.identity)
    }

    async fn hooks(&self, bundle: &Bundle, look: &mut Look) -> Hooks {
        let Some(name) = &self.settings.hooks else { return Hooks::Absent };
        match timeout(DEADLINE, hooks::read(&self.objects, name)).await.unwrap_or_else(|_| Err(late(name))) {
            Ok(None) => Hooks::Absent,
            Ok(Some(configuration)) => {
                let trusts = configuration.trusts(bundle);
                look.hooks = Some(configuration);
                Hooks::Held(trusts)
            }
            Err(error) => {
                look.problems.push(error.into());
                Hooks::Unread
            }
        }
    }

    async fn read(&self, target: &Target) -> Result<Option<Observed>, ObjectError> {
        timeout(DEADLINE, self.objects.get(target)).await.unwrap_or_else(|_| Err(late(target)))
    }

    /// One of ours.
    pub(super) fn secret(&self, name: &str) -> Target {
        Target { kind: TargetKind::Secret, namespace: self.settings.namespace.clone(), name: name.to_owned() }
    }
}

/// For a request that takes too long.
pub(super) fn late(about: impl std::fmt::Display) -> ObjectError {
    ObjectError::Unavailable { target: about.to_string(), message: format!("no answer within {DEADLINE:?}") }
}

//! Remembers configurations, and for a moment who may read them.
//!
//! A configuration is kept by registry, repository, manifest digest and architecture: such a one never changes. That a
//! namespace with its pull secrets may read it is proven to the registry anew every minute (five where the image is named
//! by digest), so one tenant's rights never answer another's question. Questions that are the same are one lookup; who
//! gives up waiting for it does not end it for the others, one of whom carries on. Failures are not remembered.

mod key;
mod proofs;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use moka::future::Cache;
use tokio::time::{Instant, timeout};

use self::{
    key::Key,
    proofs::{Proof, Proofs},
};
use super::{
    SharedConfig, Wanted,
    acr::{Acr, AcrIdentity},
    config::length,
    digest::Digest,
    error::{Cause, ImageError},
    figures::{Counts, Figures},
    lookup::{Lookup, Notes},
    reference::{Target, Version, parse_reference},
    registry::Registry,
    secrets::PullSecrets,
    settings::{ImagesConfig, ImagesError, authority},
    slots::Slots,
    transport::Transport,
};

/// What moka and the allocator take for an entry besides its text.
const OVERHEAD: usize = 600;

/// Configurations of images. Cloning shares it.
#[derive(Clone)]
pub struct Images(Arc<Shared>);

struct Shared {
    settings: ImagesConfig,
    plain: BTreeSet<String>,
    transport: Transport,
    secrets: Arc<dyn PullSecrets>,
    acr: Option<Acr>,
    proofs: Proofs,
    configs: Cache<Key, SharedConfig>,
    slots: Slots,
    counts: Counts,
}

impl Images {
    /// Reads the file of CA certificates; `identity` is tried on Azure's registries after the pull secrets.
    pub fn new(
        settings: ImagesConfig,
        secrets: Arc<dyn PullSecrets>,
        identity: Option<AcrIdentity>,
    ) -> Result<Self, ImagesError> {
        let weigh = |_: &Key, config: &SharedConfig| u32::try_from(length(config) + OVERHEAD).unwrap_or(u32::MAX);
        Ok(Self(Arc::new(Shared {
            plain: settings.plain_http.iter().map(|entry| authority(entry)).collect::<Result<_, _>>()?,
            transport: Transport::new(settings.extra_ca.as_deref())?,
            secrets,
            acr: identity.map(|identity| Acr::new(identity, &settings.acr_suffixes)).transpose()?,
            proofs: Proofs::new(settings.proof.max(settings.proof_by_digest)),
            configs: Cache::builder()
                .weigher(weigh)
                .max_capacity(settings.cache_bytes)
                .time_to_idle(settings.cache_idle)
                .build(),
            slots: Slots::default(),
            counts: Counts::default(),
            settings,
        })))
    }

    /// What the image starts, within [`ImagesConfig::deadline`].
    pub async fn config(&self, wanted: &Wanted) -> Result<SharedConfig, ImageError> {
        let shared = &*self.0;
        let answer = shared.answer(wanted).await;
        let (label, answer) = match answer {
            Ok((label, config)) => (label, Ok(config)),
            Err(error) => (error.cause().label(), Err(error)),
        };
        shared.counts.add(label);
        answer
    }

    /// What lookups came to so far.
    pub fn figures(&self) -> Figures {
        Figures {
            outcomes: self.0.counts.all(),
            entries: self.0.configs.entry_count(),
            bytes: self.0.configs.weighted_size(),
            proofs: self.0.proofs.count(),
        }
    }
}

impl Shared {
    /// The configuration, and the label of how it was come by.
    async fn answer(&self, wanted: &Wanted) -> Result<(&'static str, SharedConfig), ImageError> {
        let notes = Notes::default();
        let target = parse_reference(&wanted.image)
            .map_err(|error| ImageError::new(&wanted.image, None, error.into(), notes.read()))?;
        let failed = |cause| ImageError::new(&wanted.image, Some(&target.registry), cause, notes.read());
        let architecture = wanted.architecture.as_deref().unwrap_or(&self.settings.default_architecture);
        let question = Key::question(wanted, &target, architecture);
        let now = Instant::now();
        if let Some(config) = self.proofs.standing(&question, now).await {
            return Ok(("proven", config));
        }
        // Of this asker's own lookup; another's leaves it as it is.
        let (own, cached) = (AtomicBool::new(false), AtomicBool::new(false));
        let load = async {
            own.store(true, Ordering::Relaxed);
            self.look_up(wanted, &target, architecture, &notes, &cached).await.map_err(failed)
        };
        let after = self.settings.deadline;
        let proven = timeout(after, self.proofs.prove(question, now, Box::pin(load))).await;
        match proven {
            Ok(Ok(config)) if !own.into_inner() => Ok(("shared", config)),
            Ok(Ok(config)) => Ok((if cached.into_inner() { "cached" } else { "fetched" }, config)),
            Ok(Err(error)) => Err((*error).clone()),
            Err(_) => Err(failed(Cause::Deadline { after, step: notes.read().step })),
        }
    }

    async fn look_up(
        &self,
        wanted: &Wanted,
        target: &Target,
        architecture: &str,
        notes: &Notes,
        cached: &AtomicBool,
    ) -> Result<Proof, Cause> {
        let _slot = self.slots.take(&wanted.namespace).await;
        let registry = Registry::new(&self.transport, target, &self.plain)?;
        let lookup = Lookup { registry, target, wanted, secrets: &*self.secrets, acr: self.acr.as_ref(), notes };
        let right = lookup.right().await?;
        let key = |digest: &Digest| Key::config(target, digest, architecture);
        let known = match &right.digest {
            Some(digest) => self.configs.get(&key(digest)).await,
            None => None,
        };
        let config = if let Some(config) = known {
            cached.store(true, Ordering::Relaxed);
            config
        } else {
            let (digest, config) = lookup.fetch(&right, architecture).await?;
            let config = Arc::new(config);
            self.configs.insert(key(&digest), Arc::clone(&config)).await;
            config
        };
        let lasts = match target.version {
            Version::Tag(_) => self.settings.proof,
            Version::Digest(_) => self.settings.proof_by_digest,
        };
        Ok(Proof { config, until: Instant::now() + lasts })
    }
}

#[cfg(test)]
mod tests;

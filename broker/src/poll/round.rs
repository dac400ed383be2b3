//! One comparison of everything that is cached of one vault.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::{StreamExt as _, stream};
use keyward_types::ObjectKind;
use tokio::time::Instant;

use super::{
    Refreshed,
    listing::{Listing, list},
    mode::Choice,
    plan::{Action, Known, Seen, action},
};
use crate::{
    authz,
    budget::Class,
    cache::{Batch, CacheKey, Checked, Entry, Found, LoadError, ObjectCache, cost},
    policy::{Current, Snapshot, VaultId},
    readers::{OpenVault, Readers},
    vault::{Collection, ReadError},
};

/// Reads of one round under way at once: a round must not fill the places of a vault's gate.
const CONCURRENT: usize = 8;

/// What rounds need. Cloning shares it.
#[derive(Clone)]
pub(super) struct Rounds {
    pub(super) cache: ObjectCache,
    pub(super) snapshot: Arc<Current>,
    /// An object is read again at least this often, whatever listings say.
    pub(super) reread_after: Duration,
}

/// An object to compare. There may be very many: it holds no copies.
struct Watched {
    key: Arc<CacheKey>,
    state: State,
}

/// What is cached of it.
enum State {
    Held(Arc<Entry>),
    Refused(Box<LoadError>),
}

/// What a round came to so far.
#[derive(Default)]
pub(super) struct Tally {
    checked: u64,
    /// What is to change, by all of it at once.
    pub(super) found: Vec<(Arc<CacheKey>, Found)>,
    /// What could not be compared.
    unconfirmed: Vec<Arc<CacheKey>>,
    /// The last one, with its object.
    pub(super) error: Option<String>,
    /// The vault is to be left alone.
    over: bool,
}

impl Tally {
    fn fail(&mut self, what: &str, error: &LoadError) {
        self.over |= ends_round(error);
        self.error = Some(format!("{what}: {error}"));
    }

    fn skip(&mut self, objects: &[Watched]) {
        self.unconfirmed.extend(objects.iter().map(|one| Arc::clone(&one.key)));
    }
}

impl Rounds {
    /// Compares, and swaps in at the end whatever was found. An error ends the round; what was not compared stays as it was.
    pub(super) async fn run(&self, vault: &Arc<OpenVault>) -> Refreshed {
        let (began, began_at) = (Instant::now(), SystemTime::now());
        let watched = self.watched(vault.id()).await;
        let mut tally = Tally::default();
        let keys = watched.partition_point(|one| one.key.object.kind != ObjectKind::Key);
        let (rest, keys) = watched.split_at(keys);
        for (collection, objects) in [(Collection::Secrets, rest), (Collection::Keys, keys)] {
            // A vault that is down for one collection is down for the other.
            if objects.is_empty() {
                continue;
            }
            if tally.over {
                tally.skip(objects);
                continue;
            }
            match self.listing(vault, collection, objects).await {
                Ok(listing) => self.compare(vault, objects, listing.as_ref(), began, &mut tally).await,
                Err(error) => {
                    tally.skip(objects);
                    tally.fail("its listing", &error);
                }
            }
        }
        let Tally { checked, found, unconfirmed, error, .. } = tally;
        let changed = found.len() as u64;
        self.cache.swap(Batch { vault: Arc::clone(vault.id()), changes: found }).await;
        if unconfirmed.len() < watched.len() {
            self.cache.confirmed(vault.id(), began, &unconfirmed);
        }
        let mut progress = vault.progress();
        if error.is_none() {
            (progress.checked, progress.checked_at) = (Some(began), Some(began_at));
            progress.ended_well += 1;
            progress.failed_in_a_row = 0;
        } else {
            progress.fail();
        }
        progress.changes += changed;
        progress.last_error.clone_from(&error);
        Refreshed { vault: vault.id().origin.clone(), checked, changed, error }
    }

    /// Forgets what is cached of vaults that are not open any more. No round would: opened again, such a vault would be
    /// answered for by what was true long before.
    pub(super) async fn forget_closed(&self, readers: &Readers) {
        let entries = self.cache.entries().map(|(key, _)| key);
        let cached: Vec<_> = entries.chain(self.cache.refused().into_iter().map(|(key, _)| key)).collect();
        let open: HashSet<_> = readers.all().iter().map(|vault| Arc::clone(vault.id())).collect();
        for key in cached.iter().filter(|key| !open.contains(&key.vault)) {
            self.cache.forget(key).await;
        }
    }

    /// What is cached of the vault and still asked for; what nobody may ask for any more is forgotten.
    async fn watched(&self, id: &VaultId) -> Vec<Watched> {
        let wanted = wanted(&self.snapshot.load(), id);
        let (mut watched, mut unwanted) = (Vec::with_capacity(wanted.len()), Vec::new());
        let held = self.cache.entries().map(|(key, entry)| Watched { key, state: State::Held(entry) });
        // What is held and could not be read once is compared by what is held.
        let refused = self.cache.refused().into_iter().filter(|(key, _)| !self.cache.holds(key));
        let refused = refused.map(|(key, error)| Watched { key, state: State::Refused(Box::new(error)) });
        for one in held.chain(refused).filter(|one| *one.key.vault == *id) {
            if wanted.contains(&one.key) { watched.push(one) } else { unwanted.push(one.key) }
        }
        for key in unwanted {
            self.cache.forget(&key).await;
        }
        watched.sort_unstable_by_key(|one| one.key.object.kind == ObjectKind::Key);
        watched
    }

    fn known(&self, one: &Watched, now: Instant) -> Known {
        match &one.state {
            State::Held(entry) => {
                let overdue = entry.since_read(now) > self.reread_after.mul_f64(share(&one.key));
                Known::Held { stamp: entry.stamp, overdue }
            }
            State::Refused(error) => {
                Known::Refused(if let LoadError::Read(error) = error.as_ref() { Some(error.clone()) } else { None })
            }
        }
    }

    /// The listing, where it is cheaper than reading each object and the vault gives it.
    async fn listing<'a>(
        &self,
        vault: &Arc<OpenVault>,
        collection: Collection,
        objects: &'a [Watched],
    ) -> Result<Option<Listing<'a>>, LoadError> {
        let listed = objects.iter().filter(|one| one.key.object.version.is_none());
        let reads = listed.clone().map(|one| u64::from(cost(&one.key.object))).sum();
        let choice = vault.progress().learned(collection).choose(reads, Instant::now());
        vault.progress().last_choice = Some(choice);
        let Choice::List { max_pages } = choice else { return Ok(None) };
        let names = listed.map(|one| &one.key.object.name);
        let listing = tokio::select! {
            listing = list(vault, collection, names, max_pages) => listing,
            () = self.cache.moved(vault.id()) => return Err(LoadError::Interrupted),
        };
        match listing {
            Ok(listing) => {
                vault.progress().learned(collection).listed(listing.size(), Instant::now());
                Ok(Some(listing))
            }
            Err(ReadError::Forbidden(reason)) => {
                tracing::warn!(vault = %vault.id().origin, reason, "the vault refuses to be listed; objects are read one by one");
                vault.progress().learned(collection).refuse(Instant::now());
                vault.progress().last_choice = Some(Choice::Read);
                Ok(None)
            }
            Err(error) => {
                // A vault that is down may be listed again later. From this one the objects' own answers are left.
                if matches!(error, ReadError::Malformed(_)) {
                    vault.progress().learned(collection).refuse(Instant::now());
                }
                Err(error.into())
            }
        }
    }

    async fn compare(
        &self,
        vault: &Arc<OpenVault>,
        objects: &[Watched],
        listing: Option<&Listing<'_>>,
        began: Instant,
        tally: &mut Tally,
    ) {
        let mut reads = Vec::new();
        for one in objects {
            let pinned = one.key.object.version.is_some();
            let seen = listing.filter(|_| !pinned).map_or(Seen::Unlisted, |listing| listing.seen(&one.key.object.name));
            match (action(&self.known(one, began), seen), &one.state) {
                (Action::Read(class), _) => reads.push((Arc::clone(&one.key), class)),
                (Action::Confirm, State::Held(entry)) => {
                    entry.confirm(began);
                    tally.checked += 1;
                }
                (Action::Confirm | Action::Leave, _) => tally.checked += 1,
            }
        }
        self.read_again(vault, reads, tally).await;
    }

    /// Reads objects again, which changes nothing yet. Once the vault is to be left alone, the others are not compared.
    pub(super) async fn read_again(
        &self,
        vault: &Arc<OpenVault>,
        reads: Vec<(Arc<CacheKey>, Class)>,
        tally: &mut Tally,
    ) {
        let mut unanswered: HashSet<_> = reads.iter().map(|(key, _)| Arc::clone(key)).collect();
        let mut reads = stream::iter(reads)
            .map(|(key, class)| async move { (self.cache.check(&key, vault, class).await, key) })
            .buffer_unordered(CONCURRENT);
        while let Some((outcome, key)) = reads.next().await {
            match outcome {
                Ok(checked) => {
                    unanswered.remove(&key);
                    tally.checked += 1;
                    if let Checked::Changed(found) = checked {
                        tally.found.push((key, found));
                    }
                }
                Err(error) => {
                    tally.fail(&format!("{} `{}`", key.object.kind, key.object.name), &error);
                    if tally.over {
                        break;
                    }
                }
            }
        }
        tally.unconfirmed.extend(unanswered);
    }
}

/// Every key of the vault that a manifest asks for and a declaration admits.
fn wanted(snapshot: &Snapshot, id: &VaultId) -> HashSet<CacheKey> {
    let of_vault = snapshot.secrets().filter_map(|secret| {
        let grant = authz::grant(snapshot, secret).ok()?;
        (*grant.vault.id == *id).then(|| CacheKey::of(secret, &grant.vault))
    });
    of_vault.collect()
}

/// Whether the vault is to be left alone, so that asking it for more makes no sense.
fn ends_round(error: &LoadError) -> bool {
    matches!(
        error,
        LoadError::Read(ReadError::Paused { .. } | ReadError::Throttled { .. })
            | LoadError::Interrupted
            | LoadError::Busy
            | LoadError::Unsettled
            | LoadError::NoOwner
    )
}

/// From three quarters to the whole, by the key: objects read together are not all read again together.
fn share(key: &CacheKey) -> f64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut digest = DefaultHasher::new();
    key.hash(&mut digest);
    0.75 + f64::from(u32::try_from(digest.finish() & 0xffff).unwrap_or_default()) / f64::from(0xffff_u32) / 4.0
}

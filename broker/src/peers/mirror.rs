//! What another replica tells, done here too. One for each stream that is followed.
//!
//! Whoever owns a vault keeps its objects: it compares them with the vault, and only its word confirms the copies. So what it
//! does not hold, and is held here, is told to it; it answers with what it makes of that.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use keyward_proto::v1::{self, follow_response::Word, object_change::Found as FoundWord};
use tokio::time::Instant;

use super::{
    Peers,
    encoding::{self, Garbled, vault::to_vault},
    followers::Event,
    member::MemberId,
};
use crate::{
    cache::{Batch, CacheKey, Entry, Found, Held, Keeper, News, ObjectCache},
    policy::{Current, Snapshot, VaultId},
    readers::Readers,
    vault::origin::Origin,
};

/// Objects told to an owner at a time: less than a follower's queue holds.
const OFFERS: usize = 1_000;

/// Where copies are kept.
#[derive(Clone)]
pub struct Copies {
    /// What is held.
    pub cache: ObjectCache,
    /// What the manifests say.
    pub snapshot: Arc<Current>,
    /// Which vaults are open.
    pub readers: Arc<Readers>,
}

/// The copies of one other replica.
pub struct Mirror {
    peers: Arc<Peers>,
    copies: Copies,
    from: MemberId,
    keeper: Keeper,
    /// The vault that was looked up last: what is told of one comes together.
    known: Option<(v1::VaultKey, Arc<Snapshot>, Option<Arc<VaultId>>)>,
    gathered: HashMap<u64, Vec<(Arc<CacheKey>, Found)>>,
    held: HashMap<u64, (Vec<Arc<CacheKey>>, Held)>,
    /// What was told to the owner, and when: a comparison that began before was made without it.
    offered: HashMap<Arc<CacheKey>, Instant>,
}

/// What is to be done about a word beside what was done here.
#[derive(Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    Nothing,
    /// Everything that the other replica held has been told.
    Complete,
    /// It is to hear that this batch is held back.
    Prepared(u64),
}

impl Mirror {
    /// Of what `from` tells.
    pub fn new(peers: Arc<Peers>, copies: Copies, from: MemberId) -> Self {
        let keeper = peers.next_keeper();
        Self {
            peers,
            copies,
            from,
            keeper,
            known: None,
            gathered: HashMap::new(),
            held: HashMap::new(),
            offered: HashMap::new(),
        }
    }

    /// Does what was told, which was said at `said`. A beat is not for here.
    pub async fn hear(&mut self, word: Word, said: Instant) -> Result<Then, Garbled> {
        match word {
            Word::Beat(_) => {}
            Word::Held(held) => return self.told(held, said).await,
            Word::Won(won) => self.won(won, said).await?,
            Word::Prepare(piece) => return self.prepare(piece, said),
            Word::Commit(number) => self.commit(number).await,
            Word::Landed(landed) => self.landed(landed, said).await?,
            Word::Forgotten(key) => {
                if let Some(key) = self.key(key.vault, key.object)? {
                    self.forgotten(&key).await;
                }
            }
            Word::Confirmed(confirmed) => self.confirmed(confirmed, said)?,
        }
        Ok(Then::Nothing)
    }

    /// Who keeps what is told here.
    pub fn keeper(&self) -> Keeper {
        self.keeper
    }

    async fn told(&mut self, held: v1::HeldObjects, said: Instant) -> Result<Then, Garbled> {
        let last = held.last;
        self.take(held, said).await?;
        if !last {
            return Ok(Then::Nothing);
        }
        let standing = self.peers.board.standing();
        let origins: HashSet<Origin> = self.copies.cache.entries().map(|(key, _)| key.vault.origin.clone()).collect();
        for origin in origins {
            if standing.owner(&origin.to_string()) == self.from {
                self.offer(&origin).await;
            }
        }
        Ok(Then::Complete)
    }

    async fn won(&mut self, won: v1::WonVault, said: Instant) -> Result<(), Garbled> {
        let held = won.held.ok_or(Garbled("a vault was won without what is held of it"))?;
        let last = held.last;
        self.take(held, said).await?;
        if last {
            self.offer(&Origin::parse(&won.origin).map_err(|_| Garbled("an origin that is none"))?).await;
        }
        Ok(())
    }

    async fn take(&mut self, held: v1::HeldObjects, said: Instant) -> Result<(), Garbled> {
        let Some(key) = held.vault else { return Ok(()) };
        let Some(vault) = self.vault(key) else { return Ok(()) };
        for v1::HeldObject { object, entry } in held.objects {
            let object = Arc::new(encoding::to_object(object)?);
            let entry = encoding::to_entry(entry, self.keeper, said)?;
            let key = Arc::new(CacheKey { vault: Arc::clone(&vault), object });
            self.copy(key, Arc::new(entry), News::Same).await;
        }
        Ok(())
    }

    /// What is told by one who does not own the vault is taken where nothing as new is held, and leaves it to its keeper. What is
    /// told at second hand looks as if it had been read a little later: the same says nothing new.
    async fn copy(&mut self, key: Arc<CacheKey>, entry: Arc<Entry>, news: News) {
        let keeps = self.is_told_by_the_owner(&key);
        let held = if keeps { None } else { self.copies.cache.held(&key) };
        let is_new = |held: &Entry| !held.same_as(&entry) && entry.read_at().is_after(held.read_at());
        if held.is_none_or(|held| is_new(&held)) {
            self.offered.remove(&key);
            self.copies.cache.mirror(key, entry, news).await;
        }
    }

    /// The other replica does not hold it any more. What it owns, nobody else compares; what this replica owns, it holds whatever
    /// others make room for.
    async fn forgotten(&self, key: &CacheKey) {
        if self.is_told_by_the_owner(key) {
            self.copies.cache.forget_copy(key).await;
        } else if !self.owns(key) {
            self.copies.cache.forget_kept_by(self.keeper, key).await;
        }
    }

    fn is_told_by_the_owner(&self, key: &CacheKey) -> bool {
        self.peers.board.standing().owner(&key.vault.origin.to_string()) == self.from
    }

    fn owns(&self, key: &CacheKey) -> bool {
        self.peers.board.standing().owns(&key.vault.origin.to_string())
    }

    /// Tells the owner of `origin` what it has not told.
    async fn offer(&mut self, origin: &Origin) {
        let entries = self.copies.cache.entries();
        let untold = entries.filter(|(key, entry)| key.vault.origin == *origin && entry.keeper() != self.keeper);
        let untold: Vec<_> = untold.collect();
        for offers in untold.chunks(OFFERS) {
            self.peers.followers.until_room(offers.len()).await;
            for (key, entry) in offers {
                entry.keep_by(self.keeper);
                self.offered.insert(Arc::clone(key), Instant::now());
                self.peers.followers.tell(&Event::Landed(Arc::clone(key), Arc::clone(entry), News::Same));
            }
        }
    }

    async fn landed(&mut self, landed: v1::LandedObject, said: Instant) -> Result<(), Garbled> {
        let (news, is_answer) = (encoding::to_news(landed.news()), landed.answer);
        let told = landed.key.ok_or(Garbled("something landed without its key"))?;
        let Some(key) = self.key(told.vault, told.object)? else { return Ok(()) };
        // What somebody offers is for the vault's owner, who may have been refused it.
        if news == News::Same && !self.owns(&key) && !self.is_told_by_the_owner(&key) {
            return Ok(());
        }
        let entry = Arc::new(encoding::to_entry(landed.entry, self.keeper, said)?);
        self.copy(Arc::clone(&key), entry, news).await;
        if !is_answer {
            self.answer(&key, news);
        }
        Ok(())
    }

    /// Says what is held now of what another one has told, where it is this replica that keeps it.
    fn answer(&self, key: &Arc<CacheKey>, news: News) {
        if self.owns(key) {
            let event = match self.copies.cache.held(key) {
                Some(held) => Event::Kept(Arc::clone(key), held, news),
                None => Event::Forgotten(Arc::clone(key)),
            };
            self.peers.followers.tell(&event);
        }
    }

    fn prepare(&mut self, piece: v1::PeerBatch, said: Instant) -> Result<Then, Garbled> {
        let v1::PeerBatch { number, vault, changes, last } = piece;
        let vault = self.vault(vault.ok_or(Garbled("a batch without its vault"))?);
        let gathered = self.gathered.entry(number).or_default();
        if let Some(vault) = &vault {
            for change in changes {
                gathered.push(found(vault, change, self.keeper, said)?);
            }
        }
        if !last {
            return Ok(Then::Nothing);
        }
        let changes = self.gathered.remove(&number).unwrap_or_default();
        if let Some(vault) = vault {
            let keys = changes.iter().map(|(key, _)| Arc::clone(key)).collect();
            let held = self.copies.cache.hold(Batch { vault, changes });
            self.held.insert(number, (keys, held));
        }
        Ok(Then::Prepared(number))
    }

    async fn commit(&mut self, number: u64) {
        let Some((keys, held)) = self.held.remove(&number) else { return };
        held.commit().await;
        for key in keys {
            self.answer(&key, News::Changed);
        }
    }

    fn confirmed(&mut self, confirmed: v1::VaultConfirmed, said: Instant) -> Result<(), Garbled> {
        let key = confirmed.vault.ok_or(Garbled("a confirmation without its vault"))?;
        let Some(vault) = self.vault(key) else { return Ok(()) };
        let ago = Duration::from_millis(confirmed.ms_ago);
        let Some(began) = said.checked_sub(ago) else { return Ok(()) };
        let mut except = HashSet::new();
        for object in confirmed.except {
            let object = Arc::new(encoding::to_object(Some(object))?);
            except.insert(Arc::new(CacheKey { vault: Arc::clone(&vault), object }));
        }
        self.offered.retain(|key, at| key.vault != vault || *at >= began);
        except.extend(self.offered.keys().cloned());
        self.copies.cache.confirm_all(self.keeper, &vault, began, &except);
        if let Some(open) = self.copies.readers.get(&vault) {
            let mut progress = open.progress();
            (progress.checked, progress.checked_at) = (Some(began), SystemTime::now().checked_sub(began.elapsed()));
        }
        Ok(())
    }

    /// `None` where no declaration here names its vault: whoever asks for it later asks its owner.
    fn key(
        &mut self,
        vault: Option<v1::VaultKey>,
        object: Option<v1::ObjectName>,
    ) -> Result<Option<Arc<CacheKey>>, Garbled> {
        let object = Arc::new(encoding::to_object(object)?);
        let vault = self.vault(vault.ok_or(Garbled("an object without its vault"))?);
        Ok(vault.map(|vault| Arc::new(CacheKey { vault, object })))
    }

    /// The vault, opened: what is held of one that is closed is forgotten.
    fn vault(&mut self, key: v1::VaultKey) -> Option<Arc<VaultId>> {
        let snapshot = self.copies.snapshot.load_full();
        if let Some((known, as_of, vault)) = &self.known
            && *known == key
            && Arc::ptr_eq(as_of, &snapshot)
        {
            return vault.clone();
        }
        let declared = to_vault(&key, &snapshot);
        let open = declared.and_then(|vault| self.copies.readers.open(&vault).ok());
        let vault = open.map(|open| Arc::clone(open.id()));
        self.known = Some((key, snapshot, vault.clone()));
        vault
    }

    /// The stream has ended. What was held back goes forward, and the others are told of it: they may not have been.
    pub async fn end(self) {
        for (keys, held) in self.held.into_values() {
            held.commit().await;
            for key in keys {
                if let Some(entry) = self.copies.cache.held(&key) {
                    self.peers.followers.tell(&Event::Landed(key, entry, News::Changed));
                }
            }
        }
    }
}

fn found(
    vault: &Arc<VaultId>,
    change: v1::ObjectChange,
    keeper: Keeper,
    said: Instant,
) -> Result<(Arc<CacheKey>, Found), Garbled> {
    let object = Arc::new(encoding::to_object(change.object)?);
    let found = match change.found.ok_or(Garbled("a change without what was found"))? {
        FoundWord::Entry(entry) => Found::Entry(Arc::new(encoding::to_entry(Some(entry), keeper, said)?)),
        FoundWord::Refused(refused) => Found::Refused(encoding::to_refused(refused, keeper, said)?),
    };
    Ok((Arc::new(CacheKey { vault: Arc::clone(vault), object }), found))
}

#[cfg(test)]
mod tests;

//! What has become of what is held here, as messages to a follower. Large things go in pieces, each of which is made only when
//! it can be sent.

use std::{collections::HashSet, iter, sync::Arc, vec};

use keyward_proto::v1::{self, FollowResponse, follow_response::Word, object_change::Found as FoundWord};
use tokio::time::Instant;

use super::{
    encoding::{self, vault::of_vault},
    followers::Event,
};
use crate::{
    cache::{Batch, CacheKey, Entry, Found, News, ObjectCache},
    milliseconds::milliseconds,
    ticks::ticks,
    vault::origin::Origin,
};

/// A message is full beyond it. A single object is smaller than a message may be.
const PIECE: usize = 256 * 1024;

/// Messages that are still to be made.
pub type Pieces = Box<dyn Iterator<Item = FollowResponse> + Send>;

type Object = (Arc<CacheKey>, Arc<Entry>);

/// What follows from what one follower was told before.
#[derive(Debug, Default)]
pub struct Script {
    /// Batches that it holds back.
    prepared: HashSet<u64>,
}

impl Script {
    /// Everything that `cache` holds, in pieces.
    pub fn everything(cache: &ObjectCache) -> Pieces {
        Box::new(held(cache.entries().collect()).map(|held| message(Word::Held(held))))
    }

    /// What to say of `event`.
    pub fn of(&mut self, event: Event, cache: &ObjectCache) -> Pieces {
        match event {
            Event::Landed(key, entry, news) => once(Word::Landed(landed(&key, &entry, news))),
            Event::Kept(key, entry, news) => {
                once(Word::Landed(v1::LandedObject { answer: true, ..landed(&key, &entry, news) }))
            }
            Event::Forgotten(key) => once(Word::Forgotten(of_key(&key))),
            Event::Confirmed(vault, began, except) => once(Word::Confirmed(v1::VaultConfirmed {
                vault: Some(of_vault(&vault)),
                ms_ago: milliseconds(began.elapsed()),
                except: except.iter().map(|key| encoding::of_object(&key.object)).collect(),
            })),
            Event::Prepare(number, batch) => {
                self.prepared.insert(number);
                Box::new(changes(number, &batch))
            }
            Event::Commit(number, batch) => {
                let commit = once(Word::Commit(number));
                // Who came in between has not heard of it, and may have been told what was there before.
                if self.prepared.remove(&number) { commit } else { Box::new(changes(number, &batch).chain(commit)) }
            }
            Event::Won(origin) => won(cache, &origin),
        }
    }
}

fn landed(key: &CacheKey, entry: &Entry, news: News) -> v1::LandedObject {
    let entry = Some(encoding::of_entry(entry, Instant::now()));
    v1::LandedObject { key: Some(of_key(key)), entry, news: encoding::of_news(news).into(), answer: false }
}

fn won(cache: &ObjectCache, origin: &Origin) -> Pieces {
    let of_vault = cache.entries().filter(|(key, _)| key.vault.origin == *origin).collect();
    let origin = origin.to_string();
    Box::new(
        held(of_vault).map(move |held| message(Word::Won(v1::WonVault { origin: origin.clone(), held: Some(held) }))),
    )
}

fn held(mut objects: Vec<Object>) -> impl Iterator<Item = v1::HeldObjects> + Send {
    objects.sort_unstable_by(|(one, _), (other, _)| one.vault.cmp(&other.vault));
    let mut left = objects.into_iter().peekable();
    let mut over = false;
    iter::from_fn(move || {
        if std::mem::replace(&mut over, left.peek().is_none()) {
            return None;
        }
        let vault = left.peek().map(|(key, _)| Arc::clone(&key.vault));
        let now = Instant::now();
        let (mut objects, mut bytes) = (Vec::new(), 0);
        while bytes < PIECE
            && let Some((key, entry)) = left.next_if(|(key, _)| Some(&key.vault) == vault.as_ref())
        {
            bytes += entry.bytes();
            let (object, entry) = (Some(encoding::of_object(&key.object)), Some(encoding::of_entry(&entry, now)));
            objects.push(v1::HeldObject { object, entry });
        }
        over = left.peek().is_none();
        Some(v1::HeldObjects { vault: vault.as_deref().map(of_vault), objects, last: over })
    })
}

fn changes(number: u64, batch: &Arc<Batch>) -> impl Iterator<Item = FollowResponse> + Send + use<> {
    let vault = of_vault(&batch.vault);
    let mut left: vec::IntoIter<(Arc<CacheKey>, Found)> = batch.changes.clone().into_iter();
    let mut over = false;
    iter::from_fn(move || {
        if over {
            return None;
        }
        let (mut changes, mut bytes) = (Vec::new(), 0);
        while bytes < PIECE
            && let Some((key, found)) = left.next()
        {
            let found = match found {
                Found::Entry(entry) => {
                    bytes += entry.bytes();
                    FoundWord::Entry(encoding::of_entry(&entry, Instant::now()))
                }
                Found::Refused(asked) => FoundWord::Refused(encoding::of_refused(asked, Instant::now())),
            };
            changes.push(v1::ObjectChange { object: Some(encoding::of_object(&key.object)), found: Some(found) });
        }
        over = left.len() == 0;
        Some(message(Word::Prepare(v1::PeerBatch { number, vault: Some(vault.clone()), changes, last: over })))
    })
}

fn once(word: Word) -> Pieces {
    Box::new(iter::once(message(word)))
}

/// `word`, said now.
pub fn message(word: Word) -> FollowResponse {
    FollowResponse { word: Some(word), said_at: ticks(Instant::now()) }
}

fn of_key(key: &CacheKey) -> v1::ObjectKey {
    v1::ObjectKey { vault: Some(of_vault(&key.vault)), object: Some(encoding::of_object(&key.object)) }
}

//! One read of one object: where its vault is owned, or else through the vault's gate.

use std::sync::Arc;

use keyward_types::ObjectKind;
use tokio::time::Instant;

use super::{
    CacheKey, Entry, LoadError, ObjectCache, Others, ReadAt, Served,
    flights::Passengers,
    landing::{Lands, Outcome},
};
use crate::{
    budget::Class,
    object::{ObjectId, RawBody, RawObject},
    readers::OpenVault,
    render,
    vault::ReadError,
};

/// What the vault answered, and when it was asked.
pub(super) type Answer<T, E> = (Instant, Result<T, E>);

/// An object that is to be read, and those for whom.
struct Wanted<'a, T> {
    key: &'a CacheKey,
    waiting: &'a Passengers<T>,
    others: &'a dyn Others,
}

/// Why an object need not be read here after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moot {
    /// Nobody waits for it any more.
    Unwanted,
    /// Another replica reads it.
    Elsewhere,
}

impl<T> Wanted<'_, T> {
    /// Returns once it need not be read here.
    async fn moot(&self) -> Moot {
        tokio::select! {
            () = self.waiting.gone() => Moot::Unwanted,
            () = self.others.elsewhere(&self.key.vault, Some(self.key)) => Moot::Elsewhere,
        }
    }
}

impl ObjectCache {
    /// The read of one key that somebody waits for: where its vault is owned, or else by the vault itself.
    pub(super) fn flight(
        &self,
        key: &CacheKey,
        vault: &Arc<OpenVault>,
        waiting: Passengers<Outcome>,
    ) -> impl Future<Output = Option<Outcome>> + Send + 'static {
        let (cache, key, vault) = (self.clone(), Arc::new(key.clone()), Arc::clone(vault));
        async move {
            let asked = Instant::now();
            // A swap may have brought it, or taken it away, since its caller looked. Read now, it would change alone, without the
            // rest of its batch.
            if let Some(Served { entry, stale: None }) = cache.peek(&key, &vault.settings()).await {
                return Some(Outcome { began: asked, answer: Ok(entry), landed: true });
            }
            if let Some(error) = cache.refusal(&key).await {
                return Some(Outcome { began: asked, answer: Err(error), landed: true });
            }
            loop {
                let elsewhere = tokio::select! {
                    answer = cache.others.read(&key) => answer,
                    () = waiting.gone() => return None,
                };
                if let Some(answer) = elsewhere {
                    return Some(cache.settle_told(&key, (asked, answer)).await);
                }
                match read(&vault, Class::PodStart, &cache.wanted(&key, &waiting)).await {
                    Ok(answer) => {
                        return Some(cache.settle_read(&key, answer, &vault.settings(), Lands::AtOnce).await);
                    }
                    Err(Moot::Unwanted) => return None,
                    Err(Moot::Elsewhere) => {}
                }
            }
        }
    }

    fn wanted<'a>(&'a self, key: &'a CacheKey, waiting: &'a Passengers<Outcome>) -> Wanted<'a, Outcome> {
        Wanted { key, waiting, others: &*self.others }
    }

    /// The read of one key by which a poll compares. Where the vault has gone to another replica, that one compares.
    pub(super) fn checking_flight(
        &self,
        key: &Arc<CacheKey>,
        vault: &Arc<OpenVault>,
        class: Class,
        waiting: Passengers<Outcome>,
    ) -> impl Future<Output = Option<Outcome>> + Send + 'static {
        let (cache, key, vault) = (self.clone(), Arc::clone(key), Arc::clone(vault));
        async move {
            let answer = read(&vault, class, &cache.wanted(&key, &waiting)).await.ok()?;
            Some(cache.settle_read(&key, answer, &vault.settings(), Lands::WithItsBatch).await)
        }
    }
}

/// Reads the object. A refusal of the identity counts once it is confirmed with a new token.
async fn read<T>(vault: &OpenVault, class: Class, wanted: &Wanted<'_, T>) -> Result<Answer<Entry, LoadError>, Moot> {
    let (mut began, mut answer) = read_once(vault, class, wanted).await?;
    if let Err(ReadError::Forbidden(reason)) = &answer {
        if vault.renew().await {
            (began, answer) = read_once(vault, class, wanted).await?;
        } else {
            let told = format!("the vault refuses the one in use ({reason}), and no new one is to be had");
            answer = Err(ReadError::NoToken(told));
        }
    }
    Ok(match answer {
        Ok(raw) => (began, parsed(raw, began).await),
        Err(error) => (began, Err(error.into())),
    })
}

async fn parsed(raw: RawObject, began: Instant) -> Result<Entry, LoadError> {
    let RawObject { version, attributes, stamp, body } = raw;
    let object = match body {
        // A PFX may ask for a million rounds of key derivation: not on a thread that others wait for.
        body @ RawBody::Certificate { .. } => {
            tokio::task::spawn_blocking(move || render::parse(&body)).await.map_err(|_| LoadError::Interrupted)?
        }
        body => render::parse(&body),
    }?;
    Ok(Entry::new(version, attributes, stamp, object, ReadAt::here(began)))
}

/// One call, and when it began: after whatever wait for the budget.
async fn read_once<T>(
    vault: &OpenVault,
    class: Class,
    wanted: &Wanted<'_, T>,
) -> Result<Answer<RawObject, ReadError>, Moot> {
    let object = &wanted.key.object;
    // A call that was sent is not taken back. One that still waits for the budget is.
    let permit = tokio::select! {
        permit = vault.gate().admit(class, cost(object)) => permit,
        moot = wanted.moot() => return Err(moot),
    };
    let permit = match permit {
        Ok(permit) => permit,
        Err(closed) => return Ok((Instant::now(), Err(closed.into()))),
    };
    let began = Instant::now();
    let answer = vault.reader().read(object).await;
    permit.settle(&answer);
    Ok((began, answer))
}

/// Requests that one read takes.
pub(crate) fn cost(object: &ObjectId) -> u32 {
    // A certificate is read together with its twin among the secrets.
    if object.kind == ObjectKind::Certificate { 2 } else { 1 }
}

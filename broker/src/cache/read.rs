//! One read of one object through its vault's gate.

use keyward_types::ObjectKind;
use tokio::time::Instant;

use super::{CacheKey, Entry, LoadError, Others, flights::Passengers};
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
pub(super) struct Wanted<'a, T> {
    pub(super) key: &'a CacheKey,
    pub(super) waiting: &'a Passengers<T>,
    pub(super) others: &'a dyn Others,
}

/// Why an object need not be read here after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moot {
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

/// Reads the object. A refusal of the identity counts once it is confirmed with a new token.
pub(super) async fn read<T>(
    vault: &OpenVault,
    class: Class,
    wanted: &Wanted<'_, T>,
) -> Result<Answer<Entry, LoadError>, Moot> {
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
    Ok(Entry::new(version, attributes, stamp, object, began))
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

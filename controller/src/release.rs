//! Giving up what an `AzureKeyVaultSecret` no longer asks for, or can no longer ask for because it is gone.

mod decision;

use crate::{
    fields::manager_of,
    objects::{ObjectError, Objects},
    plan::Observed,
    recreate::recreate,
    target::Target,
};
use decision::Decision;

/// The `AzureKeyVaultSecret` is there and asks for another object: its part of `target` goes. The whole object goes with
/// it where nobody else has a part in it.
pub async fn unasked(objects: &Objects, target: &Target, uid: &str) -> Result<(), ObjectError> {
    let Some(observed) = objects.get(target).await? else { return Ok(()) };
    carry_out(objects, target, uid, &observed, decision::unasked(&observed, uid)).await
}

/// The `AzureKeyVaultSecret` is gone: its part of an object that others share goes. What is its alone is left to the
/// garbage collector.
pub async fn vanished(
    objects: &Objects,
    target: &Target,
    uid: &str,
    exists: &(dyn Fn(&str) -> bool + Sync),
) -> Result<(), ObjectError> {
    let Some(observed) = objects.get(target).await? else { return Ok(()) };
    carry_out(objects, target, uid, &observed, decision::vanished(&observed, uid, exists)).await
}

async fn carry_out(
    objects: &Objects,
    target: &Target,
    uid: &str,
    observed: &Observed,
    decision: Decision,
) -> Result<(), ObjectError> {
    match decision {
        Decision::Nothing => Ok(()),
        Decision::Delete => {
            tracing::info!(%target, uid, "deleted: nothing asks for it any more");
            objects.delete(target, &observed.uid, &observed.resource_version).await
        }
        Decision::GiveUp { secret_type } => {
            let given_up =
                objects.give_up(target, &observed.uid, &manager_of(uid), secret_type.as_deref()).await.map(drop);
            let given_up = match given_up {
                // A typed Secret must have its keys: without them it is another object.
                Err(ObjectError::Refused { code: 422, .. }) if decision::is_all_ours(observed) => {
                    recreate(objects, target, observed, uid, None).await
                }
                given_up => given_up,
            };
            given_up.inspect(|()| tracing::info!(%target, uid, "keys removed: nothing asks for them any more"))
        }
    }
}

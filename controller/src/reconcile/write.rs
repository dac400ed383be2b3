//! One object, until it is as it should be.

use super::{Context, LookError};
use crate::{
    akvs::Akvs,
    desired::Desired,
    fields::manager_of,
    manifest::Manifest,
    objects::ObjectError,
    own,
    plan::{Me, Plan, Refusal, plan},
    recreate::recreate,
    release,
};

/// Looks at the object again so often when somebody else writes to it at the same time.
const ATTEMPTS: usize = 5;

/// Has the object as `desired`, and returns its revision.
pub(super) async fn write(akvs: &Akvs, desired: &Desired, context: &Context) -> Result<String, LookError> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        match attempt(akvs, desired, context).await {
            Ok(Some(resource_version)) => return Ok(resource_version),
            Ok(None) => {}
            Err(LookError::Object(error @ ObjectError::Conflict { .. })) => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    let target = desired.target.to_string();
    let message = "somebody else writes to it again and again".to_owned();
    Err(last.unwrap_or(ObjectError::Conflict { target, message }).into())
}

/// One look and what follows from it; `None` where another look is needed.
async fn attempt(akvs: &Akvs, desired: &Desired, context: &Context) -> Result<Option<String>, LookError> {
    let (objects, target, uid) = (&context.objects, &desired.target, akvs.uid());
    let observed = objects.get(target).await?;
    let me = Me { uid, created: akvs.created(), adopts: akvs.adopts() };
    let plan = plan(&me, desired, observed.as_ref(), &|uid| context.peer(uid));
    // What was made anew under the same name is another one: nothing is written on behalf of one that is gone.
    if !context.is_current(akvs) {
        return Err(LookError::Replaced);
    }
    match (plan, observed) {
        (Plan::Keep, observed) => Ok(observed.map(|observed| observed.resource_version)),
        (Plan::Create, _) => create(akvs, desired, context).await,
        (Plan::Apply { force, resource_version, evict }, _) => {
            let body = Manifest::applied(akvs, desired, Some(&resource_version));
            let written = own::apply(objects, target, uid, force, &body).await?;
            for gone in &evict {
                release::vanished(objects, target, gone, &|uid| context.peer(uid).is_some()).await?;
            }
            Ok(Some(written.resource_version).filter(|_| evict.is_empty()))
        }
        (Plan::Recreate, Some(observed)) => {
            recreate(objects, target, &observed, uid, Some((akvs, desired))).await.or_else(somebody_was_faster)?;
            Ok(None)
        }
        (Plan::Recreate, None) => Ok(None),
        (Plan::Wait, _) => {
            let message = "it is being deleted, and something holds it back (its finalizers)".to_owned();
            Err(ObjectError::Unavailable { target: target.to_string(), message }.into())
        }
        (Plan::Refuse(refusal), _) => {
            if let Refusal::Key { give_up: true, .. } = refusal {
                release::unasked(objects, target, uid).await?;
            }
            Err(refusal.into())
        }
    }
}

/// It was not there a moment ago. If somebody made it since, what was added is taken back, and it is looked at again.
async fn create(akvs: &Akvs, desired: &Desired, context: &Context) -> Result<Option<String>, LookError> {
    let (objects, target, manager) = (&context.objects, &desired.target, manager_of(akvs.uid()));
    let written = match objects.apply(target, &manager, false, &Manifest::applied(akvs, desired, None)).await {
        Ok(written) => written,
        Err(error) => return somebody_was_faster(error).map(|()| None).map_err(Into::into),
    };
    if !written.is_shared(&manager) || akvs.adopts() {
        return Ok(Some(written.resource_version));
    }
    if !written.is_shared_with_ours(&manager) {
        objects.give_up(target, &written.uid, &manager, desired.secret_type.as_deref()).await?;
    }
    Ok(None)
}

/// Whoever else made it in between gave it another type, most likely: it is looked at again.
fn somebody_was_faster(error: ObjectError) -> Result<(), ObjectError> {
    match error {
        ObjectError::Conflict { .. } => Ok(()),
        ObjectError::Refused { code: 422, message, .. }
            if message.contains("type") && message.contains("immutable") =>
        {
            Ok(())
        }
        error => Err(error),
    }
}

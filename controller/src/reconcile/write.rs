//! One object, until it is as it should be.

use super::{Context, LookError};
use crate::{
    akvs::Akvs,
    desired::{Apply, Desired},
    fields::manager_of,
    objects::{ObjectError, Written},
    plan::{Me, Observed, Plan, Refusal, plan},
    release,
};

/// Looks at the object again so often when somebody else writes to it at the same time.
const ATTEMPTS: usize = 4;

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
    let (objects, target) = (&context.objects, &desired.target);
    let observed = objects.get(target).await?;
    let me = Me { uid: akvs.uid(), created: akvs.created(), adopts: akvs.adopts() };
    let plan = plan(&me, desired, observed.as_ref(), &|uid| context.peer(uid));
    // What was made anew under the same name is another one: nothing is written on behalf of one that is gone.
    if !context.is_current(akvs) {
        return Err(LookError::Replaced);
    }
    match plan {
        Plan::Keep => Ok(observed.map(|observed| observed.resource_version)),
        Plan::Create => create(akvs, desired, context).await,
        Plan::Apply { force, resource_version, remove } => {
            let body = Apply::new(akvs, desired, Some(&resource_version));
            let written = objects.apply(target, &manager_of(akvs.uid()), force, &body).await?;
            context.metrics.wrote(target.kind, "apply");
            if remove.is_empty() {
                Ok(Some(written.resource_version))
            } else {
                drop_keys(desired, context, &written, &remove).await
            }
        }
        Plan::Recreate { uid, resource_version, labels, annotations } => {
            objects.delete(target, &uid, &resource_version).await?;
            context.metrics.wrote(target.kind, "delete");
            let body = Apply::new(akvs, desired, None);
            let mut written = objects.apply(target, &manager_of(akvs.uid()), false, &body).await?;
            context.metrics.wrote(target.kind, "apply");
            if !(labels.is_empty() && annotations.is_empty()) {
                let metadata = serde_json::json!({"labels": labels, "annotations": annotations});
                written = objects.merge(target, &serde_json::json!({"metadata": metadata})).await?;
            }
            Ok(Some(written.resource_version))
        }
        Plan::Evict { uid } => {
            evict(desired, context, &uid, observed.as_ref()).await?;
            Ok(None)
        }
        Plan::Wait => {
            let message = "it is being deleted, and something holds it back (its finalizers)".to_owned();
            Err(ObjectError::Unavailable { target: target.to_string(), message }.into())
        }
        Plan::Refuse(refusal) => {
            if let Refusal::Key { give_up: true, .. } = refusal {
                release::unasked(objects, target, akvs.uid()).await?;
            }
            Err(refusal.into())
        }
    }
}

/// It was not there a moment ago. If somebody made it since, what was added is taken back, and it is looked at again.
async fn create(akvs: &Akvs, desired: &Desired, context: &Context) -> Result<Option<String>, LookError> {
    let manager = manager_of(akvs.uid());
    let written = context.objects.apply(&desired.target, &manager, false, &Apply::new(akvs, desired, None)).await?;
    context.metrics.wrote(desired.target.kind, "apply");
    if !written.is_shared(&manager) || akvs.adopts() {
        return Ok(Some(written.resource_version));
    }
    if !written.is_shared_with_ours(&manager) {
        let keep = desired.secret_type.as_deref();
        context.objects.give_up(&desired.target, &manager, keep).await?;
    }
    Ok(None)
}

/// An apply leaves keys that somebody else has a hand on: they are removed by name.
async fn drop_keys(
    desired: &Desired,
    context: &Context,
    written: &Written,
    keys: &[String],
) -> Result<Option<String>, LookError> {
    let data: serde_json::Map<_, _> = keys.iter().map(|key| (key.clone(), serde_json::Value::Null)).collect();
    let body = serde_json::json!({"metadata": {"resourceVersion": written.resource_version}, "data": data});
    let written = context.objects.merge(&desired.target, &body).await?;
    context.metrics.wrote(desired.target.kind, "merge");
    Ok(Some(written.resource_version))
}

/// Takes out the part of one that is gone, as [`release::vanished`] would, or frees the key where nobody else is left.
async fn evict(desired: &Desired, context: &Context, uid: &str, observed: Option<&Observed>) -> Result<(), LookError> {
    let parts = observed.map_or(&[][..], |observed| &observed.parts);
    let held = parts.iter().find(|part| part.uid() == Some(uid));
    let found = observed.and_then(|observed| observed.secret_type.as_deref());
    let keep = found.filter(|_| held.is_some_and(|part| part.owns_type));
    context.objects.give_up(&desired.target, &manager_of(uid), keep).await?;
    context.metrics.wrote(desired.target.kind, "apply");
    Ok(())
}

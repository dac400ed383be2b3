//! One object, until it is as it should be.

use super::{Context, LookError};
use crate::{
    akvs::Akvs,
    desired::{Apply, Desired},
    fields::{self, manager_of},
    objects::{ObjectError, Written},
    plan::{Me, Plan, Refusal, plan},
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
        Plan::Apply { force, resource_version, evict } => {
            let body = Apply::new(akvs, desired, Some(&resource_version));
            let written = objects.apply(target, &manager_of(akvs.uid()), force, &body).await?;
            context.metrics.wrote(target.kind, "apply");
            let written = make_ours(akvs, desired, context, written).await?;
            for uid in &evict {
                release::vanished(objects, target, uid, &|uid| context.peer(uid).is_some()).await?;
            }
            Ok(Some(written.resource_version).filter(|_| evict.is_empty()))
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

/// Takes other people's updates off what was written: what they own too, an apply could never remove.
async fn make_ours(akvs: &Akvs, desired: &Desired, context: &Context, written: Written) -> Result<Written, LookError> {
    let parts = fields::parts(&written.managed_fields);
    let ours = parts.iter().find(|part| part.uid() == Some(akvs.uid()));
    let Some(entries) = ours.and_then(|ours| fields::disowned(&written.managed_fields, ours)) else {
        return Ok(written);
    };
    let metadata = serde_json::json!({"resourceVersion": written.resource_version, "managedFields": entries});
    let written = context.objects.merge(&desired.target, &serde_json::json!({"metadata": metadata})).await?;
    context.metrics.wrote(desired.target.kind, "merge");
    Ok(written)
}

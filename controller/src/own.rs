//! Applying on behalf of an `AzureKeyVaultSecret` so that what is written is its alone.

use serde::Serialize;

use crate::{
    fields::{self, manager_of},
    objects::{ObjectError, Objects, Written},
    target::Target,
};

/// Applies `body` for the `AzureKeyVaultSecret` with this UID, and takes other people's updates off it: what they own too,
/// an apply could never remove again.
pub async fn apply(
    objects: &Objects,
    target: &Target,
    uid: &str,
    force: bool,
    body: &impl Serialize,
) -> Result<Written, ObjectError> {
    let written = objects.apply(target, &manager_of(uid), force, body).await?;
    let parts = fields::parts(&written.managed_fields);
    let ours = parts.iter().find(|part| part.uid() == Some(uid));
    let Some(entries) = ours.and_then(|ours| fields::disowned(&written.managed_fields, ours)) else {
        return Ok(written);
    };
    let metadata = serde_json::json!({"resourceVersion": written.resource_version, "managedFields": entries});
    objects.merge(target, &serde_json::json!({"metadata": metadata})).await
}

//! Objects from text, applied as `kubectl apply --server-side` does.

use std::collections::HashMap;

use anyhow::{Context as _, ensure};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
    core::{GroupVersionKind, TypeMeta},
    discovery::{self, ApiResource, Scope},
};
use serde::Deserialize as _;
use tokio::sync::Mutex;

/// Who applies.
pub const FIELD_MANAGER: &str = "keyward-e2e";

/// Applies manifests. What a kind is called in paths is asked of the API server once.
#[derive(Default)]
pub struct Kinds {
    known: Mutex<HashMap<GroupVersionKind, (ApiResource, Scope)>>,
}

/// The documents of a text.
pub fn documents(text: &str) -> anyhow::Result<Vec<DynamicObject>> {
    let mut objects = Vec::new();
    for document in text.split("\n---").map(str::trim).filter(|document| !document.is_empty()) {
        let document = document.trim_start_matches("---");
        let value: serde_json::Value = serde_saphyr::from_str(document).context("a manifest is no YAML")?;
        objects.push(DynamicObject::deserialize(value).context("a manifest is no object")?);
    }
    Ok(objects)
}

/// An `AzureKeyVaultSecret` for an object of type `secret`, and more of its spec, such as `output: {…}`.
pub fn akvs(namespace: &str, name: &str, vault: &str, object: &str, more: &str) -> String {
    let comma = if more.is_empty() { "" } else { ", " };
    format!(
        "apiVersion: spv.no/v2beta1\nkind: AzureKeyVaultSecret\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {{vault: {{name: {vault}, object: {{name: {object}, type: secret}}}}{comma}{more}}}\n"
    )
}

impl Kinds {
    /// Applies one object; conflicts are an error. Returns it as it is then, and whether it is in a namespace.
    pub async fn apply(&self, client: &Client, object: &DynamicObject) -> anyhow::Result<(DynamicObject, Scope)> {
        let (api, scope) = self.api(client, object).await?;
        let name = object.metadata.name.as_deref().context("a manifest has no name")?;
        let applied = api.patch(name, &PatchParams::apply(FIELD_MANAGER), &Patch::Apply(object)).await;
        let kind = object.types.as_ref().map_or("", |types| &types.kind);
        Ok((applied.with_context(|| format!("applying {kind} {name}"))?, scope))
    }

    /// The API of the object's kind, in its namespace where it has one.
    pub async fn api(&self, client: &Client, object: &DynamicObject) -> anyhow::Result<(Api<DynamicObject>, Scope)> {
        let types = object.types.as_ref().context("a manifest has no kind")?;
        let (resource, scope) = self.resource(client, types).await?;
        let api = match (&scope, &object.metadata.namespace) {
            (Scope::Namespaced, namespace) => {
                let namespace = namespace.as_deref().with_context(|| format!("{} without a namespace", types.kind))?;
                Api::namespaced_with(client.clone(), namespace, &resource)
            }
            (Scope::Cluster, namespace) => {
                ensure!(namespace.is_none(), "{} is in no namespace", types.kind);
                Api::all_with(client.clone(), &resource)
            }
        };
        Ok((api, scope))
    }

    async fn resource(&self, client: &Client, types: &TypeMeta) -> anyhow::Result<(ApiResource, Scope)> {
        let kind = GroupVersionKind::try_from(types)?;
        let mut known = self.known.lock().await;
        if let Some(found) = known.get(&kind) {
            return Ok(found.clone());
        }
        let asked = discovery::pinned_kind(client, &kind).await;
        let (resource, capabilities) = asked.with_context(|| format!("the API server has no {kind:?}"))?;
        known.insert(kind, (resource.clone(), capabilities.scope.clone()));
        Ok((resource, capabilities.scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_several_documents_is_several_objects() {
        let text = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Secret\n\
                    metadata: {name: b, namespace: a}\n";
        let names: Vec<_> = documents(text).unwrap().into_iter().map(|object| object.metadata.name.unwrap()).collect();
        assert_eq!(names, ["a", "b"]);
    }
}

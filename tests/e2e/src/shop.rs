//! A namespace that vault `acme` admits, and whose `AzureKeyVaultSecret`s the controllers look after. Nothing here prints a
//! value: what is held is compared and never shown.

use std::{collections::BTreeMap, fmt};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::{
    core::v1::{ConfigMap, Secret},
    events::v1::Event,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
    core::ObjectMeta,
};
use serde_json::{Value, json};

use crate::{
    scene::Scene,
    stand::Stand,
    wait::{Look, SOON, until, until_true},
};

/// The vault that the namespace may read.
pub const VAULT: &str = "acme";

/// The namespace.
pub struct Shop<'a> {
    /// Its name.
    pub namespace: String,
    /// The scene it is on.
    pub scene: &'a Scene,
    /// Emulator and processes.
    pub stand: &'a Stand,
}

/// The data of a Secret or a `ConfigMap`. Shown by its keys only.
#[derive(PartialEq, Eq)]
pub struct Data(BTreeMap<String, Vec<u8>>);

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Data {
    /// Whether it is exactly this.
    pub fn is(&self, pairs: &[(&str, &str)]) -> bool {
        let pairs: BTreeMap<_, _> =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
        self.0 == pairs
    }

    /// The keys.
    pub fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// The value of a key, as text.
    pub fn text(&self, key: &str) -> Option<&str> {
        std::str::from_utf8(self.0.get(key)?).ok()
    }
}

/// An `AzureKeyVaultSecret`'s `Ready`, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// `True`, `False`, or empty.
    pub status: String,
    /// The reason.
    pub reason: String,
    /// For people.
    pub message: String,
}

impl<'a> Shop<'a> {
    /// Opens one; the controllers run then.
    pub async fn open(scene: &'a Scene) -> anyhow::Result<Self> {
        let stand = scene.stand().await?;
        stand.controllers().await?;
        let namespace = scene.namespace("shop", &[VAULT]).await?;
        Ok(Self { namespace, scene, stand })
    }

    /// A name for an object in the vault that no other test uses.
    pub fn object(&self, name: &str) -> String {
        format!("{}-{name}", self.namespace)
    }

    /// Sets a secret of the vault; its version.
    pub fn set(&self, name: &str, value: &str) -> anyhow::Result<String> {
        Ok(self.stand.vault(VAULT)?.set_secret(&self.object(name), value)?)
    }

    /// Applies an `AzureKeyVaultSecret` for the vault's object of the same name.
    pub async fn akvs(&self, name: &str, object_type: &str, output: &str) -> anyhow::Result<DynamicObject> {
        self.akvs_of(name, name, object_type, output, "{}").await
    }

    /// The same for another object, with more metadata as `{annotations: …}`.
    pub async fn akvs_of(
        &self,
        name: &str,
        object: &str,
        object_type: &str,
        output: &str,
        metadata: &str,
    ) -> anyhow::Result<DynamicObject> {
        let mut metadata: Value = serde_saphyr::from_str(metadata)?;
        metadata["name"] = json!(name);
        metadata["namespace"] = json!(self.namespace);
        let content_type =
            if object_type == "multi-key-value-secret" { ", contentType: application/x-json" } else { "" };
        let output = if output.is_empty() { String::new() } else { format!(", output: {output}") };
        self.scene
            .apply_one(&format!(
                "apiVersion: spv.no/v2beta1\nkind: AzureKeyVaultSecret\nmetadata: {metadata}\nspec: {{vault: {{name: {VAULT}, \
                 object: {{name: {}, type: {object_type}{content_type}}}}}{output}}}\n",
                self.object(object)
            ))
            .await
    }

    /// A Secret of the vault, its `AzureKeyVaultSecret` with this output, and both synced.
    pub async fn synced(&self, name: &str, value: &str, output: &str) -> anyhow::Result<String> {
        let version = self.set(name, value)?;
        self.akvs(name, "secret", output).await?;
        self.until_ready(name, "True", "Synced").await?;
        Ok(version)
    }

    /// The API of `AzureKeyVaultSecret`s.
    pub fn secrets_of_vaults(&self) -> Api<DynamicObject> {
        secrets_of_vaults(self.scene.client(), &self.namespace)
    }

    /// The API of Secrets.
    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.scene.client().clone(), &self.namespace)
    }

    /// The API of `ConfigMap`s.
    pub fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.scene.client().clone(), &self.namespace)
    }

    /// A Secret's data, if it exists.
    pub async fn data(&self, name: &str) -> anyhow::Result<Option<Data>> {
        let secret = self.secrets().get_opt(name).await?;
        let data = |secret: Secret| secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0));
        Ok(secret.map(|secret| Data(data(secret).collect())))
    }

    /// A `ConfigMap`'s data, if it exists.
    pub async fn config_data(&self, name: &str) -> anyhow::Result<Option<Data>> {
        let map = self.config_maps().get_opt(name).await?;
        let data =
            |map: ConfigMap| map.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes()));
        Ok(map.map(|map| Data(data(map).collect())))
    }

    /// Until a Secret holds exactly this.
    pub async fn until_data(&self, name: &str, pairs: &[(&str, &str)]) -> anyhow::Result<()> {
        let what = format!("Secret {name} with {:?}", pairs.iter().map(|(key, _)| key).collect::<Vec<_>>());
        until(&what, SOON, async || match self.data(name).await? {
            Some(data) if data.is(pairs) => Ok(Look::Found(())),
            data => Ok(Look::NotYet(data)),
        })
        .await
    }

    /// Until a Secret does not exist.
    pub async fn until_no_secret(&self, name: &str) -> anyhow::Result<()> {
        until_true(&format!("no Secret {name}"), SOON, async || Ok(self.data(name).await?.is_none())).await
    }

    /// What an `AzureKeyVaultSecret` says now.
    pub async fn ready(&self, name: &str) -> anyhow::Result<Ready> {
        Ok(Ready::of(&self.secrets_of_vaults().get(name).await?))
    }

    /// Until it says so about its current generation, and what it says.
    pub async fn until_ready(&self, name: &str, status: &str, reason: &str) -> anyhow::Result<Ready> {
        until(&format!("{name} {status} {reason}"), SOON, async || {
            let object = self.secrets_of_vaults().get(name).await?;
            let ready = Ready::of(&object);
            let is_current = object.data["status"]["observedGeneration"].as_i64() == object.metadata.generation;
            let is_so = ready.status == status && ready.reason == reason;
            Ok(if is_current && is_so { Look::Found(ready) } else { Look::NotYet(ready) })
        })
        .await
    }

    /// `status` of an `AzureKeyVaultSecret`.
    pub async fn status(&self, name: &str) -> anyhow::Result<Value> {
        Ok(self.secrets_of_vaults().get(name).await?.data["status"].clone())
    }

    /// The events about an `AzureKeyVaultSecret`, as type and reason, oldest first.
    pub async fn events(&self, name: &str) -> anyhow::Result<Vec<String>> {
        let events: Api<Event> = Api::namespaced(self.scene.client().clone(), &self.namespace);
        let mut events = events.list(&ListParams::default()).await?.items;
        events.retain(|event| event.regarding.as_ref().and_then(|about| about.name.as_deref()) == Some(name));
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        let shown = |event: Event| format!("{} {}", event.type_.unwrap_or_default(), event.reason.unwrap_or_default());
        Ok(events.into_iter().map(shown).collect())
    }

    /// A merge patch of an `AzureKeyVaultSecret`.
    pub async fn patch(&self, name: &str, body: &Value) -> anyhow::Result<()> {
        let patch = Patch::Merge(body);
        self.secrets_of_vaults().patch(name, &PatchParams::default(), &patch).await.map(drop).context("patching")
    }

    /// Deletes an `AzureKeyVaultSecret`.
    pub async fn delete(&self, name: &str, params: &DeleteParams) -> anyhow::Result<()> {
        self.secrets_of_vaults().delete(name, params).await.map(drop).with_context(|| format!("deleting {name}"))
    }

    /// A merge patch of a Secret, as a person would.
    pub async fn edit(&self, name: &str, body: &Value) -> anyhow::Result<Secret> {
        let params = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
        self.secrets().patch(name, &params, &Patch::Merge(body)).await.with_context(|| format!("editing {name}"))
    }

    /// A Secret's metadata.
    pub async fn metadata(&self, name: &str) -> anyhow::Result<ObjectMeta> {
        Ok(self.secrets().get(name).await?.metadata)
    }

    /// A Secret's UID.
    pub async fn uid(&self, name: &str) -> anyhow::Result<String> {
        self.secrets().get(name).await?.uid().context("a Secret without UID")
    }

    /// Nothing is under way: one more secret has been synced after everything before.
    pub async fn settle(&self) -> anyhow::Result<()> {
        let name = format!("settle-{}", self.scene.next());
        self.set(&name, "kwcanary-settle")?;
        self.akvs(&name, "secret", &format!("{{secret: {{name: {name}, dataKey: k}}}}")).await?;
        self.until_ready(&name, "True", "Synced").await?;
        ensure!(self.data(&name).await?.is_some(), "{name} is ready and not there");
        Ok(())
    }
}

/// The API of the `AzureKeyVaultSecret`s of a namespace.
pub fn secrets_of_vaults(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &keyward_crds::akvs::api_resource())
}

impl Ready {
    fn of(object: &DynamicObject) -> Self {
        let conditions = object.data["status"]["conditions"].as_array();
        let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
        let text = |name: &str| ready.and_then(|ready| ready[name].as_str()).unwrap_or_default().to_owned();
        Self { status: text("status"), reason: text("reason"), message: text("message") }
    }
}

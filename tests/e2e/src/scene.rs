//! What one test is given. A [`Scene`] remembers what the test made outside of any namespace, and its end takes that away
//! and looks whether a process has printed a value. The [`World`] behind it is there for all tests.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams},
    core::TypeMeta,
    discovery::Scope,
};
use tokio::sync::OnceCell;

use crate::{
    cluster::Cluster,
    images::{self, Pushed},
    manifests::{self, Kinds},
    pods,
    requests::Audit,
    stand::{Built, Stand, admits},
    tokens,
    wait::{Look, SOON, until, until_true},
};

/// What all tests share.
pub struct World {
    cluster: Cluster,
    logs: PathBuf,
    client: Client,
    kinds: Kinds,
    built: Built,
    audit: Audit,
    stand: OnceCell<Stand>,
    images: OnceCell<Pushed>,
}

impl World {
    /// The cluster around us. Nothing is started yet.
    pub async fn new(cluster: Cluster, logs: PathBuf, built: Built) -> anyhow::Result<Self> {
        let client = Client::try_default().await.context("the cluster's kubeconfig")?;
        let audit = Audit::from_now(cluster.state().join("log/audit.log"))?;
        Ok(Self {
            cluster,
            logs,
            client,
            kinds: Kinds::default(),
            built,
            audit,
            stand: OnceCell::new(),
            images: OnceCell::new(),
        })
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Where processes' output is written to.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// Ends what runs.
    pub async fn end(&self) -> anyhow::Result<()> {
        match self.stand.get() {
            Some(stand) => stand.end().await,
            None => Ok(()),
        }
    }
}

/// What one test is given.
pub struct Scene {
    world: Arc<World>,
    made: Mutex<Vec<DynamicObject>>,
    numbers: std::sync::atomic::AtomicU32,
}

impl Scene {
    /// A scene with nothing on it.
    pub fn new(world: Arc<World>) -> Self {
        Self { world, made: Mutex::default(), numbers: std::sync::atomic::AtomicU32::default() }
    }

    /// The API server, as its administrator.
    pub fn client(&self) -> &Client {
        &self.world.client
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.world.cluster
    }

    /// Emulator, charts and programs; set up when first asked for.
    pub async fn stand(&self) -> anyhow::Result<&Stand> {
        let World { client, kinds, cluster, logs, built, .. } = &*self.world;
        self.world.stand.get_or_try_init(|| Stand::start(client, kinds, cluster, logs, built)).await
    }

    /// Starts the webhook, if none runs, and returns when it is ready; images are in the cluster's registry then.
    pub async fn webhook(&self) -> anyhow::Result<()> {
        let images = self.world.images.get_or_try_init(|| images::push(&self.world.cluster)).await?;
        self.stand().await?.webhook(&images.launcher).await
    }

    /// The requests of Keyward's service accounts from now on.
    pub fn audit(&self) -> anyhow::Result<Audit> {
        self.world.audit.again_from_now()
    }

    /// The requests of Keyward's service accounts since the suite began.
    pub fn audit_of_suite(&self) -> &Audit {
        &self.world.audit
    }

    /// A new namespace whose name begins with `stem`, and that these vaults admit. Pods can be made in it.
    pub async fn namespace(&self, stem: &str, vaults: &[&str]) -> anyhow::Result<String> {
        self.namespace_with(stem, vaults, &[]).await
    }

    /// The same with more labels.
    pub async fn namespace_with(&self, stem: &str, vaults: &[&str], labels: &[(&str, &str)]) -> anyhow::Result<String> {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let labels: BTreeMap<_, _> = vaults.iter().map(|vault| admits(vault)).chain(labels).collect();
        let metadata =
            ObjectMeta { generate_name: Some(format!("{stem}-")), labels: Some(labels), ..ObjectMeta::default() };
        let namespaces: Api<Namespace> = Api::all(self.client().clone());
        let made = namespaces.create(&PostParams::default(), &Namespace { metadata, ..Namespace::default() }).await?;
        let name = made.name_any();
        self.will_end(&name);
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().clone(), &name);
        let is_there = async || Ok(accounts.get_opt("default").await?.is_some());
        until_true(&format!("the default service account of {name}"), SOON, is_there).await?;
        Ok(name)
    }

    /// Has a namespace deleted at the end that the test makes itself.
    pub fn will_end(&self, namespace: &str) {
        self.remember(DynamicObject {
            types: Some(TypeMeta { api_version: "v1".to_owned(), kind: "Namespace".to_owned() }),
            metadata: ObjectMeta { name: Some(namespace.to_owned()), ..ObjectMeta::default() },
            data: serde_json::Value::Null,
        });
    }

    /// Applies every document of `text` on the server's side; what is in no namespace is deleted at the end.
    pub async fn apply(&self, text: &str) -> anyhow::Result<Vec<DynamicObject>> {
        let mut applied = Vec::new();
        for document in manifests::documents(text)? {
            let (object, scope) = self.world.kinds.apply(self.client(), &document).await?;
            if matches!(scope, Scope::Cluster) {
                self.remember(document);
            }
            applied.push(object);
        }
        Ok(applied)
    }

    /// Applies a text of one document.
    pub async fn apply_one(&self, text: &str) -> anyhow::Result<DynamicObject> {
        let mut applied = self.apply(text).await?;
        ensure!(applied.len() == 1, "not one document but {}", applied.len());
        applied.pop().context("one document")
    }

    /// Deletes what the first document of `text` names, and returns when it is gone.
    pub async fn delete(&self, text: &str) -> anyhow::Result<()> {
        let document = manifests::documents(text)?.into_iter().next().context("no document")?;
        let (api, _) = self.world.kinds.api(self.client(), &document).await?;
        let name = document.name_any();
        api.delete(&name, &DeleteParams::default()).await.with_context(|| format!("deleting {name}"))?;
        until_true(&format!("the end of {name}"), SOON, async || Ok(api.get_opt(&name).await?.is_none())).await
    }

    /// Takes a label from a namespace.
    pub async fn unlabel(&self, namespace: &str, label: &str) -> anyhow::Result<()> {
        let patch = serde_json::json!({"metadata": {"labels": {label: null}}});
        let namespaces: Api<Namespace> = Api::all(self.client().clone());
        namespaces.patch(namespace, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// A pod of the default service account that carries `db`, and its token.
    pub async fn pod(&self, namespace: &str, name: &str) -> anyhow::Result<(Pod, String)> {
        self.pod_with(namespace, name, &["db"]).await
    }

    /// A pod of the default service account that carries these references, and its token.
    pub async fn pod_with(&self, namespace: &str, name: &str, references: &[&str]) -> anyhow::Result<(Pod, String)> {
        let pod = pods::create(self.client(), namespace, name, "default", references).await?;
        let token = tokens::of_pod(self.client(), &pod).await?;
        Ok((pod, token))
    }

    /// A number that this test has not had yet.
    pub fn next(&self) -> u32 {
        self.numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    /// Returns once no namespace of an earlier test is being emptied: the API server counts that too.
    pub async fn until_no_namespace_ends(&self) -> anyhow::Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client().clone());
        let look = async || {
            let all = namespaces.list(&ListParams::default()).await?;
            let ending: Vec<_> =
                all.iter().filter(|one| one.metadata.deletion_timestamp.is_some()).map(ResourceExt::name_any).collect();
            Ok(if ending.is_empty() { Look::Found(()) } else { Look::NotYet(ending) })
        };
        until("the end of earlier namespaces", 2 * SOON, look).await
    }

    fn remember(&self, object: DynamicObject) {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).push(object);
    }

    /// Takes away what was made, newest first, and does not wait for namespaces to end.
    pub async fn end(self) -> anyhow::Result<()> {
        let made = self.made.into_inner().unwrap_or_else(PoisonError::into_inner);
        for object in made.iter().rev() {
            let (api, _) = self.world.kinds.api(&self.world.client, object).await?;
            match api.delete(&object.name_any(), &DeleteParams::background()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                deleted => drop(deleted.with_context(|| format!("deleting {}", object.name_any()))?),
            }
        }
        match self.world.stand.get() {
            Some(stand) => stand.no_value_was_printed().await,
            None => Ok(()),
        }
    }
}

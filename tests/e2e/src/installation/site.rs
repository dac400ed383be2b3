//! What the steps share.

use std::{
    fs,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use anyhow::Context as _;
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, DynamicObject},
};
use tokio::sync::OnceCell;

use super::{akv2k8s::Left, images, leaks::Search, release::Values};
use crate::{
    cluster::Cluster,
    kubectl::kubectl,
    manifests::{self, Kinds},
    stand::NAMESPACE,
    wait::{SOON, until_true},
};

/// The cluster, and what is to be remembered of it from step to step.
pub struct Site {
    /// The API server, as its administrator.
    pub client: Client,
    /// What the release is installed with.
    pub values: Values,
    /// What pods print, searched.
    pub search: Search,
    /// What akv2k8s left, once there is something.
    pub left: OnceCell<Left>,
    cluster: Cluster,
    kinds: Kinds,
    logs: PathBuf,
    notes: Mutex<Vec<String>>,
}

impl Site {
    /// The cluster around us, with the images in its registry.
    pub async fn new(cluster: Cluster, logs: PathBuf) -> anyhow::Result<Self> {
        let client = Client::try_default().await.context("the cluster's kubeconfig")?;
        images::push(&cluster).await?;
        let search = Search::start(cluster.state().join("log/pods-and-containers"));
        Ok(Self {
            client,
            values: Values::write()?,
            search,
            left: OnceCell::new(),
            cluster,
            kinds: Kinds::default(),
            logs,
            notes: Mutex::default(),
        })
    }

    /// Where the cluster keeps what its components and pods print.
    pub fn cluster_logs(&self) -> PathBuf {
        self.cluster.state().join("log")
    }

    /// Has a line printed at the end.
    pub fn note(&self, line: String) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// The lines so far.
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Applies every document of `text` on the server's side.
    pub async fn apply(&self, text: &str) -> anyhow::Result<Vec<DynamicObject>> {
        let mut applied = Vec::new();
        for document in manifests::documents(text)? {
            applied.push(self.kinds.apply(&self.client, &document).await?.0);
        }
        Ok(applied)
    }

    /// The API of the kind of an object, in its namespace.
    pub async fn api(&self, object: &DynamicObject) -> anyhow::Result<Api<DynamicObject>> {
        Ok(self.kinds.api(&self.client, object).await?.0)
    }

    /// Deletes what is in no namespace, and returns when it is gone.
    pub async fn delete(&self, api_version: &str, kind: &str, names: &[&str]) -> anyhow::Result<()> {
        for name in names {
            let text = format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: {name}}}\n");
            let object = manifests::documents(&text)?.pop().context("one document")?;
            let (api, name) = (self.api(&object).await?, object.name_any());
            api.delete(&name, &DeleteParams::default()).await.with_context(|| format!("deleting {kind} {name}"))?;
            until_true(&format!("the end of {kind} {name}"), 2 * SOON, async || {
                Ok(api.get_opt(&name).await?.is_none())
            })
            .await?;
        }
        Ok(())
    }

    /// Writes down what can be seen of the cluster. No Secret is looked at.
    pub async fn describe(&self, step: &str) {
        let mut seen = String::new();
        let questions: [&[&str]; 4] = [
            &["get", "pods,deployments,replicasets,endpointslices,jobs", "--all-namespaces", "--output=wide"],
            &["get", "events", "--all-namespaces", "--sort-by=.metadata.creationTimestamp"],
            &["describe", "pods", "--namespace", NAMESPACE],
            &["get", "azurekeyvaultsecrets,azurekeyvaults", "--all-namespaces", "--output=yaml"],
        ];
        for question in questions {
            let said = kubectl(question, "").await.map_or_else(|error| format!("{error:#}"), |said| said.stdout);
            seen.extend(["$ kubectl ", &question.join(" "), "\n", &said, "\n"]);
        }
        seen += &self.printed_by_components().await;
        // Where the file cannot be written there is nobody to tell.
        let _ = fs::write(self.logs.join(format!("{step}.txt")), seen);
    }

    async fn printed_by_components(&self) -> String {
        let mut printed = String::new();
        let selector = "app.kubernetes.io/name=keyward";
        for previous in ["--previous=false", "--previous=true"] {
            let question =
                ["logs", "--namespace", NAMESPACE, "--selector", selector, "--all-containers", "--prefix", "--tail=-1"];
            let question = [question.as_slice(), &[previous, "--ignore-errors"]].concat();
            let said = kubectl(&question, "").await.map_or_else(|error| format!("{error:#}"), |said| said.stdout);
            printed.extend(["$ kubectl ", &question.join(" "), "\n"]);
            for line in said.lines() {
                printed += &keyward_tests::process::without_values(line);
                printed.push('\n');
            }
        }
        printed
    }
}

//! A namespace whose pods are injected, and the probes that run in them. What is logged is compared and, where it is shown,
//! shown without values.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod};
use keyward_proto::v1::Verdict;
use keyward_tests::process::without_values;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, LogParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    report::Report,
    scene::Scene,
    shop::{Shop, VAULT},
    wait::{Look, until, until_true},
};

/// The label of namespaces whose pods are injected.
pub const ENABLED: (&str, &str) = ("azure-key-vault-env-injection", "enabled");

/// The label of a pod that is not to be injected.
pub const OPT_OUT: (&str, &str) = ("keyward.dev/inject", "disabled");

/// The first init container of an injected pod.
pub const COPIER: &str = "keyward-copier";

/// The longest that a pod is waited for: a handful of containers start in a few seconds on an idle machine.
pub const POD_SOON: Duration = Duration::from_secs(60);

/// The namespace.
pub struct Apps<'a> {
    /// The same as one with `AzureKeyVaultSecret`s.
    pub shop: Shop<'a>,
}

impl<'a> Apps<'a> {
    /// Opens one; images, broker, controllers and webhook are there then.
    pub async fn open(scene: &'a Scene) -> anyhow::Result<Self> {
        Self::open_with(scene, &[]).await
    }

    /// The same with more labels.
    pub async fn open_with(scene: &'a Scene, labels: &[(&str, &str)]) -> anyhow::Result<Self> {
        let stand = prepare(scene).await?;
        let namespace = scene.namespace_with("apps", &[VAULT], &[&[ENABLED], labels].concat()).await?;
        let apps = Self { shop: Shop { namespace, scene, stand } };
        let published = async || Ok(apps.shop.config_data("keyward-ca").await?.is_some());
        until_true("the authority's certificate", POD_SOON, published).await?;
        Ok(apps)
    }

    /// A secret of the vault, and the `AzureKeyVaultSecret` that pods refer to it by, which the broker knows then.
    pub async fn refer(&self, name: &str, value: &str) -> anyhow::Result<()> {
        self.shop.set(name, value)?;
        self.shop.akvs(name, "secret", "").await?;
        self.shop.stand.callers()?.until_checked(&self.shop.namespace, name, Verdict::Known).await
    }

    /// Sets a secret's value, and returns once the broker serves it.
    pub async fn rotate(&self, name: &str, value: &str) -> anyhow::Result<()> {
        self.shop.set(name, value)?;
        let reader = format!("reader-{}", self.shop.scene.next());
        let (_, token) = self.shop.scene.pod_with(&self.shop.namespace, &reader, &[name]).await?;
        let callers = self.shop.stand.callers()?;
        let serves = async || Ok(callers.resolve(&token, &[name]).await?.are(&[value]));
        until_true("the broker serving the new value", POD_SOON, serves).await
    }

    /// The API of pods.
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.shop.scene.client().clone(), &self.shop.namespace)
    }

    /// Creates a pod of this spec.
    pub async fn start(&self, name: &str, spec: &Value) -> anyhow::Result<Pod> {
        self.start_with(&json!({"name": name}), spec).await
    }

    /// The same with more metadata.
    pub async fn start_with(&self, metadata: &Value, spec: &Value) -> anyhow::Result<Pod> {
        let pod = pod(metadata, spec)?;
        let name = pod.name_any();
        self.pods().create(&PostParams::default(), &pod).await.with_context(|| format!("creating pod {name}"))
    }

    /// What the API server says to a pod that it refuses.
    pub async fn refusal(&self, name: &str, spec: &Value) -> anyhow::Result<String> {
        refusal(&self.pods(), &pod(&json!({"name": name}), spec)?).await
    }

    /// Deletes a pod at once.
    pub async fn delete(&self, name: &str) -> anyhow::Result<()> {
        self.pods().delete(name, &DeleteParams::default().grace_period(0)).await?;
        Ok(())
    }

    /// Names of the pods with a label.
    pub async fn labelled(&self, label: &str) -> anyhow::Result<Vec<String>> {
        let pods = self.pods().list_metadata(&ListParams::default().labels(label)).await?;
        Ok(pods.items.iter().map(ResourceExt::name_any).collect())
    }

    /// What a container has printed in its present run, or in the one before it; nothing while it has not run.
    pub async fn log(&self, pod: &str, container: &str, previous: bool) -> anyhow::Result<String> {
        let params = LogParams { container: Some(container.to_owned()), previous, ..LogParams::default() };
        match self.pods().logs(pod, &params).await {
            // Not started, not scheduled, or not there any more.
            Err(kube::Error::Api(status)) if [400, 404].contains(&status.code) => Ok(String::new()),
            read => Ok(read?),
        }
    }

    /// What the probe in a container told, once it has.
    pub async fn report(&self, pod: &str, container: &str) -> anyhow::Result<Report> {
        until(&format!("the first line of {pod}/{container}"), POD_SOON, async || {
            let log = self.log(pod, container, false).await?;
            match Report::in_log(&log) {
                Some(report) => Ok(Look::Found(report)),
                None => Ok(Look::NotYet(self.state(pod, container, &log).await?)),
            }
        })
        .await
    }

    /// Until a container has printed a line with this text in its present run.
    pub async fn until_printed(&self, pod: &str, container: &str, text: &str) -> anyhow::Result<()> {
        until(&format!("{text} of {pod}/{container}"), POD_SOON, async || {
            let log = self.log(pod, container, false).await?;
            if log.contains(text) {
                Ok(Look::Found(()))
            } else {
                Ok(Look::NotYet(self.state(pod, container, &log).await?))
            }
        })
        .await
    }

    /// How a container ended the first time, once it has.
    pub async fn ended(&self, pod: &str, container: &str) -> anyhow::Result<ContainerStateTerminated> {
        until(&format!("the end of {pod}/{container}"), POD_SOON, async || {
            let status = self.status(pod, container).await?;
            let mut ends = [&status.last_state, &status.state].into_iter().flatten();
            let end = ends.find_map(|state| state.terminated.clone());
            Ok(end.map_or_else(|| Look::NotYet(status.state.clone()), Look::Found))
        })
        .await
    }

    /// A container's status once it has been started again and runs; how its former run ended may be told a moment later than that.
    pub async fn restarted(&self, pod: &str, container: &str) -> anyhow::Result<ContainerStatus> {
        until(&format!("{pod}/{container} started again"), POD_SOON, async || {
            let status = self.status(pod, container).await?;
            let runs = status.state.as_ref().is_some_and(|state| state.running.is_some());
            let ended = status.last_state.as_ref().is_some_and(|state| state.terminated.is_some());
            Ok(if status.restart_count > 0 && runs && ended { Look::Found(status) } else { Look::NotYet(status) })
        })
        .await
    }

    /// Until a container runs.
    pub async fn until_running(&self, pod: &str, container: &str) -> anyhow::Result<()> {
        until(&format!("{pod}/{container} running"), POD_SOON, async || {
            let state = self.status(pod, container).await?.state;
            let runs = state.as_ref().is_some_and(|state| state.running.is_some());
            Ok(if runs { Look::Found(()) } else { Look::NotYet(state) })
        })
        .await
    }

    /// The status of a container or an init container; an empty one while there is none.
    pub async fn status(&self, pod: &str, container: &str) -> anyhow::Result<ContainerStatus> {
        let status = self.pods().get(pod).await?.status.unwrap_or_default();
        let all = status.container_statuses.into_iter().chain(status.init_container_statuses).flatten();
        Ok(all.into_iter().find(|status| status.name == container).unwrap_or_default())
    }

    /// For the error of a wait: how a container is, and the end of what it printed.
    async fn state(&self, pod: &str, container: &str, log: &str) -> anyhow::Result<String> {
        let status = self.status(pod, container).await?;
        let shown = |state: Option<ContainerState>| state.map(|state| serde_json::to_string(&state)).transpose();
        let (state, last) = (shown(status.state)?, shown(status.last_state)?);
        let end = log.lines().last().map(without_values);
        Ok(format!("state {state:?}, before that {last:?}; last line {end:?}"))
    }
}

/// Images, broker, controllers and webhook.
pub async fn prepare(scene: &Scene) -> anyhow::Result<&crate::stand::Stand> {
    let stand = scene.stand().await?;
    stand.controllers().await?;
    scene.webhook().await?;
    Ok(stand)
}

/// A pod of this spec; it is killed a second after it is asked to end.
pub fn pod(metadata: &Value, spec: &Value) -> anyhow::Result<Pod> {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec});
    if pod["spec"]["terminationGracePeriodSeconds"].is_null() {
        pod["spec"]["terminationGracePeriodSeconds"] = json!(1);
    }
    serde_json::from_value(pod).context("a pod")
}

/// What the API server says to a pod that it refuses; an error if it takes it.
pub async fn refusal(pods: &Api<Pod>, pod: &Pod) -> anyhow::Result<String> {
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    match pods.create(&dry, pod).await {
        Err(kube::Error::Api(status)) if status.code == 403 || is_admission(&status.message) => {
            Ok(status.message.clone())
        }
        Err(error) => Err(error).context("creating a pod that was to be refused"),
        Ok(_) => anyhow::bail!("pod {} was not refused", pod.name_any()),
    }
}

/// Whether it was said about a webhook, or by one that is not to blame the pod.
fn is_admission(message: &str) -> bool {
    message.contains("denied the request") || message.contains("failed calling webhook")
}

/// A container of the probe with `DB` referring to `db`, and more of its fields.
pub fn container(name: &str, image: &str, more: Value) -> Value {
    let mut container = json!({"name": name, "image": image, "env": [reference("DB", "db")]});
    if let (Some(container), Value::Object(more)) = (container.as_object_mut(), more) {
        for (field, value) in more {
            match (container.get_mut(&field), value) {
                (Some(Value::Array(has)), Value::Array(mut value)) => has.append(&mut value),
                (_, value) => drop(container.insert(field, value)),
            }
        }
    }
    container
}

/// A variable that refers to an `AzureKeyVaultSecret`.
pub fn reference(variable: &str, name: &str) -> Value {
    json!({"name": variable, "value": format!("{name}@azurekeyvault")})
}

/// The names of a pod's init containers.
pub fn init_containers(pod: &Pod) -> Vec<&str> {
    let spec = pod.spec.as_ref();
    spec.and_then(|spec| spec.init_containers.as_ref()).into_iter().flatten().map(|one| one.name.as_str()).collect()
}

/// An error unless the copier is the first of a pod's init containers.
pub fn is_injected(pod: &Pod) -> anyhow::Result<()> {
    ensure!(init_containers(pod).first() == Some(&COPIER), "init containers: {:?}", init_containers(pod));
    Ok(())
}

//! Pods that are created one after the other, run to their end, and tell what they were given.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::core::v1::PodStatus;
use kube::{
    Client, ResourceExt as _,
    api::{DeleteParams, LogParams, PostParams},
};
use serde_json::json;

use super::{Going, NAME, NAMESPACE, Seen, VALUE, pods};
use crate::{
    apps::{POD_SOON, container},
    images::{ENTRYPOINT, PROBE},
    report::Report,
    wait::LOOK_EVERY,
};

/// Between two.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Creator {
    client: Client,
    began: Instant,
}

impl Creator {
    pub(super) fn new(client: &Client, began: Instant) -> Self {
        Self { client: client.clone(), began }
    }

    pub(super) async fn run(self, going: Going) -> Seen {
        let mut seen = Seen::default();
        while going.on() {
            let when = Instant::now();
            let outcome = self.one().await.map_err(|error| format!("{error:#}"));
            seen.pods.note(outcome, when.elapsed(), when - self.began);
            tokio::time::sleep(PAUSE).await;
        }
        seen
    }

    async fn one(&self) -> anyhow::Result<()> {
        let (pods, params) = (pods(&self.client), PostParams::default());
        let more = json!({"command": [PROBE], "env": [{"name": "PROBE", "value": "exit=0"}]});
        let mut app = container("app", ENTRYPOINT, more);
        app["env"][0]["value"] = json!(format!("{NAME}@azurekeyvault"));
        let pod = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"generateName": "created-", "namespace": NAMESPACE},
            "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [app]},
        }))?;
        let name = pods.create(&params, &pod).await.context("refused")?.name_any();
        let ended = self.ended(&name).await?;
        let printed = pods.logs(&name, &LogParams::default()).await?;
        pods.delete(&name, &DeleteParams::default()).await?;
        match Report::in_log(&printed) {
            Some(report) => report.check(&[("DB", VALUE)]),
            None => bail!("it printed nothing, and is {:?}", ended.container_statuses),
        }
    }

    /// How it ended. By hand, because what is spawned may not wait with a closure.
    async fn ended(&self, name: &str) -> anyhow::Result<PodStatus> {
        let began = Instant::now();
        loop {
            let status = pods(&self.client).get(name).await?.status.unwrap_or_default();
            if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
                return Ok(status);
            }
            ensure!(began.elapsed() < POD_SOON, "not ended within {POD_SOON:?}: {:?}", status.container_statuses);
            tokio::time::sleep(2 * LOOK_EVERY).await;
        }
    }
}

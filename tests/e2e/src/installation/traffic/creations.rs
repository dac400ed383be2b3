//! Pods that are created one after the other, run to their end, and tell what they were given.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
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
    wait::{Look, until},
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
        let ended = until("its end", POD_SOON, async || {
            let status = pods.get(&name).await?.status.unwrap_or_default();
            Ok(match status.phase.as_deref() {
                Some("Succeeded" | "Failed") => Look::Found(status),
                _ => Look::NotYet(format!("{:?}", status.container_statuses)),
            })
        });
        let ended = ended.await?;
        let printed = pods.logs(&name, &LogParams::default()).await?;
        pods.delete(&name, &DeleteParams::default()).await?;
        match Report::in_log(&printed) {
            Some(report) => report.check(&[("DB", VALUE)]),
            None => bail!("it printed nothing, and is {:?}", ended.container_statuses),
        }
    }
}

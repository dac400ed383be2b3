//! A pod in which the launcher starts a program again and again, and counts how often that did not work.
//!
//! It is put together by hand, and its launcher is not told its container's name: one that was is given its values once for
//! each start of its container. So the pod is admitted as a whole, for the hour in which a launcher may be at it.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Client,
    api::{LogParams, PostParams},
};
use serde_json::json;

use super::{NAME, NAMESPACE, VALUE, pods, seen::Count};
use crate::{
    images::{MUSL, REGISTRY},
    installation::images::version_of_chart,
    report::Report,
};

/// Its name.
const POD: &str = "launches";

/// What it does.
const SCRIPT: &str = r#"
while true; do
  if said=$(unset REFERENCE; DB=db@azurekeyvault KEYWARD_BROKER=https://keyward-broker.keyward.svc:8443 KEYWARD_DEADLINE=30s \
    /azure-keyvault/keyward-launcher exec -- /keyward-probe report 2>/tmp/why); then
    echo "$said"
  else
    echo "failed with $?: $(cat /tmp/why)"
  fi
  sleep 0.3
done"#;

/// Creates it, unless it is there.
pub(super) async fn start(client: &Client) -> anyhow::Result<()> {
    let launcher = format!("{REGISTRY}/keyward-launcher:{}", version_of_chart()?);
    let token = json!({"audience": "keyward-broker", "expirationSeconds": 3600, "path": "token"});
    let authority = json!({"name": "keyward-ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]});
    let identity = json!({"sources": [{"serviceAccountToken": token}, {"configMap": authority}]});
    let pod = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": POD, "namespace": NAMESPACE, "labels": {"keyward.dev/inject": "disabled"}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "initContainers": [{
                "name": "copier", "image": launcher, "args": ["install", "/azure-keyvault"],
                "volumeMounts": [{"name": "launcher", "mountPath": "/azure-keyvault"}],
            }],
            "containers": [{
                "name": "app",
                "image": MUSL,
                "command": ["sh", "-c", SCRIPT],
                "env": [{"name": "REFERENCE", "value": format!("{NAME}@azurekeyvault")}],
                "volumeMounts": [
                    {"name": "launcher", "mountPath": "/azure-keyvault", "readOnly": true},
                    {"name": "keyward-identity", "mountPath": "/var/run/secrets/keyward.dev", "readOnly": true},
                ],
            }],
            "volumes": [{"name": "launcher", "emptyDir": {}}, {"name": "keyward-identity", "projected": identity}],
        },
    }))?;
    if pods(client).get_opt(POD).await?.is_none() {
        pods(client).create(&PostParams::default(), &pod).await?;
    }
    Ok(())
}

/// The pod.
pub(super) async fn pod(client: &Client) -> anyhow::Result<Pod> {
    Ok(pods(client).get(POD).await?)
}

/// What it has told until now, line by line.
pub(super) async fn lines(client: &Client) -> anyhow::Result<Vec<String>> {
    let log = match pods(client).logs(POD, &LogParams::default()).await {
        // Not started yet.
        Err(kube::Error::Api(status)) if [400, 404].contains(&status.code) => String::new(),
        read => read?,
    };
    Ok(log.lines().map(str::to_owned).collect())
}

/// What these lines tell.
pub(super) fn counted(lines: &[String]) -> Count {
    let mut count = Count::default();
    for line in lines {
        let outcome = match Report::in_log(line) {
            Some(report) if report.has("DB", VALUE) => Ok(()),
            Some(_) => Err("another value".to_owned()),
            None => Err(keyward_tests::process::without_values(line)),
        };
        count.note(outcome, Duration::ZERO, Duration::ZERO);
    }
    count
}

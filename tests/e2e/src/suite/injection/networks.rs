//! Pods that see another network, or no name server that knows the cluster.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::{
    apps::{Apps, container},
    images::{MUSL, PROBE},
    kubectl::kubectl,
    scene::Scene,
};

tests![the_broker_is_found_from_every_network_and_with_every_name_server];

async fn the_broker_is_found_from_every_network_and_with_every_name_server(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    apps.refer("db", "kwcanary-db").await?;
    let settings: [(&str, Value); 4] = [
        ("ordinary", json!({})),
        ("host-network", json!({"hostNetwork": true})),
        ("default", json!({"dnsPolicy": "Default"})),
        // An address that is nobody's.
        ("none", json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.1"]}})),
    ];
    for (name, mut spec) in settings.clone() {
        spec["containers"] = json!([container("app", MUSL, json!({"command": [PROBE]}))]);
        apps.start(name, &spec).await?;
    }
    for (name, _) in settings {
        let report = apps.report(name, "app").await?;
        report.check(&[("DB", "kwcanary-db")])?;
        ensure!(apps.status(name, "app").await?.restart_count == 0, "{name} needed another try");
    }
    // They are what they are said to be.
    let namespace = apps.shop.namespace.as_str();
    for (pod, known) in [("ordinary", true), ("default", false), ("none", false)] {
        let resolv = kubectl(&["exec", "-n", namespace, pod, "--", "cat", "/etc/resolv.conf"], "").await?.stdout;
        ensure!(resolv.contains("cluster.local") == known, "{pod}: {resolv}");
    }
    Ok(())
}

//! What a pod start does while the broker or the vault is away.

use anyhow::ensure;
use keyward_tests::vault::{Fault, Rule};
use serde_json::json;

use crate::{
    apps::{Apps, container},
    images::{ENTRYPOINT, PROBE},
    report::Report,
    scene::Scene,
    shop::VAULT,
};

tests![a_pod_waits_for_a_broker_that_is_away_and_then_runs, a_vault_that_is_away_keeps_no_pod_from_its_cached_value];

async fn a_pod_waits_for_a_broker_that_is_away_and_then_runs(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    apps.refer("db", "kwcanary-db").await?;
    apps.shop.stand.kill_broker().await?;
    let spec = json!({"containers": [container("app", ENTRYPOINT, json!({}))]});
    apps.start("app", &spec).await?;
    apps.until_running("app", "app").await?;
    let log = apps.log("app", "app", false).await?;
    ensure!(Report::in_log(&log).is_none(), "it runs without the broker");
    apps.shop.stand.broker().await?;
    apps.report("app", "app").await?.check(&[("DB", "kwcanary-db")])?;
    ensure!(apps.status("app", "app").await?.restart_count == 0, "it ended in place of waiting");
    Ok(())
}

async fn a_vault_that_is_away_keeps_no_pod_from_its_cached_value(scene: &Scene) -> anyhow::Result<()> {
    let apps = Apps::open(scene).await?;
    apps.refer("db", "kwcanary-db").await?;
    let spec = json!({"containers": [container("app", ENTRYPOINT, json!({"command": [PROBE]}))]});
    apps.start("before", &spec).await?;
    apps.report("before", "app").await?.check(&[("DB", "kwcanary-db")])?;
    let faults = apps.shop.stand.emulator.faults();
    let away = Fault::Status { code: 503, retry_after: None, inner: None };
    faults.arm(Rule::always(away).vault(VAULT))?;
    let during = async {
        apps.start("during", &spec).await?;
        apps.report("during", "app").await?.check(&[("DB", "kwcanary-db")])
    }
    .await;
    faults.lift_vault(VAULT);
    during?;
    ensure!(apps.status("during", "app").await?.restart_count == 0, "it needed another try");
    Ok(())
}

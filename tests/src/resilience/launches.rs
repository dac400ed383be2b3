//! Launches while every vault and Entra are away.

use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::time::sleep;

use crate::{
    launches::{self, Cost, SECRETS},
    stand::Stand,
    vault::Rule,
};

/// Launches enough to have every secret cached.
const WARMING: usize = 16;
/// The longest that is waited for what is cached to become stale.
const PATIENCE: Duration = Duration::from_secs(60);

/// Launches `count` programs once all that is cached is stale, each with ten references, and returns what the vault
/// gave meanwhile. Fails if one of them does not see the values it should.
pub async fn during_an_outage(count: usize) -> anyhow::Result<Cost> {
    let mut plan = launches::plan()?;
    plan.broker_environment.insert("KEYWARD_POLL_INTERVAL".to_owned(), "1s".to_owned());
    let stand = Stand::start(plan).await?;
    launches::round(&stand, WARMING).await?;
    for away in ["acme", "entra"] {
        stand.emulator.faults().arm(Rule::outage(away))?;
    }
    until_all_is_stale(&stand).await?;
    let cost = launches::round(&stand, count).await?;
    stand.broker.stop().await?;
    Ok(cost)
}

async fn until_all_is_stale(stand: &Stand) -> anyhow::Result<()> {
    let began = Instant::now();
    let vault = stand.emulator.vault_url("acme");
    let stale = format!("keyward_vault_stale_objects{{vault=\"{vault}\"}} {SECRETS}");
    loop {
        let metrics = reqwest::get(format!("http://{}/metrics", stand.admin)).await?.text().await?;
        if metrics.lines().any(|line| line == stale) {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "after {PATIENCE:?} not everything cached is stale");
        sleep(Duration::from_millis(100)).await;
    }
}

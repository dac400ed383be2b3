//! Launches while every vault and Entra are away.

use super::shop::Shop;
use crate::{
    launches::{self, Cost, SECRETS},
    stand::Stand,
    vault::Rule,
};

/// Launches enough to have every secret cached.
const WARMING: usize = 16;

/// Launches `count` programs once all that is cached is stale, each with ten references, and returns what the vault
/// gave meanwhile. Fails if one of them does not see the values it should.
pub async fn during_an_outage(count: usize) -> anyhow::Result<Cost> {
    let mut plan = launches::plan()?;
    plan.broker_environment.insert("KEYWARD_POLL_INTERVAL".to_owned(), "1s".to_owned());
    let shop = Shop::from(Stand::start(plan).await?);
    let stand = &shop.stand;
    launches::round(stand, WARMING).await?;
    for away in ["acme", "entra"] {
        stand.emulator.faults().arm(Rule::outage(away))?;
    }
    shop.until_stale("acme", u32::try_from(SECRETS)?).await?;
    let cost = launches::round(stand, count).await?;
    shop.stand.broker.stop().await?;
    Ok(cost)
}

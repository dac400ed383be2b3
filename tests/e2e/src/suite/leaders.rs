//! Two controllers: one works, the other takes over.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;

use crate::{
    scene::Scene,
    shop::Shop,
    stand::{CONTROLLERS, NAMESPACE},
    wait::{Look, SOON, until},
};

tests![
    one_of_two_works_and_the_other_takes_over_from_a_killed_one,
    a_leader_that_is_asked_to_stop_hands_over_at_once,
    a_leader_killed_in_the_middle_leaves_nothing_wrong_or_missing,
];

/// Twice the lease of the stand's controllers, and a moment for the work.
const TAKEN_OVER: Duration = Duration::from_secs(15);

async fn holder(scene: &Scene) -> anyhow::Result<Option<String>> {
    let leases: Api<Lease> = Api::namespaced(scene.client().clone(), NAMESPACE);
    let lease = leases.get_opt("keyward-controller").await?;
    Ok(lease.and_then(|lease| lease.spec?.holder_identity))
}

/// The number of the controller that leads, as its own log says.
async fn leader(shop: &Shop<'_>) -> anyhow::Result<usize> {
    until("a leader", SOON, async || {
        let Some(holder) = holder(shop.scene).await? else { return Ok(Look::NotYet("nobody".to_owned())) };
        for number in 0..CONTROLLERS {
            let printed = shop.stand.controller_printed(number).await.unwrap_or_default();
            if printed.contains(&format!("\"identity\":\"{holder}\"")) {
                return Ok(Look::Found(number));
            }
        }
        Ok(Look::NotYet(holder))
    })
    .await
}

async fn one_of_two_works_and_the_other_takes_over_from_a_killed_one(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    shop.synced("before", "kwcanary", "{secret: {name: before, dataKey: k}}").await?;
    let first = leader(&shop).await?;
    let other = (first + 1) % CONTROLLERS;
    let idle = shop.stand.controller_printed(other).await.context("no other controller")?;
    ensure!(!idle.contains(&format!("{}/before", shop.namespace)), "both work");
    shop.stand.kill_controller(first).await?;
    let since = Instant::now();
    shop.synced("after", "kwcanary", "{secret: {name: after, dataKey: k}}").await?;
    ensure!(since.elapsed() < TAKEN_OVER, "{:?}", since.elapsed());
    ensure!(leader(&shop).await? == other, "somebody else leads");
    shop.stand.controllers().await
}

async fn a_leader_that_is_asked_to_stop_hands_over_at_once(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    let first = leader(&shop).await?;
    shop.stand.stop_controller(first).await?;
    let since = Instant::now();
    shop.synced("after", "kwcanary", "{secret: {name: after, dataKey: k}}").await?;
    ensure!(since.elapsed() < Duration::from_secs(6), "it waited for the lease to run out: {:?}", since.elapsed());
    shop.stand.controllers().await
}

async fn a_leader_killed_in_the_middle_leaves_nothing_wrong_or_missing(scene: &Scene) -> anyhow::Result<()> {
    const SECRETS: usize = 200;
    let shop = Shop::open(scene).await?;
    let first = leader(&shop).await?;
    for number in 0..SECRETS {
        shop.set(&format!("s{number}"), &format!("kwcanary-{number}"))?;
    }
    let applied = async {
        for number in 0..SECRETS {
            let name = format!("s{number}");
            shop.akvs(&name, "secret", &format!("{{secret: {{name: {name}, dataKey: k}}}}")).await?;
            if number == SECRETS / 2 {
                shop.stand.kill_controller(first).await?;
            }
        }
        anyhow::Ok(())
    };
    applied.await?;
    for number in 0..SECRETS {
        let name = format!("s{number}");
        shop.until_ready(&name, "True", "Synced").await?;
        shop.until_data(&name, &[("k", &format!("kwcanary-{number}"))]).await?;
    }
    shop.stand.controllers().await
}

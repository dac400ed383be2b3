//! What certificates that come and go cost those who call: real processes, a kubelet's directories, an API server's trust, and
//! callers of every kind that never pause. The tests assert that no call fails; `cargo rotations` does it for longer.
//!
//! | room | does |
//! |---|---|
//! | [`stand`] | API server, kubelet, broker, webhook and controllers |
//! | [`scene`], [`processes`] | what there is before anybody starts; the programs |
//! | [`kubelet`] | Secrets and `ConfigMap`s of the API server into directories, a while later |
//! | [`by_hand`] | certificates without a controller, for testing the suite itself |
//! | [`load`] | who calls all along |
//! | [`resolves`], [`reviews`], [`launches`] | a pod's calls, an API server's, and whole launchers |
//! | [`calls`] | what became of each call |
//! | [`served`] | which certificates were really shown, and who signed them |
//! | [`report`] | what people read: pure |

pub mod by_hand;
pub mod calls;
pub mod kubelet;
pub mod launches;
pub mod load;
pub mod processes;
pub mod report;
pub mod resolves;
pub mod reviews;
pub mod scene;
pub mod served;
pub mod stand;

use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::time::sleep;

use self::{
    kubelet::Delays,
    load::Load,
    processes::Lifetimes,
    report::Report,
    served::Rotations,
    stand::{Slots, Stand},
};

/// An authority is replaced after half a minute, a certificate after seven seconds. What each change takes until it has reached
/// everybody, a kubelet's delay and two seconds until a server looks, is the half of what it may take.
pub const TINY: Lifetimes = Lifetimes { authority: "60s", leaf: "14s", overlap: "6s" };

/// How often something that is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Returns once `holds`. That it does not within `patience` is an error that names `what`.
pub async fn until(what: &str, patience: Duration, mut holds: impl AsyncFnMut() -> bool) -> anyhow::Result<()> {
    let end = Instant::now() + patience;
    while !holds().await {
        ensure!(Instant::now() < end, "not within {patience:?}: {what}");
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Rotates under load until callers have seen `goal` of each server, and reports when the last rotation is done with. Where it
/// is to `hurry`, each rotation of the authority but the first is asked for as soon as the one before is done with.
pub async fn run(goal: Rotations, delays: Delays, hurry: bool) -> anyhow::Result<Report> {
    let mut stand = Stand::start(delays).await?;
    stand.controller("keyward-controller-0", TINY)?;
    stand.ready().await?;
    let load = Load::start(&stand)?;
    for number in 1..=goal.authorities {
        if hurry && number > 1 {
            stand.ask_for_rotation();
        }
        let rotated = async || load.served.total().authorities >= number;
        until(&format!("servers show the authority of rotation {number}"), 2 * TURN, rotated).await?;
        let settled = async || stand.slots() == Some(Slots::Settled);
        until(&format!("rotation {number} is done with"), TURN, settled).await?;
    }
    let patience = TURN * u32::try_from(goal.leaves)?;
    let renewed = async || load.served.total().leaves >= goal.leaves;
    until(&format!("{} certificates were renewed", goal.leaves), patience, renewed).await?;
    stand.report(load).await
}

/// The longest between one rotation of the authority and the next: a hang, on a machine that is busy with other things.
const TURN: Duration = Duration::from_secs(60);

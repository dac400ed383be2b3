//! A new certificate authority, asked for by hand.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::{
    installation::{
        authority::{self, Authority},
        site::Site,
        traffic::Traffic,
    },
    kubectl::kubectl,
    stand::NAMESPACE,
    wait::{Look, until},
};

/// Twice the overlap of this suite's values, with all leaves brought to all pods twice.
const PATIENCE: Duration = Duration::from_secs(180);

pub(super) async fn a_new_authority_is_taken_up_and_fails_no_call(site: &Site) -> anyhow::Result<()> {
    let before = Authority::read(&site.client).await?;
    ensure!(before.is_alone(), "there are {:?} before anything is asked for", before.keys());
    let traffic = Traffic::start(site).await?;
    let began = Instant::now();
    let what = ["secret", authority::NAME, "--namespace", NAMESPACE, "keyward.dev/rotate=now"];
    kubectl(&[&["annotate"], what.as_slice()].concat(), "").await?;
    let (old, mut stages) = (before.active()?, Vec::new());
    let after = until("the new authority alone", PATIENCE, async || {
        let now = Authority::read(&site.client).await?;
        let stage = format!("{:?}{}", now.keys(), if now.active()? == old { " old" } else { " new" });
        if stages.last() != Some(&stage) {
            stages.push(stage);
        }
        let is_over = now.is_alone() && now.active()? != old;
        Ok(if is_over { Look::Found(now) } else { Look::NotYet(stages.clone()) })
    })
    .await?;
    let took = began.elapsed();
    let new = after.active()?;
    until("everybody trusting the new one alone", Duration::from_secs(30), async || {
        let trusted = authority::trusted(&site.client).await?;
        Ok(authority::only(&new, &trusted).map_or_else(|error| Look::NotYet(error.to_string()), Look::Found))
    })
    .await?;
    authority::is_shown(&new, &old).await?;
    let seen = traffic.end().await?;
    site.note(format!("rotation: {:.0} s from annotation to the end of the old authority; {seen}", took.as_secs_f32()));
    seen.nothing_failed()
}

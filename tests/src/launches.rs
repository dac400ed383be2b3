//! Many real launches against a cold broker, and what they cost the vault: exact counts, no clocks.

use std::{fmt::Write as _, process::Stdio};

use anyhow::ensure;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    stand::{CLIENT, Plan, Stand},
    vault::{CallCount, ProjectedToken},
};

/// Secrets in the vault.
pub const SECRETS: usize = 40;
/// References in each launched program's environment.
pub const REFERENCES: usize = 10;
const AT_ONCE: usize = 16;

/// What one round of launches cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Objects read: answers with 200.
    pub reads: u64,
    /// Challenges of SDK clients: answers with 401.
    pub challenges: u64,
    /// Anything else that reached the vault.
    pub others: u64,
}

/// A stand with a cold broker, by [`plan`].
pub async fn stand() -> anyhow::Result<Stand> {
    Ok(Stand::start(plan()?).await?)
}

/// [`SECRETS`] secrets that namespace `shop` may read.
pub fn plan() -> anyhow::Result<Plan> {
    let mut objects = "vaults:\n  acme:\n    secrets:\n".to_owned();
    let mut manifests = "apiVersion: keyward.dev/v1alpha1\nkind: AzureKeyVault\nmetadata: {name: acme}\n\
                         spec: {vaultName: acme, url: https://acme.emulated, namespaces: {names: [shop]}}\n"
        .to_owned();
    for n in 0..SECRETS {
        writeln!(objects, "      s-{n}: {{value: value-{n}}}")?;
        write!(
            manifests,
            "---\napiVersion: spv.no/v2beta1\nkind: AzureKeyVaultSecret\nmetadata: {{name: s-{n}, namespace: shop}}\n\
             spec: {{vault: {{name: acme, object: {{name: s-{n}, type: secret}}}}}}\n"
        )?;
    }
    write!(
        objects,
        "identities:\n  - clientId: {CLIENT}\n    federatedSubjects: [\"system:serviceaccount:keyward:keyward-broker\"]\n"
    )?;
    let mut plan = Plan { objects, ..Plan::default() };
    plan.manifests.insert("all.yaml".to_owned(), manifests);
    // Every launch is a line of debug log otherwise.
    plan.broker_environment.insert("KEYWARD_LOG_LEVEL".to_owned(), "info".to_owned());
    Ok(plan)
}

/// Launches `count` programs, several at once, each with [`REFERENCES`] references, and returns the cost of all. Fails if
/// one of them does not see the values it should.
pub async fn round(stand: &Stand, count: usize) -> anyhow::Result<Cost> {
    stand.emulator.reset_calls();
    // Each is a pod of its own, as in a rollout: what one pod may ask is bounded.
    let token = |launch| ProjectedToken::for_pod("shop", "checkout", &format!("checkout-{launch}"));
    let tokens = (0..count).map(|launch| stand.write_token(&token(launch))).collect::<Result<Vec<_>, _>>()?;
    let launches = tokens.iter().enumerate().map(|(launch, token)| async move {
        let picked = (0..REFERENCES).map(|n| (launch * REFERENCES + n) % SECRETS);
        let environment: Vec<(String, String)> =
            picked.map(|n| (format!("S{n}"), format!("s-{n}@azurekeyvault"))).collect();
        let checks: Vec<String> =
            environment.iter().map(|(name, _)| format!("[ \"${name}\" = value-{} ]", &name[1..])).collect();
        let environment: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut launcher = stand.launcher(token, &environment, &["/bin/sh", "-c", &checks.join(" && ")])?;
        let status = launcher.stdin(Stdio::null()).status().await?;
        ensure!(status.success(), "launch {launch} ended with {status}");
        anyhow::Ok(())
    });
    stream::iter(launches).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    let calls = stand.emulator.calls();
    let count =
        |wanted: fn(u16) -> bool| calls.matching(|call: &CallCount| call.vault == "acme" && wanted(call.status));
    Ok(Cost {
        reads: count(|status| status == 200),
        challenges: count(|status| status == 401),
        others: count(|status| status != 200 && status != 401),
    })
}

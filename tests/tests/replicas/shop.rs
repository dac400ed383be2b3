//! Two vaults of a few secrets, all of which namespace `shop` uses.

use std::fmt::Write as _;

use keyward_tests::{
    fleet::{Asker, Fleet},
    stand::Plan,
    vault::Rule,
};

/// The vaults.
pub(crate) const VAULTS: [&str; 2] = ["acme", "bank"];
/// Secrets in each.
pub(crate) const SECRETS: usize = 10;

/// As it is called in a reference.
pub(crate) fn reference(vault: &str, n: usize) -> String {
    format!("{vault}-{n}")
}

/// The vaults, whose declarations say `settings`.
pub(crate) fn plan(settings: &str) -> Plan {
    let mut objects = "vaults:\n".to_owned();
    let mut manifests = String::new();
    for vault in VAULTS {
        writeln!(objects, "  {vault}:\n    secrets:").unwrap();
        write!(
            manifests,
            "---\napiVersion: keyward.dev/v1alpha1\nkind: AzureKeyVault\nmetadata: {{name: {vault}}}\n\
             spec: {{vaultName: {vault}, url: https://{vault}.emulated, namespaces: {{names: [shop]}}{settings}}}\n"
        )
        .unwrap();
        for n in 0..SECRETS {
            writeln!(objects, "      s{n}: {{value: kwcanary-{vault}-{n}-1}}").unwrap();
            write!(
                manifests,
                "---\napiVersion: spv.no/v2beta1\nkind: AzureKeyVaultSecret\n\
                 metadata: {{name: {vault}-{n}, namespace: shop, uid: u-{vault}-{n}, generation: 1}}\n\
                 spec: {{vault: {{name: {vault}, object: {{name: s{n}, type: secret}}}}, \
                 output: {{secret: {{name: {vault}-{n}, dataKey: value}}}}}}\n"
            )
            .unwrap();
        }
    }
    objects += "identities:\n  - clientId: 22222222-2222-2222-2222-222222222222\n    \
                federatedSubjects: [\"system:serviceaccount:keyward:keyward-broker\"]\n";
    let mut plan = Plan { objects, ..Plan::default() };
    plan.manifests.insert("all.yaml".to_owned(), manifests);
    plan
}

/// So many replicas, as the shop needs them.
pub(crate) async fn fleet(settings: &str, count: usize) -> Fleet {
    let fleet = Fleet::start(plan(settings), count).await.unwrap();
    // No stamp is of the second of its reading, else the next poll would look once more.
    fleet.emulator.clock().skew(3_600);
    fleet
}

/// Everything is asked for once, of this replica.
pub(crate) async fn ask_for_all(asker: &Asker) {
    for vault in VAULTS {
        for n in 0..SECRETS {
            let value = asker.value(&reference(vault, n)).await.unwrap();
            assert!(value == format!("kwcanary-{vault}-{n}-1"), "{vault} {n}");
        }
    }
}

/// Calls that reached vaults, but for challenges.
pub(crate) fn calls(fleet: &Fleet) -> u64 {
    fleet.emulator.calls().matching(|row| VAULTS.contains(&row.vault.as_str()) && row.status != 401)
}

/// No vault answers any more, nor does Entra.
pub(crate) fn vaults_down(fleet: &Fleet) {
    for vault in VAULTS.iter().chain(&["entra"]) {
        fleet.emulator.faults().arm(Rule::outage(vault)).unwrap();
    }
    fleet.emulator.reset_calls();
}

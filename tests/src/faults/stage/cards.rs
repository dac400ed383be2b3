//! What there is on a stage, as text: pure.

use std::collections::BTreeMap;

/// The namespace that may read.
pub const NAMESPACE: &str = "shop";
/// One that asks for the same and is not admitted.
pub const STRANGERS: &str = "mall";
/// Objects of each vault.
pub const OBJECTS: usize = 6;

/// A vault.
#[derive(Clone, Debug)]
pub struct VaultCard {
    /// Its name.
    pub name: String,
    /// Who reads it: an identity of its own, so that trouble with it strikes one scene.
    pub client: String,
    /// Requests in any ten seconds.
    pub budget: usize,
}

impl VaultCard {
    /// The `number`th vault of a stage.
    pub fn new(number: usize, budget: usize) -> Self {
        Self { name: format!("vault-{number:02}"), client: format!("00000000-0000-4000-8000-{number:012}"), budget }
    }
}

/// What an object of a vault is called in a reference.
pub fn reference(vault: &str, object: usize) -> String {
    format!("{vault}-{object}")
}

/// What it is called in the vault.
pub fn object(number: usize) -> String {
    format!("object-{number}")
}

/// What brokers are told beside what every stand tells them.
pub(super) fn broker_settings(replicas: usize) -> [(&'static str, String); 5] {
    [
        ("KEYWARD_LOG_LEVEL", "info".to_owned()),
        // One pod stands for many.
        ("KEYWARD_REQUESTS_PER_POD", "1000000".to_owned()),
        ("KEYWARD_REQUESTS_PER_ROLE", "1000000".to_owned()),
        ("KEYWARD_REPLICAS", replicas.to_string()),
        ("KEYWARD_DRAIN", "2s".to_owned()),
    ]
}

/// The emulator's vaults, empty, and who may read them.
pub(super) fn objects(vaults: &[VaultCard]) -> String {
    let of_vault = |VaultCard { name, .. }: &VaultCard| format!("  {name}: {{}}\n");
    let subject = "system:serviceaccount:keyward:keyward-broker";
    let of_client = |VaultCard { client, .. }: &VaultCard| {
        format!("  - clientId: {client}\n    federatedSubjects: [\"{subject}\"]\n")
    };
    let [vaults, identities] =
        [vaults.iter().map(of_vault).collect::<String>(), vaults.iter().map(of_client).collect()];
    format!("vaults:\n{vaults}identities:\n{identities}")
}

/// Declarations of vaults, and what names their objects, in both namespaces.
pub(super) fn manifests(vaults: &[VaultCard], urls: &BTreeMap<&str, String>) -> (String, String) {
    let declaration = |VaultCard { name, client, budget }: &VaultCard| {
        let url = urls.get(name.as_str()).map(String::as_str).unwrap_or_default();
        format!(
            "---\napiVersion: keyward.dev/v1alpha1\nkind: AzureKeyVault\nmetadata: {{name: {name}}}\n\
             spec: {{vaultName: {name}, url: '{url}', pollInterval: 1s, namespaces: {{names: [{NAMESPACE}]}}, \
             identity: {{type: WorkloadIdentity, clientId: {client}}}, budget: {{requestsPer10Seconds: {budget}}}}}\n"
        )
    };
    let secret = |vault: &str, namespace: &str, n: usize| {
        let (name, object) = (reference(vault, n), object(n));
        format!(
            "---\napiVersion: spv.no/v2beta1\nkind: AzureKeyVaultSecret\n\
             metadata: {{name: {name}, namespace: {namespace}}}\n\
             spec: {{vault: {{name: {vault}, object: {{name: {object}, type: secret}}}}, \
             output: {{secret: {{name: {name}, dataKey: value}}}}}}\n"
        )
    };
    let secrets = |VaultCard { name, .. }: &VaultCard| {
        let own = (0..OBJECTS).map(|n| secret(name, NAMESPACE, n));
        own.chain([secret(name, STRANGERS, 0)]).collect::<String>()
    };
    (vaults.iter().map(declaration).collect(), vaults.iter().map(secrets).collect())
}

//! Could a pod of this namespace resolve this reference? By the manifests alone: pure, no vault, never a value. The
//! webhook asks, while a pod is admitted.

use keyward_types::Reference;

use crate::{
    authz::{self, Denial},
    policy::Snapshot,
};

/// The answer, with what is wrong and who can mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// There and admitted.
    Known,
    /// No such secret in the namespace.
    Unknown(String),
    /// There, and no `AzureKeyVault` admits it.
    Forbidden(String),
    /// The reference or the secret's manifest is malformed.
    Invalid(String),
    /// Nothing can be said before everything was read.
    NotYet,
}

/// Checks one reference, written as in an environment.
pub fn check(snapshot: &Snapshot, namespace: &str, reference: &str) -> Checked {
    let reference = match Reference::parse(reference) {
        Some(Ok(reference)) => reference,
        Some(Err(error)) => return Checked::Invalid(error.to_string()),
        None => return Checked::Invalid("not a reference: NAME@azurekeyvault or NAME@azurekeyvault?QUERY".to_owned()),
    };
    let Err(denial) = authz::decide(snapshot, namespace, &reference) else { return Checked::Known };
    let reason = denial.to_string();
    match denial {
        Denial::NotSynced => Checked::NotYet,
        Denial::UnknownSecret { .. } => Checked::Unknown(reason),
        Denial::InvalidSecret { .. } => Checked::Invalid(reason),
        Denial::UndeclaredVault { .. }
        | Denial::InvalidVault { .. }
        | Denial::Namespace { .. }
        | Denial::Object { .. } => Checked::Forbidden(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    const MANIFESTS: &str = "
apiVersion: keyward.dev/v1alpha1
kind: AzureKeyVault
metadata: {name: acme}
spec: {vaultName: acme, namespaces: {names: [shop]}, objects: [{names: ['db*']}]}
---
apiVersion: keyward.dev/v1alpha1
kind: AzureKeyVault
metadata: {name: broken}
spec: {vaultName: broken, url: 'http://plain', namespaces: {names: ['*']}}
";

    #[test]
    fn each_reference_gets_the_verdict_and_the_words_of_a_denial() {
        let secrets = [
            testing::secret("shop", "db", "acme", "db-password"),
            testing::secret("shop", "mail", "acme", "mail"),
            testing::secret("shop", "stray", "nowhere", "db"),
            testing::secret("shop", "closed", "broken", "db"),
            testing::secret("shop", "odd", "acme", "a/../db"),
            testing::secret("bank", "db", "acme", "db"),
        ];
        let snapshot = testing::snapshot(&format!("{MANIFESTS}{}", secrets.concat()));
        for (namespace, reference, expected) in [
            ("shop", "db@azurekeyvault", "Known"),
            ("shop", "db@azurekeyvault?username", "Known"),
            ("shop", "no@azurekeyvault", "Unknown: AzureKeyVaultSecret shop/no does not exist; create it"),
            ("other", "db@azurekeyvault", "Unknown: AzureKeyVaultSecret other/db does not exist; create it"),
            ("bank", "db@azurekeyvault", "Forbidden: AzureKeyVaultSecret bank/db: AzureKeyVault `acme` does not admit"),
            ("shop", "mail@azurekeyvault", "Forbidden: AzureKeyVaultSecret shop/mail: AzureKeyVault `acme` does not"),
            ("shop", "stray@azurekeyvault", "Forbidden: AzureKeyVaultSecret shop/stray: no AzureKeyVault declares"),
            ("shop", "closed@azurekeyvault", "Forbidden: AzureKeyVaultSecret shop/closed: the AzureKeyVault of vault"),
            ("shop", "odd@azurekeyvault", "Invalid: AzureKeyVaultSecret shop/odd is invalid: spec.vault.object.name"),
            ("shop", "DB@azurekeyvault", "Invalid: `DB` is not the name"),
            ("shop", "db@azurekeyvault\n", "Invalid: white space follows"),
            ("shop", "db", "Invalid: not a reference"),
            ("shop", "", "Invalid: not a reference"),
        ] {
            let shown = match check(&snapshot, namespace, reference) {
                Checked::Known => "Known".to_owned(),
                Checked::Unknown(reason) => format!("Unknown: {reason}"),
                Checked::Forbidden(reason) => format!("Forbidden: {reason}"),
                Checked::Invalid(reason) => format!("Invalid: {reason}"),
                Checked::NotYet => "NotYet".to_owned(),
            };
            assert!(shown.starts_with(expected), "{namespace} {reference:?}: {shown}");
        }
    }
}

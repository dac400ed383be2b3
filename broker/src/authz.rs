//! May this namespace read this reference? Pure, deny by default, asked on every read: the cache never short-cuts it.

use std::{fmt, sync::Arc};

use keyward_types::{Reference, VaultName};

use crate::policy::{
    Declared, DefaultAccess, SecretEntry, Snapshot, VaultEntry,
    vault::{NamespaceRule, ObjectRule},
};

/// What was granted, and by which rule.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The `AzureKeyVaultSecret` that names the object.
    pub secret: Arc<SecretEntry>,
    /// The vault it is in.
    pub vault: Arc<VaultEntry>,
    by_namespace: NamespaceRule,
    by_object: ObjectRule,
}

/// What something was granted by. Shown, it is in words, for audit.
#[derive(Clone, Copy, Debug)]
pub struct Rule<'a>(&'a Grant);

/// Why nothing was granted. Every text says what to do, and who can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// Nothing can be said before everything was read.
    #[error("the broker has not read every AzureKeyVaultSecret, AzureKeyVault and Namespace yet; try again")]
    NotSynced,
    /// No such `AzureKeyVaultSecret` in the caller's own namespace.
    #[error(
        "AzureKeyVaultSecret {namespace}/{name} does not exist; create it in that namespace or correct the reference"
    )]
    UnknownSecret {
        /// The caller's namespace.
        namespace: String,
        /// The name asked for.
        name: String,
    },
    /// Its manifest does not hold.
    #[error("AzureKeyVaultSecret {namespace}/{name} is invalid: {reason}")]
    InvalidSecret {
        /// The caller's namespace.
        namespace: String,
        /// The name asked for.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No `AzureKeyVault` declares the vault.
    #[error(
        "{secret}: no AzureKeyVault declares vault `{vault}`; an administrator can add one that admits this namespace"
    )]
    UndeclaredVault {
        /// The secret, in words.
        secret: String,
        /// The vault it names.
        vault: VaultName,
    },
    /// The `AzureKeyVault` cannot be understood.
    #[error("{secret}: the AzureKeyVault of vault `{vault}` is invalid: {reason}")]
    InvalidVault {
        /// The secret, in words.
        secret: String,
        /// The vault it names.
        vault: VaultName,
        /// What is wrong with its declaration.
        reason: String,
    },
    /// The `AzureKeyVault` does not admit the namespace.
    #[error(
        "{secret}: AzureKeyVault `{declared_as}` does not admit namespace `{namespace}`; an administrator can add it to spec.namespaces"
    )]
    Namespace {
        /// The secret, in words.
        secret: String,
        /// The declaration's name.
        declared_as: String,
        /// The caller's namespace.
        namespace: String,
    },
    /// The `AzureKeyVault` does not admit the object.
    #[error(
        "{secret}: AzureKeyVault `{declared_as}` does not admit {object}; an administrator can add it to spec.objects"
    )]
    Object {
        /// The secret, in words.
        secret: String,
        /// The declaration's name.
        declared_as: String,
        /// Type and name of the object.
        object: String,
    },
}

/// Decides. `namespace` is the caller's own, from its token; a reference cannot name another.
pub fn decide(snapshot: &Snapshot, namespace: &str, reference: &Reference) -> Result<Grant, Denial> {
    grant(snapshot, find(snapshot, namespace, reference.name())?)
}

/// Decides about each of `references`, as [`decide`] does about one.
pub fn decide_all(snapshot: &Snapshot, namespace: &str, references: &[Reference]) -> Vec<Result<Grant, Denial>> {
    // First all are found: what the processor waits for comes from memory for several at once then.
    let found: Vec<_> = references.iter().map(|reference| find(snapshot, namespace, reference.name())).collect();
    found.into_iter().map(|found| grant(snapshot, found?)).collect()
}

/// Decides about a secret that was found already, for its own namespace. All who hand something out come through here.
pub fn grant(snapshot: &Snapshot, secret: &Arc<SecretEntry>) -> Result<Grant, Denial> {
    let vault = vault_of(snapshot, secret)?;
    let by_namespace = admit_namespace(snapshot, secret, &vault)?;
    let by_object = admit_object(secret, &vault)?;
    Ok(Grant { secret: Arc::clone(secret), vault, by_namespace, by_object })
}

impl Grant {
    /// By which rule.
    pub fn rule(&self) -> Rule<'_> {
        Rule(self)
    }
}

impl fmt::Display for Rule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Grant { vault, by_namespace, by_object, .. } = self.0;
        let (by_namespace, by_object) = (vault.namespace_rule(*by_namespace), vault.object_rule(*by_object));
        if vault.declared_as.is_empty() {
            return f.write_str("--access-default allow");
        }
        // Piece by piece, without what a format costs: it stands in each audit line for each reference.
        f.write_str("AzureKeyVault ")?;
        f.write_str(&vault.declared_as)?;
        f.write_str(": ")?;
        by_namespace.fmt(f)?;
        f.write_str(", ")?;
        by_object.fmt(f)
    }
}

/// First step: the secret `name` of `namespace`.
pub fn find<'a>(snapshot: &'a Snapshot, namespace: &str, name: &str) -> Result<&'a Arc<SecretEntry>, Denial> {
    if !snapshot.is_complete() {
        return Err(Denial::NotSynced);
    }
    match snapshot.secret(namespace, name) {
        Some(Ok(secret)) => Ok(secret),
        Some(Err(refused)) => Err(Denial::InvalidSecret {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            reason: refused.reason.clone(),
        }),
        None => Err(Denial::UnknownSecret { namespace: namespace.to_owned(), name: name.to_owned() }),
    }
}

/// Second step: the vault it names, as it is declared.
pub fn vault_of(snapshot: &Snapshot, secret: &SecretEntry) -> Result<Arc<VaultEntry>, Denial> {
    match (snapshot.vault(&secret.vault), snapshot.defaults().access) {
        (Some(Declared::Valid(vault)), _) => Ok(Arc::clone(vault)),
        (Some(Declared::Invalid(reason)), _) => {
            Err(Denial::InvalidVault { secret: secret.shown(), vault: secret.vault.clone(), reason: reason.clone() })
        }
        (None, DefaultAccess::Deny) => {
            Err(Denial::UndeclaredVault { secret: secret.shown(), vault: secret.vault.clone() })
        }
        (None, DefaultAccess::Allow) => {
            let open = VaultEntry::undeclared(&secret.vault, snapshot.defaults());
            // Declared under another name it is the same vault, and its rules hold.
            Ok(snapshot.vault_at(&open.origin).map_or_else(|| Arc::new(open), Arc::clone))
        }
    }
}

/// Third step: the rule by which the vault admits the secret's namespace.
pub fn admit_namespace(snapshot: &Snapshot, secret: &SecretEntry, vault: &VaultEntry) -> Result<NamespaceRule, Denial> {
    let namespace = &secret.namespace;
    vault.admits_namespace(namespace, snapshot.namespace_labels(namespace)).ok_or_else(|| Denial::Namespace {
        secret: secret.shown(),
        declared_as: vault.declared_as.clone(),
        namespace: namespace.to_string(),
    })
}

/// Last step: the rule by which the vault admits the object.
pub fn admit_object(secret: &SecretEntry, vault: &VaultEntry) -> Result<ObjectRule, Denial> {
    vault.admits_object(secret.rendering.object_type, &secret.object.name).ok_or_else(|| Denial::Object {
        secret: secret.shown(),
        declared_as: vault.declared_as.clone(),
        object: format!("{} `{}`", secret.object.kind, secret.object.name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{manifests, policy::testing::defaults};

    const MANIFESTS: &str = "
apiVersion: keyward.dev/v1alpha1
kind: AzureKeyVault
metadata: {name: acme}
spec: {vaultName: Acme, namespaces: {names: [shop]}, objects: [{names: ['db*'], types: [secret]}]}
---
apiVersion: keyward.dev/v1alpha1
kind: AzureKeyVault
metadata: {name: broken}
spec: {vaultName: broken, url: 'http://plain', namespaces: {names: ['*']}}
---
apiVersion: spv.no/v1
kind: AzureKeyVaultSecret
metadata: {name: db, namespace: shop}
spec: {vault: {name: ACME, object: {name: DB-Password, type: secret}}}
---
apiVersion: spv.no/v1
kind: AzureKeyVaultSecret
metadata: {name: tls, namespace: shop}
spec: {vault: {name: acme, object: {name: tls, type: certificate}}}
---
apiVersion: spv.no/v1
kind: AzureKeyVaultSecret
metadata: {name: stray, namespace: shop}
spec: {vault: {name: nowhere, object: {name: db, type: secret}}}
---
apiVersion: spv.no/v1
kind: AzureKeyVaultSecret
metadata: {name: closed, namespace: shop}
spec: {vault: {name: broken, object: {name: db, type: secret}}}
---
apiVersion: spv.no/v1
kind: AzureKeyVaultSecret
metadata: {name: odd, namespace: shop}
spec: {vault: {name: acme, object: {name: 'a/../db', type: secret}}}
---
apiVersion: spv.no/v1
kind: AzureKeyVaultSecret
metadata: {name: db, namespace: bank}
spec: {vault: {name: acme, object: {name: db, type: secret}}}
";

    fn snapshot(access: DefaultAccess, manifests: &str) -> Snapshot {
        Snapshot::build(defaults(access), manifests::read("f", manifests))
    }

    fn decided(access: DefaultAccess, namespace: &str, name: &str) -> Result<Grant, Denial> {
        decide(&snapshot(access, MANIFESTS), namespace, &Reference::new(name, None).unwrap())
    }

    #[test]
    fn a_grant_names_its_rule_and_folds_case() {
        let grant = decided(DefaultAccess::Deny, "shop", "db").unwrap();
        assert_eq!(grant.rule().to_string(), "AzureKeyVault acme: namespaces.names `shop`, objects `db*`");
        assert_eq!(grant.vault.origin.to_string(), "https://acme.vault.azure.net");
        assert_eq!(grant.secret.object.name.as_str(), "db-password");
    }

    #[test]
    fn before_everything_was_read_nothing_is_granted_and_nothing_called_unknown() {
        for access in [DefaultAccess::Deny, DefaultAccess::Allow] {
            let unread = Snapshot::unread(defaults(access));
            let decided = decide(&unread, "shop", &Reference::new("db", None).unwrap());
            assert_eq!(decided.err(), Some(Denial::NotSynced));
        }
    }

    #[test]
    fn everything_else_is_denied_for_its_own_reason() {
        for (namespace, name, expected) in [
            ("shop", "unknown", "AzureKeyVaultSecret shop/unknown does not exist"),
            ("other", "db", "AzureKeyVaultSecret other/db does not exist"),
            ("bank", "db", "does not admit namespace `bank`"),
            ("shop", "tls", "does not admit certificate `tls`"),
            ("shop", "stray", "no AzureKeyVault declares vault `nowhere`"),
            ("shop", "closed", "the AzureKeyVault of vault `broken` is invalid"),
            ("shop", "odd", "AzureKeyVaultSecret shop/odd is invalid"),
        ] {
            let denial = decided(DefaultAccess::Deny, namespace, name).unwrap_err().to_string();
            assert!(denial.contains(expected), "{namespace}/{name}: {denial}");
        }
    }

    #[test]
    fn a_vault_declared_under_another_name_is_not_undeclared() {
        let manifests = "
apiVersion: keyward.dev/v1alpha1
kind: AzureKeyVault
metadata: {name: alias}
spec: {vaultName: alias, url: 'https://acme.vault.azure.net', namespaces: {names: [bank]}}
---
apiVersion: spv.no/v1
kind: AzureKeyVaultSecret
metadata: {name: db, namespace: shop}
spec: {vault: {name: acme, object: {name: db, type: secret}}}
";
        let snapshot = snapshot(DefaultAccess::Allow, manifests);
        let denied = decide(&snapshot, "shop", &Reference::new("db", None).unwrap()).unwrap_err();
        assert!(matches!(denied, Denial::Namespace { .. }), "{denied}");
    }

    #[test]
    fn where_undeclared_vaults_are_open_declared_ones_keep_their_rules() {
        let open = MANIFESTS.replace("url: 'http://plain', ", "");
        let snapshot = snapshot(DefaultAccess::Allow, &open);
        let stray = Reference::new("stray", None).unwrap();
        assert_eq!(decide(&snapshot, "shop", &stray).unwrap().rule().to_string(), "--access-default allow");
        for (namespace, name) in [("bank", "db"), ("shop", "tls"), ("shop", "closed"), ("shop", "odd")] {
            assert!(decided(DefaultAccess::Allow, namespace, name).is_err(), "{namespace}/{name}");
        }
    }
}

//! From two snapshots to the secrets that the difference in policy between them concerns. Pure.

use std::sync::Arc;

use crate::{
    authz::{self, Denial},
    cache::CacheKey,
    changes::Change,
    policy::{SecretEntry, Snapshot},
};

/// Secrets told by name; beyond it one word does.
const MAX_TOLD: usize = 512;

/// What is told of it; nothing where no secret is granted or denied otherwise than before. Secrets that are not in both
/// are left out: whoever cares watches them too.
pub(super) fn change(before: &Snapshot, after: &Snapshot) -> Option<Change> {
    if !before.is_complete() {
        return Some(Change::Declarations);
    }
    let concerned = after.secrets().filter(|secret| {
        let known = before.secret(&secret.namespace, &secret.name).and_then(|known| known.as_ref().ok());
        known.is_some_and(|known| outcome(before, known) != outcome(after, secret))
    });
    let names: Vec<_> = concerned.take(MAX_TOLD + 1).map(|one| (one.namespace.clone(), one.name.clone())).collect();
    match names.len() {
        0 => None,
        n if n > MAX_TOLD => Some(Change::Declarations),
        _ => Some(Change::Secrets(names.into())),
    }
}

fn outcome(snapshot: &Snapshot, secret: &Arc<SecretEntry>) -> Result<CacheKey, Denial> {
    authz::grant(snapshot, secret).map(|grant| CacheKey::of(&grant.secret, &grant.vault))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, ACME};

    fn told(before: &str, after: &str) -> Vec<String> {
        match change(&testing::snapshot(before), &testing::snapshot(after)) {
            None => Vec::new(),
            Some(Change::Secrets(names)) => {
                let mut told: Vec<_> = names.iter().map(|(namespace, name)| format!("{namespace}/{name}")).collect();
                told.sort();
                told
            }
            Some(other) => vec![format!("{other:?}")],
        }
    }

    #[test]
    fn only_secrets_whose_grant_differs_are_told() {
        let secrets = [
            testing::secret("shop", "db", "acme", "db"),
            testing::secret("shop", "mail", "acme", "mail"),
            testing::secret("bank", "db", "acme", "db"),
            testing::secret("shop", "stray", "nowhere", "db"),
        ]
        .concat();
        let with = |vault: &str| format!("{vault}{secrets}");
        let acme = with(ACME);
        assert_eq!(told(&acme, &acme), [""; 0]);
        assert_eq!(told(&acme, &with(&ACME.replace("[shop]", "[shop, bank]"))), ["bank/db"]);
        let narrower = ACME.replace("[shop]}", "[shop]}, objects: [{names: [db]}]");
        assert_eq!(told(&acme, &with(&narrower)), ["shop/mail"]);
        let elsewhere = ACME.replace("vaultName: acme", "vaultName: acme, url: 'https://other.vault.azure.net'");
        assert_eq!(told(&acme, &with(&elsewhere)), ["shop/db", "shop/mail"], "what they name is elsewhere");
        assert_eq!(told(&acme, &with("")), ["bank/db", "shop/db", "shop/mail"]);
        assert_eq!(told("", &acme), [""; 0], "who creates a secret hears of it elsewhere");
    }

    #[test]
    fn a_label_of_a_namespace_decides_for_its_secrets() {
        let text = |labels: &str| {
            let vault = ACME.replace("names: [shop]", "selector: {matchLabels: {tier: gold}}");
            let namespace =
                format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: shop, labels: {labels}}}\n");
            [vault, namespace, testing::secret("shop", "db", "acme", "db"), testing::secret("bank", "db", "acme", "db")]
                .concat()
        };
        assert_eq!(told(&text("{}"), &text("{tier: gold}")), ["shop/db"]);
        assert_eq!(told(&text("{tier: gold}"), &text("{tier: gold, a: b}")), [""; 0]);
    }

    #[test]
    fn very_many_are_one_word() {
        let secrets: String = (0..=MAX_TOLD).map(|n| testing::secret("shop", &format!("s{n}"), "acme", "db")).collect();
        assert_eq!(told(&secrets, &format!("{ACME}{secrets}")), ["Declarations"]);
    }

    #[test]
    fn the_first_snapshot_is_news_to_all() {
        let unread = Snapshot::unread(crate::policy::testing::defaults(crate::policy::DefaultAccess::Deny));
        assert_eq!(change(&unread, &testing::snapshot("")), Some(Change::Declarations));
    }
}

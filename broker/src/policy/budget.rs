//! What one of several brokers may spend of a vault's budget. Pure.

use std::num::NonZeroU32;

/// Bounds of a budget: a certificate takes two requests at once; a vault allows 4,000 secret reads in ten seconds, and
/// ten times that is surely a mistake.
pub(super) const MIN: u32 = 10;
pub(super) const MAX: u32 = 40_000;

/// Whether a budget makes sense for all brokers together.
pub(super) fn is_valid(budget: u32) -> bool {
    (MIN..=MAX).contains(&budget)
}

/// The share of one of so many. None is left with less than works, even where all of them together then spend more.
pub(super) fn share(budget: u32, replicas: NonZeroU32) -> u32 {
    (budget / replicas).max(MIN)
}

#[cfg(test)]
mod tests {
    use keyward_types::VaultName;

    use super::*;
    use crate::policy::{DefaultAccess, Defaults, VaultEntry, testing::defaults};

    #[test]
    fn a_share_is_never_more_than_the_budget_nor_less_than_works() {
        for (budget, replicas, expected) in [
            (1_000, 1, 1_000),
            (1_000, 2, 500),
            (1_000, 3, 333),
            (1_000, 100, 10),
            (MAX, 100, 400),
            (19, 2, 10),
            (MIN, 1, MIN),
            (MIN, 100, MIN),
        ] {
            assert_eq!(share(budget, NonZeroU32::new(replicas).unwrap()), expected, "{budget} of {replicas}");
        }
    }

    #[test]
    fn a_vault_has_its_share_whether_it_is_declared_or_not() {
        let defaults = Defaults { replicas: NonZeroU32::new(4).unwrap(), ..defaults(DefaultAccess::Allow) };
        let declared = |spec: &str| VaultEntry::new("a", &serde_saphyr::from_str(spec).unwrap(), &defaults);
        assert_eq!(declared("{vaultName: acme}").unwrap().budget, 250);
        assert_eq!(declared("{vaultName: acme, budget: {requestsPer10Seconds: 4000}}").unwrap().budget, 1_000);
        assert!(declared("{vaultName: acme, budget: {requestsPer10Seconds: 9}}").is_err(), "a share is no budget");
        assert_eq!(VaultEntry::undeclared(&VaultName::new("acme").unwrap(), &defaults).budget, 250);
    }
}

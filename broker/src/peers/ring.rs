//! Which of the replicas owns what: by rendezvous hashing, so that a replica that comes or goes moves nothing but its own
//! part. Pure.

use sha2::{Digest as _, Sha256};

use super::member::MemberId;

/// The owner of `key` among `members`, in whichever order they come; `None` where there are none.
pub fn owner(key: &str, members: impl IntoIterator<Item = MemberId>) -> Option<MemberId> {
    members.into_iter().max_by_key(|member| (weight(key, *member), *member))
}

fn weight(key: &str, member: MemberId) -> [u8; 32] {
    Sha256::new().chain_update(member.number().to_be_bytes()).chain_update(key).finalize().into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn members(numbers: impl IntoIterator<Item = u64>) -> Vec<MemberId> {
        numbers.into_iter().map(MemberId::from).collect()
    }

    #[test]
    fn nobody_owns_where_nobody_is_and_one_alone_owns_all() {
        assert_eq!(owner("https://acme.vault.azure.net", []), None);
        assert_eq!(owner("https://acme.vault.azure.net", members([7])), Some(MemberId::from(7)));
    }

    #[test]
    fn what_is_owned_is_the_same_in_every_version_of_the_broker() {
        let three = members([1, 2, 3]);
        let owners: Vec<_> =
            ["https://a.vault.azure.net", "https://b.vault.azure.net", "https://c.vault.azure.net", "a-pod"]
                .map(|key| owner(key, three.iter().copied()).unwrap().number())
                .into();
        assert_eq!(owners, OWNERS, "replicas of two versions must agree while one is rolled out");
    }

    const OWNERS: [u64; 4] = [1, 2, 2, 2];

    #[test]
    fn three_replicas_have_about_a_third_each() {
        let mut parts: HashMap<MemberId, u32> = HashMap::new();
        for n in 0..3_000 {
            let key = format!("https://vault-{n}.vault.azure.net");
            *parts.entry(owner(&key, members([11, 12, 13])).unwrap()).or_default() += 1;
        }
        assert!(parts.len() == 3 && parts.values().all(|part| (850..1_150).contains(part)), "{parts:?}");
    }

    proptest! {
        #[test]
        fn order_makes_no_difference_and_who_leaves_moves_nothing_but_its_own(
            key in "[a-z]{1,20}", numbers in proptest::collection::btree_set(1_u64.., 2..8), gone in any::<prop::sample::Index>(),
        ) {
            let all = members(numbers);
            let before = owner(&key, all.iter().copied());
            prop_assert_eq!(before, owner(&key, all.iter().rev().copied()));
            let left = *gone.get(&all);
            let after = owner(&key, all.iter().copied().filter(|member| *member != left));
            prop_assert!(before == Some(left) || before == after);
        }
    }
}

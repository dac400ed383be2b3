//! How much of a vault's budget a replica may spend. Pure.
//!
//! Each of `n` replicas holds an `n`th of every budget, and lends it to whom it takes for the vault's owner; its beats tell
//! everybody whom that is. So what all may spend together is never more than the budget, whatever each of them sees: no
//! part is in two hands. An owner that all recognise has all of it.
//!
//! A majority alone would not do: who is in none spends nothing then, and two that take each other for lost, while a third
//! one sees both, are two majorities.

use super::view::Standing;
use crate::budget::Share;

/// What `standing` leaves its replica to spend of the vault at `origin`, where there are `replicas` by configuration.
pub fn share(standing: &Standing, origin: &str, replicas: u32) -> Share {
    let own = standing.owns(origin);
    let lent = standing.peers.iter().filter(|peer| peer.owner(origin) == standing.own).count();
    let seen = standing.peers.len() + 1;
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Share { own, lent: number(lent), of: replicas.max(number(seen)), since: standing.since }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::peers::{
        member::{MemberId, State},
        view::Peer,
    };

    fn standing(own: u64, peers: &[(u64, &[u64])]) -> Standing {
        let ids = |numbers: &[u64]| numbers.iter().copied().map(MemberId::from).collect();
        let peers =
            peers.iter().map(|(id, serving)| Peer { id: (*id).into(), state: State::Serving, serving: ids(serving) });
        Standing { peers: peers.collect(), ..Standing::alone(own.into(), State::Serving) }
    }

    /// A vault that `owner` owns among 1, 2 and 3.
    fn owned_by(owner: u64) -> String {
        let all = standing(1, &[(2, &[]), (3, &[])]);
        let mut keys = (0..1_000).map(|n| format!("https://v{n}.vault.azure.net"));
        keys.find(|key| all.owner(key) == owner.into()).unwrap()
    }

    #[test]
    fn an_owner_has_the_shares_of_those_who_recognise_it() {
        let all: &[u64] = &[1, 2, 3];
        for (peers, replicas, expected) in [
            (vec![(2, all), (3, all)], 3, (3, 3)),
            (vec![(2, all), (3, all)], 1, (3, 3)),
            (vec![(2, all), (3, all)], 5, (3, 5)),
            // One does not see it, one is not there, none is there.
            (vec![(2, all), (3, &[2, 3][..])], 3, (2, 3)),
            (vec![(2, all)], 3, (2, 3)),
            (vec![], 3, (1, 3)),
            (vec![], 1, (1, 1)),
        ] {
            let share = share(&standing(1, &peers), &owned_by(1), replicas);
            assert_eq!((share.parts(), share.of), expected, "{peers:?} {replicas}");
        }
    }

    #[test]
    fn who_does_not_own_a_vault_spends_nothing_but_what_is_lent_to_it_all_the_same() {
        let vault = owned_by(2);
        let all: &[u64] = &[1, 2, 3];
        let agreed = share(&standing(1, &[(2, all), (3, all)]), &vault, 3);
        assert_eq!((agreed.parts(), agreed.of), (0, 3));
        // The third one sees only us: it will ask us, and lends us what that costs.
        let asked = share(&standing(1, &[(2, all), (3, &[1, 3][..])]), &vault, 3);
        assert_eq!((asked.parts(), asked.of), (u32::from(ring_of(&vault, &[1, 3]) == 1), 3));
    }

    fn ring_of(key: &str, members: &[u64]) -> u64 {
        crate::peers::ring::owner(key, members.iter().copied().map(MemberId::from)).unwrap().number()
    }

    #[test]
    fn a_replica_that_warms_up_is_counted_and_lends() {
        let mut warming = standing(1, &[(2, &[1, 2]), (3, &[1, 2])]);
        warming.peers[1].state = State::Warming;
        let vault = (0..1_000).map(|n| format!("v{n}")).find(|key| ring_of(key, &[1, 2]) == 1).unwrap();
        let share = share(&warming, &vault, 2);
        assert_eq!((share.parts(), share.of), (3, 3));
    }

    /// What some replicas are, and whether each sees each of the others.
    #[derive(Debug)]
    struct World {
        states: Vec<State>,
        sees: Vec<Vec<bool>>,
    }

    impl World {
        fn count(&self) -> u32 {
            u32::try_from(self.states.len()).unwrap()
        }

        fn seen(&self, by: usize) -> Vec<usize> {
            (0..self.states.len()).filter(|of| *of != by && self.sees[by][*of]).collect()
        }

        fn all_see_all(&self) -> bool {
            (0..self.states.len()).all(|by| self.seen(by).len() + 1 == self.states.len())
        }

        /// Before it is added what the others say of whom they see.
        fn bare(&self, by: usize) -> Standing {
            let id = |n: usize| MemberId::from(n as u64 + 1);
            let peer = |of: usize| Peer { id: id(of), state: self.states[of], serving: Vec::new() };
            let peers = self.seen(by).into_iter().map(peer).collect();
            Standing { peers, ..Standing::alone(id(by), self.states[by]) }
        }

        fn standing(&self, by: usize) -> Standing {
            let mut standing = self.bare(by);
            for (peer, of) in standing.peers.iter_mut().zip(self.seen(by)) {
                peer.serving = self.bare(of).serving().collect();
            }
            standing
        }
    }

    fn worlds() -> impl Strategy<Value = World> {
        (1_usize..7).prop_flat_map(|count| {
            let state = prop_oneof![4 => Just(State::Serving), 1 => Just(State::Warming), 1 => Just(State::Leaving)];
            let row = proptest::collection::vec(prop_oneof![3 => Just(true), 1 => Just(false)], count);
            let both = (proptest::collection::vec(state, count), proptest::collection::vec(row, count));
            both.prop_map(|(states, sees)| World { states, sees })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn all_together_never_spend_more_than_the_budget(world in worlds(), missing in 0_u32..3, vault in "[a-z]{1,8}") {
            // There may be more of them than was said only where all see all.
            let fewer = if world.all_see_all() { missing } else { 0 };
            let replicas = world.count().saturating_sub(fewer).max(1);
            let spent: f64 = (0..world.states.len()).map(|by| {
                let share = share(&world.standing(by), &vault, replicas);
                f64::from(share.parts()) / f64::from(share.of)
            }).sum();
            prop_assert!(spent <= 1.0 + 1e-9, "{spent}");
            if world.all_see_all() && world.states.iter().all(|state| *state == State::Serving) {
                prop_assert!(spent >= 1.0 - 1e-9, "{spent}");
            }
        }
    }
}

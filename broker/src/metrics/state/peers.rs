//! The series about the other replicas.

use std::sync::atomic::Ordering;

use super::{Samples, number, one, series};
use crate::{
    peers::{Peers, member::State, others::Reads},
    readers::Readers,
};

/// Of whom this replica sees, and of what it owns.
pub(super) fn samples(peers: &Peers, readers: &Readers) -> Vec<Samples> {
    let standing = peers.board.standing();
    let states = [State::Warming, State::Serving, State::Leaving].map(|state| {
        let count = standing.peers.iter().filter(|peer| peer.state == state).count();
        (vec![state.as_str().to_owned()], number(count as u64))
    });
    let Reads { found, refused, moved, failed } = peers.reads();
    let reads = [("found", found), ("refused", refused), ("moved", moved), ("failed", failed)]
        .map(|(outcome, count)| (vec![outcome.to_owned()], number(count.load(Ordering::Relaxed))));
    let silence = peers.board.heard().into_iter().map(|(_, ago)| ago).max();
    let owned = readers.all().iter().filter(|vault| standing.owns(&vault.id().origin.to_string())).count();
    vec![
        (&series::PEERS, states.into()),
        one(&series::PEERS_LOST, peers.board.lost()),
        (&series::PEER_SILENCE, silence.map(|ago| (Vec::new(), ago.as_secs_f64())).into_iter().collect()),
        one(&series::FOLLOWERS, peers.followers.count() as u64),
        one(&series::FOLLOWERS_CUT_OFF, peers.followers.cut_off()),
        (&series::PEER_READS, reads.into()),
        one(&series::VAULTS_OWNED, owned as u64),
        one(&series::VAULTS_WON, peers.won()),
    ]
}

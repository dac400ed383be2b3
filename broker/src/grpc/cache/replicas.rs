//! The replicas as a status shows them. Pure.

use std::time::{Duration, SystemTime};

use keyward_proto::v1;

use crate::{
    grpc::timestamp,
    peers::{member::MemberId, view::Standing},
};

/// This replica first, then the others by id, each with when it was `heard`.
pub(super) fn shown(standing: &Standing, heard: &[(MemberId, Duration)], now: SystemTime) -> Vec<v1::Replica> {
    let own = v1::Replica {
        id: standing.own.to_string(),
        state: standing.state.as_str().to_owned(),
        own: true,
        heard_at: None,
    };
    let others = standing.peers.iter().map(|peer| {
        let ago = heard.iter().find(|(id, _)| *id == peer.id).and_then(|(_, ago)| now.checked_sub(*ago));
        v1::Replica {
            id: peer.id.to_string(),
            state: peer.state.as_str().to_owned(),
            own: false,
            heard_at: ago.map(timestamp),
        }
    });
    std::iter::once(own).chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::{member::State, view::Peer};

    #[test]
    fn this_replica_comes_first_and_each_other_says_when_it_was_heard() {
        let peer = |id: u64, state| Peer { id: id.into(), state, serving: Vec::new() };
        let peers = vec![peer(1, State::Serving), peer(2, State::Leaving)];
        let standing = Standing { peers, ..Standing::alone(7.into(), State::Warming) };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let shown = shown(&standing, &[(1.into(), Duration::from_secs(3))], now);
        let told: Vec<_> = shown.iter().map(|one| (one.id.as_str(), one.state.as_str(), one.own)).collect();
        assert_eq!(
            told,
            [
                ("0000000000000007", "warming", true),
                ("0000000000000001", "serving", false),
                ("0000000000000002", "leaving", false),
            ]
        );
        let heard: Vec<_> = shown.iter().map(|one| one.heard_at.map(|at| at.seconds)).collect();
        assert_eq!(heard, [None, Some(97), None]);
    }
}

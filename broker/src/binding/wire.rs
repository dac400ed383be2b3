//! Records and verdicts as replicas send them to each other. Pure.

use std::{sync::Arc, time::Duration};

use keyward_proto::v1::{self, ContainerStart, RedeemRequest, RedeemResponse, RedeemedStart};

use super::{
    claim::is_container,
    ledger::{Grant, Handed, Key, Redemption, Verdict},
    nonce::Nonce,
    start::{Shown, Start},
};
use crate::{authn::MAX_UID, milliseconds::milliseconds};

/// A redemption as it is sent to the owner of its pod.
pub(super) fn of_redemption(redemption: &Redemption) -> RedeemRequest {
    let Redemption { key, nonce, shown } = redemption;
    RedeemRequest {
        pod_uid: key.pod_uid.clone(),
        container: key.container.clone(),
        nonce: nonce.as_bytes().to_vec(),
        shown: Some(of_start(shown.start)),
        running: shown.is_running,
        over: shown.is_over,
    }
}

/// The same, as it comes; `None` where it is none.
pub(super) fn to_redemption(request: RedeemRequest) -> Option<Redemption> {
    let RedeemRequest { pod_uid, container, nonce, shown, running, over } = request;
    let shown = Shown { start: to_start(shown?), is_running: running, is_over: over };
    Some(Redemption { key: key(pod_uid, container)?, nonce: Nonce::new(&nonce)?, shown })
}

pub(super) fn of_verdict(verdict: Verdict) -> RedeemResponse {
    let (redemption, start) = match verdict {
        Verdict::Granted(Grant::First) => (v1::Redemption::First, None),
        Verdict::Granted(Grant::Unrecorded) => (v1::Redemption::Unrecorded, None),
        Verdict::Granted(Grant::Repeated) => (v1::Redemption::Repeated, None),
        Verdict::Granted(Grant::Restarted) => (v1::Redemption::Restarted, None),
        Verdict::Wait(start) => (v1::Redemption::Wait, Some(of_start(start))),
        Verdict::Replayed => (v1::Redemption::Replayed, None),
    };
    RedeemResponse { redemption: redemption.into(), start }
}

/// `None` where it is no verdict that this version knows: then nothing is granted.
pub(super) fn to_verdict(response: RedeemResponse) -> Option<Verdict> {
    Some(match response.redemption() {
        v1::Redemption::Unspecified => return None,
        v1::Redemption::First => Verdict::Granted(Grant::First),
        v1::Redemption::Unrecorded => Verdict::Granted(Grant::Unrecorded),
        v1::Redemption::Repeated => Verdict::Granted(Grant::Repeated),
        v1::Redemption::Restarted => Verdict::Granted(Grant::Restarted),
        v1::Redemption::Wait => Verdict::Wait(to_start(response.start?)),
        v1::Redemption::Replayed => Verdict::Replayed,
    })
}

pub(super) fn of_handed(handed: Handed) -> RedeemedStart {
    let Handed { key, nonce, start, age } = handed;
    RedeemedStart {
        pod_uid: key.pod_uid.clone(),
        container: key.container.clone(),
        nonce: nonce.map(|nonce| nonce.as_bytes().to_vec()).unwrap_or_default(),
        start: Some(of_start(start)),
        ms_ago: milliseconds(age),
    }
}

/// `None` where it is none.
pub(super) fn to_handed(recorded: RedeemedStart) -> Option<Handed> {
    let RedeemedStart { pod_uid, container, nonce, start, ms_ago } = recorded;
    let nonce = if nonce.is_empty() { None } else { Some(Nonce::new(&nonce)?) };
    Some(Handed { key: key(pod_uid, container)?, nonce, start: to_start(start?), age: Duration::from_millis(ms_ago) })
}

fn key(pod_uid: String, container: String) -> Option<Arc<Key>> {
    let is_one = (1..=MAX_UID).contains(&pod_uid.len()) && is_container(&container);
    is_one.then(|| Arc::new(Key { pod_uid, container }))
}

fn of_start(start: Start) -> ContainerStart {
    ContainerStart { restarts: start.restarts, began: start.began }
}

fn to_start(start: ContainerStart) -> Start {
    Start { restarts: start.restarts, began: start.began }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Start = Start { restarts: 3, began: Some(-7) };

    fn redemption() -> Redemption {
        let shown = Shown { start: START, is_running: true, is_over: false };
        let key = Arc::new(Key { pod_uid: "u-1".into(), container: "app".into() });
        Redemption { key, nonce: Nonce::new(&[7; 16]).unwrap(), shown }
    }

    #[test]
    fn what_is_sent_is_what_comes() {
        let (sent, came) = (redemption(), to_redemption(of_redemption(&redemption())).unwrap());
        assert_eq!((sent.key, sent.shown), (came.key, came.shown));
        assert!(sent.nonce == came.nonce);
        for grant in [Grant::First, Grant::Unrecorded, Grant::Repeated, Grant::Restarted] {
            let verdict = Verdict::Granted(grant);
            assert_eq!(to_verdict(of_verdict(verdict)), Some(verdict));
        }
        for verdict in [Verdict::Wait(START), Verdict::Wait(Start::default()), Verdict::Replayed] {
            assert_eq!(to_verdict(of_verdict(verdict)), Some(verdict));
        }
        for nonce in [None, Nonce::new(&[7; 64])] {
            let handed = Handed { key: redemption().key, nonce, start: START, age: Duration::from_millis(61_001) };
            assert_eq!(to_handed(of_handed(handed.clone())), Some(handed));
        }
    }

    #[test]
    fn what_is_none_is_not_taken() {
        let good = || of_redemption(&redemption());
        for bad in [
            RedeemRequest { pod_uid: String::new(), ..good() },
            RedeemRequest { pod_uid: "u".repeat(65), ..good() },
            RedeemRequest { container: "a/b".into(), ..good() },
            RedeemRequest { nonce: Vec::new(), ..good() },
            RedeemRequest { nonce: vec![0; 65], ..good() },
            RedeemRequest { shown: None, ..good() },
        ] {
            assert!(to_redemption(bad.clone()).is_none(), "{bad:?}");
        }
        for bad in [
            RedeemResponse::default(),
            RedeemResponse { redemption: 99, start: None },
            RedeemResponse { redemption: v1::Redemption::Wait.into(), start: None },
        ] {
            assert_eq!(to_verdict(bad), None, "{bad:?}");
        }
        assert_eq!(to_handed(RedeemedStart::default()), None);
    }
}

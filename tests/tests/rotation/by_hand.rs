//! What the suite itself is worth: by hand it can be done well and badly, and the suite must tell one from the other.

use keyward_tests::{
    ca::TestCa,
    rotation::{
        by_hand::{Hand, Pairs},
        calls::Kind,
        served::{Rotations, Server},
        stand::{PATIENCE, Stand},
        until,
    },
};

use super::support::{Loaded, delays};

/// All but the connection that is kept notice whom they trust.
const NOTICE: [Kind; 4] = [Kind::ResolveAnew, Kind::Launch, Kind::ReviewAnew, Kind::ReviewKept];

struct ByHand {
    loaded: Loaded,
    hand: Hand,
    old: TestCa,
    /// Of the old one, in use from the start.
    first: Pairs,
    new: TestCa,
}

impl ByHand {
    /// With certificates of `old`, and calls that succeed.
    async fn start() -> Self {
        let stand = Stand::start(delays()).await.unwrap();
        let hand = Hand::at(&stand.api);
        let [old, new] = ["old", "new"].map(|name| TestCa::new(name).unwrap());
        let first = Pairs::of(&old).unwrap();
        hand.serve(&first, &old.cert_pem());
        hand.trust(&old.cert_pem());
        Self { loaded: Loaded::of(stand).await, hand, old, first, new }
    }

    /// Returns once pods and servers trust `bundle`, which is of so many.
    async fn until_trusted(&self, bundle: &str, authorities: usize) {
        self.loaded.until("it is projected", |loaded| loaded.stand.projected() == bundle).await;
        for server in Server::ALL {
            let trusts = async || self.loaded.stand.trusted(server).await.unwrap() == authorities;
            until("the servers trust them", PATIENCE, trusts).await.unwrap();
        }
    }
}

#[tokio::test]
async fn without_an_overlap_calls_of_every_kind_fail_and_are_counted_with_their_reasons() {
    let ByHand { mut loaded, hand, new, .. } = ByHand::start().await;
    hand.trust(&new.cert_pem());
    let noticed = |loaded: &Loaded| NOTICE.iter().all(|kind| loaded.load.calls.of(*kind).failures() > 0);
    loaded.until("calls fail", noticed).await;
    hand.serve(&Pairs::of(&new).unwrap(), &new.cert_pem());
    let served = Rotations { authorities: 1, leaves: 2 };
    loaded.until("the new certificates are shown", |loaded| loaded.load.served.total() == served).await;
    loaded.go_on().await;
    let report = loaded.stand.report(loaded.load).await.unwrap();
    for kind in NOTICE {
        let reasons: Vec<_> = report.calls[&kind].failed.keys().collect();
        let why = if kind == Kind::Launch { "trusted" } else { "UnknownIssuer" };
        assert!(reasons.iter().any(|reason| reason.contains(why)), "{kind:?}: {report}");
    }
    assert!(report.handshakes.values().all(|failed| *failed > 0), "{report}");
}

#[tokio::test]
async fn with_an_overlap_no_call_fails() {
    let run = ByHand::start().await;
    let both = run.old.cert_pem() + &run.new.cert_pem();
    let new = Pairs::of(&run.new).unwrap();
    run.hand.serve(&run.first, &both);
    run.hand.trust(&both);
    run.until_trusted(&both, 2).await;
    run.hand.serve(&new, &both);
    run.loaded.until("the new certificates are shown", |loaded| loaded.load.served.total().authorities == 1).await;
    run.loaded.go_on().await;
    run.hand.trust(&run.new.cert_pem());
    run.hand.serve(&new, &run.new.cert_pem());
    run.until_trusted(&run.new.cert_pem(), 1).await;
    let report = run.loaded.without_failure().await;
    for server in Server::ALL {
        assert_eq!(report.rotations[&server], Rotations { authorities: 1, leaves: 1 }, "{report}");
    }
}

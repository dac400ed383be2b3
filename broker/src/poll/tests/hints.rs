//! Looks because of hints, and what they cost.

use keyward_types::ObjectName;

use super::*;
use crate::poll::hints::{About, Follower, Hint, Hinted as _, Hints};

/// Longer than hints are gathered for, and shorter than until the next look.
const SOON: Duration = Duration::from_millis(150);

impl Fixture {
    fn follower(&self) -> (Hints, CancellationToken, JoinHandle<()>) {
        let Rounds { cache, snapshot, .. } = self.rounds.clone();
        let settings = Settings { reread_after: Duration::from_secs(24 * 3_600), chance: || 1.0 };
        let (poller, refresher) =
            Poller::new(cache, Arc::clone(&self.readers), snapshot, Board::alone(1).watch(), settings);
        let (follower, hints) = Follower::new(poller.looks(&refresher));
        let stop = CancellationToken::new();
        let (polling, following) = (poller.run(stop.clone()), follower.run(stop.clone()));
        let running = tokio::spawn(async move {
            let ((), Ok(())) = tokio::join!(polling, following);
        });
        (hints, stop, running)
    }

    fn hint(&self, hints: &Hints, name: &str) {
        let about = ObjectName::new(name).map_or(About::Vault, About::Object);
        hints.hint(Hint { vault: self.vault.id().origin.clone(), about });
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_hinted_is_read_soon_and_nothing_else_is() {
    let all = fixture(400, 40).await;
    let mut told = all.changes.listen();
    let (hints, stop, running) = all.follower();
    all.fake.set("s7");
    all.fake.set("s8");
    for name in ["s7", "S7", "s8", "s9", "s300", "nowhere"] {
        all.hint(&hints, name);
    }
    tokio::time::sleep(SOON).await;
    let mut made = all.fake.take_calls();
    made.sort();
    assert_eq!(made, ["get s7", "get s8", "get s9"], "s300 is not held, and nowhere is nothing");
    assert_eq!(all.value("s7").await.unwrap(), "kwcanary-s7-2");
    let mut changed = [told.try_recv().unwrap(), told.try_recv().unwrap()];
    changed.sort_by_key(|change| format!("{change:?}"));
    assert_eq!(changed, ["s7", "s8"].map(|name| Change::Object(Arc::new(all.key(name)))));
    assert!(told.try_recv().is_err());
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_is_found_again_when_it_comes_back() {
    let all = fixture(400, 40).await;
    all.fake.enable("s7", false);
    all.round().await;
    let (hints, stop, running) = all.follower();
    let mut told = all.changes.listen();
    all.fake.enable("s7", true);
    all.hint(&hints, "s7");
    tokio::time::sleep(SOON).await;
    assert_eq!(all.fake.take_calls(), ["get s7"]);
    assert_eq!(told.try_recv().unwrap(), Change::Object(Arc::new(all.key("s7"))));
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_storm_costs_one_look_a_second() {
    let all = fixture(400, 40).await;
    let (hints, stop, running) = all.follower();
    for _ in 0..10_000 {
        all.hint(&hints, "s7");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(all.fake.take_calls().len(), 10);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn word_of_a_vault_makes_one_round_and_no_more_within_ten_seconds() {
    let all = fixture(400, 40).await;
    let (hints, stop, running) = all.follower();
    all.round().await;
    for (wait, rounds) in [(SOON, 1), (Duration::from_secs(5), 0), (Duration::from_secs(5), 1)] {
        all.hint(&hints, "");
        tokio::time::sleep(wait).await;
        // A round lists sixteen pages.
        assert_eq!(all.fake.take_calls().len(), rounds * 16);
    }
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_look_that_the_vault_does_not_let_end_is_made_up_for() {
    let all = fixture(400, 40).await;
    let (hints, stop, running) = all.follower();
    all.fake.set("s7");
    all.fake.outage(Some(ReadError::Unreachable("status 503".into())));
    all.hint(&hints, "s7");
    tokio::time::sleep(SOON).await;
    assert_eq!(all.value("s7").await.unwrap(), "kwcanary-s7-1", "an outage takes nothing away");
    all.fake.outage(None);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(all.value("s7").await.unwrap(), "kwcanary-s7-2");
    stop.cancel();
    running.await.unwrap();
}

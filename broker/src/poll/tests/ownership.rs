//! Of several replicas one polls, and another one goes on where it stopped.

use super::*;
use crate::peers::member::{Beat, MemberId, State};

/// A board on which another replica owns the vault.
fn owned_by_another(vault: &OpenVault) -> (Board, MemberId) {
    let board = Board::among(1);
    board.set_state(State::Serving);
    let origin = vault.id().origin.to_string();
    for id in 1.. {
        let id = MemberId::from(id);
        board.hear(Beat { id, state: State::Serving, serving: vec![id] });
        if board.standing().owner(&origin) == id {
            return (board, id);
        }
        board.lose(id);
    }
    unreachable!()
}

#[tokio::test(start_paused = true)]
async fn only_the_owner_polls_and_the_next_one_when_the_one_before_would_have() {
    for (lost_after, polled_after) in [(20, 60), (59, 60), (200, 201)] {
        let began = Instant::now();
        let all = fixture(40, 1).await;
        let (board, other) = owned_by_another(&all.vault);
        let (_refresher, stop, running) = all.poller_of(board.watch());
        let at = async |seconds: u64, from: u64| {
            tokio::time::sleep(Duration::from_secs(seconds - from)).await;
            all.fake.take_calls().len()
        };
        assert_eq!(at(lost_after, 0).await, 0, "another one polls");
        board.lose(other);
        tokio::time::sleep(Duration::from_millis(900)).await;
        assert_eq!(all.fake.take_calls().len(), 0, "not at once: it may be back in a moment");
        tokio::time::sleep_until(began + Duration::from_secs(polled_after) + Duration::from_millis(950)).await;
        assert_eq!(all.fake.take_calls().len(), 1, "lost after {lost_after} s");
        // It is back, and polls again.
        board.hear(Beat { id: other, state: State::Serving, serving: vec![other] });
        assert_eq!(at(300, 0).await, 0);
        stop.cancel();
        running.await.unwrap();
    }
}

//! Whom a replica sees, by their beats; and what it makes of that: who serves, who owns what, what it may spend. Pure: the
//! time is a parameter.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{
    member::{Beat, MemberId, State},
    ring,
};

/// Who says nothing for so long is lost: his part has another owner from then on.
pub const LOST_AFTER: Duration = Duration::from_millis(900);

/// What is heard.
#[derive(Debug)]
pub struct View {
    own: MemberId,
    state: State,
    peers: BTreeMap<MemberId, Heard>,
    lost: u64,
    since: Option<Instant>,
}

#[derive(Debug)]
struct Heard {
    state: State,
    serving: Vec<MemberId>,
    at: Instant,
}

/// What a view comes to at one moment: immutable, and the same for all who look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// This replica.
    pub own: MemberId,
    /// What it says of itself.
    pub state: State,
    /// The others it sees, by id.
    pub peers: Vec<Peer>,
    /// Since when it is so; `None` where it has never been otherwise.
    pub since: Option<Instant>,
}

/// Another replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Who it is.
    pub id: MemberId,
    /// What it says of itself.
    pub state: State,
    /// Whom it says that it sees serve.
    pub serving: Vec<MemberId>,
}

impl View {
    /// Of `own`, which sees nobody yet. `since` where there may be others that it has not seen.
    pub fn new(own: MemberId, state: State, since: Option<Instant>) -> Self {
        Self { own, state, peers: BTreeMap::new(), lost: 0, since }
    }

    /// This replica says something else of itself from now on. Whether that is news.
    pub fn set_state(&mut self, state: State, now: Instant) -> bool {
        let news = self.state != state;
        if news {
            self.state = state;
            self.since = Some(now);
        }
        news
    }

    /// Another one has told how it is. Whether that is news.
    pub fn hear(&mut self, beat: Beat, now: Instant) -> bool {
        let Beat { id, state, serving } = beat;
        if id == self.own {
            return false;
        }
        let heard = Heard { state, serving, at: now };
        let news = match self.peers.get(&id) {
            Some(known) => known.state != heard.state || known.serving != heard.serving,
            None => true,
        };
        self.peers.insert(id, heard);
        if news {
            self.since = Some(now);
        }
        news
    }

    /// Something else came from it: it is alive.
    pub fn alive(&mut self, id: MemberId, now: Instant) {
        if let Some(heard) = self.peers.get_mut(&id) {
            heard.at = now;
        }
    }

    /// It is not heard any more. Whether that is news.
    pub fn lose(&mut self, id: MemberId, now: Instant) -> bool {
        let Some(known) = self.peers.remove(&id) else { return false };
        // Who said that it would go is not missed.
        self.lost += u64::from(known.state != State::Leaving);
        self.since = Some(now);
        true
    }

    /// Those who have been silent for too long.
    pub fn silent(&self, now: Instant) -> Vec<MemberId> {
        let silent = |heard: &Heard| now.saturating_duration_since(heard.at) >= LOST_AFTER;
        self.peers.iter().filter(|(_, heard)| silent(heard)).map(|(id, _)| *id).collect()
    }

    /// When the next one has been silent for too long, if it says nothing until then.
    pub fn next_silence(&self) -> Option<Instant> {
        self.peers.values().map(|heard| heard.at + LOST_AFTER).min()
    }

    /// How long ago each was heard.
    pub fn heard(&self, now: Instant) -> impl Iterator<Item = (MemberId, Duration)> + '_ {
        self.peers.iter().map(move |(id, heard)| (*id, now.saturating_duration_since(heard.at)))
    }

    /// How many were lost without a word since the start.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// What it comes to.
    pub fn standing(&self) -> Standing {
        let peers = self.peers.iter().map(|(id, Heard { state, serving, .. })| Peer {
            id: *id,
            state: *state,
            serving: serving.clone(),
        });
        Standing { own: self.own, state: self.state, peers: peers.collect(), since: self.since }
    }
}

impl Standing {
    /// Of one who has no others.
    pub fn alone(own: MemberId, state: State) -> Self {
        Self { own, state, peers: Vec::new(), since: None }
    }

    /// Who serves, this replica included where it does.
    pub fn serving(&self) -> impl Iterator<Item = MemberId> + '_ {
        let own = (self.state == State::Serving).then_some(self.own);
        let others = self.peers.iter().filter(|peer| peer.state == State::Serving).map(|peer| peer.id);
        own.into_iter().chain(others)
    }

    /// Who owns `key`: this replica where nobody serves.
    pub fn owner(&self, key: &str) -> MemberId {
        ring::owner(key, self.serving()).unwrap_or(self.own)
    }

    /// Whether this replica owns `key`.
    pub fn owns(&self, key: &str) -> bool {
        self.owner(key) == self.own
    }

    /// What to tell the others.
    pub fn beat(&self) -> Beat {
        Beat { id: self.own, state: self.state, serving: self.serving().collect() }
    }
}

impl Peer {
    /// Whom it takes for the owner of `key`: itself where it sees nobody serve.
    pub fn owner(&self, key: &str) -> MemberId {
        ring::owner(key, self.serving.iter().copied()).unwrap_or(self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: u64 = 1;

    fn ids(numbers: &[u64]) -> Vec<MemberId> {
        numbers.iter().copied().map(MemberId::from).collect()
    }

    fn beat(id: u64, state: State, serving: &[u64]) -> Beat {
        Beat { id: id.into(), state, serving: ids(serving) }
    }

    fn view() -> (View, Instant) {
        (View::new(OWN.into(), State::Serving, None), Instant::now())
    }

    #[test]
    fn a_replica_is_seen_by_its_beats_and_lost_after_nine_tenths_of_a_second_without() {
        let (mut view, began) = view();
        let at = |milliseconds| began + Duration::from_millis(milliseconds);
        assert!(view.hear(beat(2, State::Serving, &[2]), began));
        assert!(!view.hear(beat(2, State::Serving, &[2]), at(200)), "the same once more is no news");
        assert!(view.hear(beat(2, State::Serving, &[1, 2]), at(400)));
        assert_eq!(view.silent(at(1_299)), []);
        assert_eq!(view.silent(at(1_300)), ids(&[2]));
        view.alive(2.into(), at(1_300));
        assert_eq!(view.silent(at(2_199)), [], "whatever it says, it is alive");
        assert!(view.lose(2.into(), at(2_200)) && !view.lose(2.into(), at(2_200)));
        assert_eq!((view.lost(), view.standing().serving().collect::<Vec<_>>()), (1, ids(&[1])));
        view.alive(2.into(), at(2_300));
        assert_eq!(view.standing().peers, [], "what is left in the pipe brings nobody back");
    }

    #[test]
    fn only_who_serves_owns_and_who_leaves_is_not_missed() {
        let (mut view, now) = view();
        for (own, other, serving) in [
            (State::Serving, State::Serving, vec![1, 2]),
            (State::Serving, State::Warming, vec![1]),
            (State::Serving, State::Leaving, vec![1]),
            (State::Warming, State::Serving, vec![2]),
            (State::Leaving, State::Serving, vec![2]),
            (State::Warming, State::Warming, vec![]),
        ] {
            view.set_state(own, now);
            view.hear(beat(2, other, &[2]), now);
            let standing = view.standing();
            assert_eq!(standing.serving().collect::<Vec<_>>(), ids(&serving), "{own:?} {other:?}");
            for key in ["a", "b", "c", "d"] {
                let owner = standing.owner(key).number();
                assert!(serving.contains(&owner) || (serving.is_empty() && owner == OWN), "{own:?} {other:?}");
            }
        }
        view.hear(beat(2, State::Leaving, &[]), now);
        view.lose(2.into(), now);
        assert_eq!(view.lost(), 0);
    }

    #[test]
    fn ones_own_beat_is_not_heard() {
        let (mut view, now) = view();
        assert!(!view.hear(beat(OWN, State::Leaving, &[]), now));
        assert_eq!(view.standing(), Standing::alone(OWN.into(), State::Serving));
    }

    #[test]
    fn it_is_known_since_when_things_are_as_they_are() {
        let (mut view, now) = view();
        assert_eq!(view.standing().since, None);
        let later = now + Duration::from_secs(5);
        view.hear(beat(2, State::Serving, &[2]), later);
        view.hear(beat(2, State::Serving, &[2]), later + LOST_AFTER / 2);
        view.set_state(State::Serving, later + LOST_AFTER);
        assert_eq!(view.standing().since, Some(later));
        view.set_state(State::Leaving, later + LOST_AFTER);
        assert_eq!(view.standing().since, Some(later + LOST_AFTER));
    }

    #[test]
    fn two_who_see_the_same_agree_on_every_owner() {
        let (mut one, now) = view();
        let mut two = View::new(2.into(), State::Serving, None);
        one.hear(beat(2, State::Serving, &[1, 2, 3]), now);
        one.hear(beat(3, State::Serving, &[1, 2, 3]), now);
        two.hear(beat(1, State::Serving, &[1, 2, 3]), now);
        two.hear(beat(3, State::Serving, &[1, 2, 3]), now);
        for key in ["a", "b", "c", "d", "e", "f", "g"] {
            assert_eq!(one.standing().owner(key), two.standing().owner(key));
            assert!(one.standing().peers.iter().all(|peer| peer.owner(key) == one.standing().owner(key)));
        }
    }
}

//! One replica tells and another one does it too, without a network in between.

use tokio::time::advance;
use tokio_util::task::TaskTracker;

use super::*;
use crate::{
    cache::ReadAt,
    changes::{Change, Changes},
    peers::{
        board::Board,
        followers::Following,
        member::{Beat, State},
        pieces::Script,
        ring,
    },
    policy::VaultEntry,
    testing::{self, Memory, entry},
    vault::testing::secret,
};

/// A replica, what it holds, and whom it sees.
struct Replica {
    peers: Arc<Peers>,
    copies: Copies,
    changes: Changes,
}

fn replica() -> Replica {
    let peers = Arc::new(Peers::new(Board::among(2)));
    peers.board.set_state(State::Serving);
    let changes = Changes::default();
    let cache = ObjectCache::among(1 << 20, TaskTracker::new(), changes.clone(), Arc::clone(&peers) as _);
    let snapshot = Arc::new(Current::new(testing::snapshot(testing::ACME)));
    let copies = Copies { cache, snapshot, readers: testing::readers(&Memory::new(0)) };
    Replica { peers, copies, changes }
}

impl Replica {
    fn vault(&self) -> Arc<VaultEntry> {
        self.copies.snapshot.load().usable_vaults().next().unwrap()
    }

    fn key(&self, name: &str) -> Arc<CacheKey> {
        Arc::new(CacheKey { vault: Arc::clone(&self.vault().id), object: Arc::new(secret(name)) })
    }

    /// It reads an object from the vault.
    async fn read(&self, name: &str, version: char) -> Arc<CacheKey> {
        let (key, entry) = (self.key(name), Arc::new(entry(version, Keeper::SELF)));
        self.copies.cache.mirror(Arc::clone(&key), Arc::clone(&entry), News::Same).await;
        self.peers.followers.tell(&Event::Landed(Arc::clone(&key), entry, News::Landed));
        key
    }

    fn version(&self, name: &str) -> Option<char> {
        self.copies.cache.held(&self.key(name)).and_then(|entry| entry.version.as_str().chars().next())
    }

    fn age(&self, name: &str) -> u64 {
        self.copies.cache.held(&self.key(name)).unwrap().age(Instant::now()).as_secs()
    }
}

/// What one tells the other.
struct Stream {
    from: Replica,
    to: Replica,
    following: Following,
    script: Script,
    mirror: Mirror,
}

impl Stream {
    /// Of two that see each other; the one that tells owns the vault, or the other one.
    fn open(teller_owns: bool) -> Self {
        loop {
            let (from, to) = (replica(), replica());
            let ids = [from.peers.own(), to.peers.own()];
            let owner = ring::owner(&from.vault().origin.to_string(), ids).unwrap();
            if (owner == ids[0]) == teller_owns {
                return Self::between(from, to);
            }
        }
    }

    fn between(from: Replica, to: Replica) -> Self {
        let ids = vec![from.peers.own(), to.peers.own()];
        for (one, other) in [(&from, &to), (&to, &from)] {
            let beat = Beat { id: other.peers.own(), state: State::Serving, serving: ids.clone() };
            one.peers.board.hear(beat);
        }
        let following = from.peers.followers.add(7.into()).unwrap();
        let mirror = Mirror::new(Arc::clone(&to.peers), to.copies.clone(), from.peers.own());
        Self { from, to, following, script: Script::default(), mirror }
    }

    async fn tell_everything(&mut self) {
        let mut last = Then::Nothing;
        for message in Script::everything(&self.from.copies.cache) {
            last = self.mirror.hear(message.word.unwrap(), Instant::now()).await.unwrap();
        }
        assert_eq!(last, Then::Complete);
    }

    /// Tells the next thing in the queue.
    async fn tell(&mut self) -> Vec<Then> {
        let mut all = Vec::new();
        for word in self.messages().await {
            all.push(self.mirror.hear(word, Instant::now()).await.unwrap());
        }
        all
    }

    /// The next thing in the queue, as it travels now.
    async fn messages(&mut self) -> Vec<Word> {
        let event = self.following.next().await.unwrap();
        self.script.of(event, &self.from.copies.cache).map(|message| message.word.unwrap()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn everything_that_is_held_is_copied_with_its_age() {
    let mut stream = Stream::open(true);
    for name in ["a", "b", "c"] {
        stream.from.read(name, '1').await;
    }
    advance(Duration::from_secs(40)).await;
    stream.tell_everything().await;
    for name in ["a", "b", "c"] {
        assert_eq!((stream.to.version(name), stream.to.age(name)), (Some('1'), 40), "{name}");
    }
    assert!(
        stream.to.copies.readers.get(&stream.to.vault().id).is_some(),
        "what is held of a closed vault is forgotten"
    );
}

#[tokio::test(start_paused = true)]
async fn what_lands_later_is_copied_and_told_to_who_listens_there() {
    let mut stream = Stream::open(true);
    let mut heard = stream.to.changes.listen();
    let key = stream.from.read("a", '1').await;
    stream.tell().await;
    assert_eq!(stream.to.version("a"), Some('1'));
    assert_eq!(heard.try_recv().unwrap(), Change::Landed(key));
}

#[tokio::test(start_paused = true)]
async fn an_older_read_that_is_told_late_takes_nothing_back() {
    let mut stream = Stream::open(true);
    stream.from.read("a", '1').await;
    advance(Duration::from_secs(1)).await;
    stream.to.read("a", '2').await;
    stream.tell().await;
    assert_eq!(stream.to.version("a"), Some('2'));
}

#[tokio::test(start_paused = true)]
async fn an_older_read_whose_word_was_under_way_for_long_takes_nothing_back() {
    let mut stream = Stream::open(true);
    stream.from.read("a", '1').await;
    let (said, waiting) = (Instant::now(), stream.messages().await);
    advance(Duration::from_secs(2)).await;
    // Dated in the same second, for all that is known: nothing but the time of its reading makes it the newer one.
    stream.to.read("a", '2').await;
    advance(Duration::from_secs(1)).await;
    for word in waiting {
        stream.mirror.hear(word, said).await.unwrap();
    }
    assert_eq!(stream.to.version("a"), Some('2'));
}

#[tokio::test(start_paused = true)]
async fn of_words_that_had_to_wait_the_later_reading_wins() {
    for (change, expected) in [(Some('2'), Some('2')), (None, None)] {
        let mut stream = Stream::open(true);
        let key = stream.from.read("a", '1').await;
        advance(Duration::from_millis(20)).await;
        let mut waiting = stream.messages().await;
        advance(Duration::from_millis(980)).await;
        let found = change.map_or_else(
            || Found::Refused(ReadAt::here(Instant::now())),
            |version| Found::Entry(Arc::new(entry(version, Keeper::SELF))),
        );
        let batch = Arc::new(Batch { vault: Arc::clone(&stream.from.vault().id), changes: vec![(key, found)] });
        // Longer than from the first reading to word of it.
        advance(Duration::from_millis(300)).await;
        for event in [Event::Prepare(1, Arc::clone(&batch)), Event::Commit(1, batch)] {
            stream.from.peers.followers.tell(&event);
            waiting.extend(stream.messages().await);
        }
        advance(Duration::from_secs(1)).await;
        for word in waiting {
            stream.mirror.hear(word, Instant::now()).await.unwrap();
        }
        assert_eq!(stream.to.version("a"), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_held_back_and_then_seen_at_once() {
    let mut stream = Stream::open(true);
    let (one, two) = (stream.from.read("a", '1').await, stream.from.read("b", '1').await);
    stream.tell().await;
    stream.tell().await;
    advance(Duration::from_secs(1)).await;
    let changed = Found::Entry(Arc::new(entry('2', Keeper::SELF)));
    let changes = vec![(one, changed), (two, Found::Refused(ReadAt::here(Instant::now())))];
    let batch = Arc::new(Batch { vault: Arc::clone(&stream.from.vault().id), changes });
    let followers = Arc::clone(&stream.from.peers.followers);
    let telling = async {
        let told = stream.tell().await;
        assert_eq!(told, [Then::Prepared(1)]);
        stream.following.prepared(1);
    };
    tokio::join!(followers.prepare(&batch), telling);
    assert_eq!(stream.to.version("a"), Some('1'), "held back");
    followers.commit(&batch);
    stream.tell().await;
    assert_eq!((stream.to.version("a"), stream.to.version("b")), (Some('2'), None));
}

#[tokio::test(start_paused = true)]
async fn who_follows_only_after_a_batch_was_prepared_is_told_all_of_it() {
    let mut stream = Stream::open(true);
    let changes = vec![(stream.from.key("a"), Found::Entry(Arc::new(entry('2', Keeper::SELF))))];
    let batch = Arc::new(Batch { vault: Arc::clone(&stream.from.vault().id), changes });
    let followers = Arc::clone(&stream.from.peers.followers);
    followers.prepare(&batch).await;
    stream.following = followers.add(7.into()).unwrap();
    followers.commit(&batch);
    stream.tell().await;
    assert_eq!(stream.to.version("a"), Some('2'));
}

#[tokio::test(start_paused = true)]
async fn what_was_held_back_goes_forward_when_the_stream_breaks_and_others_hear_of_it() {
    let mut stream = Stream::open(true);
    let changes = vec![(stream.from.key("a"), Found::Entry(Arc::new(entry('2', Keeper::SELF))))];
    let batch = Arc::new(Batch { vault: Arc::clone(&stream.from.vault().id), changes });
    stream.from.peers.followers.tell(&Event::Prepare(1, batch));
    assert_eq!(stream.tell().await, [Then::Prepared(1)]);
    let mut third = stream.to.peers.followers.add(7.into()).unwrap();
    stream.mirror.end().await;
    assert_eq!(stream.to.version("a"), Some('2'));
    assert!(matches!(third.next().await, Some(Event::Landed(..))));
}

#[tokio::test(start_paused = true)]
async fn the_owner_s_word_confirms_what_it_keeps_and_nothing_else() {
    let mut stream = Stream::open(true);
    stream.from.read("told", '1').await;
    stream.from.read("failed", '1').await;
    stream.tell_everything().await;
    stream.to.read("own", '1').await;
    advance(Duration::from_secs(100)).await;
    let except = Arc::from([stream.from.key("failed")]);
    let confirmed = Event::Confirmed(Arc::clone(&stream.from.vault().id), Instant::now(), except);
    while stream.following.next_now().is_some() {}
    stream.from.peers.followers.tell(&confirmed);
    stream.tell().await;
    let ages = (stream.to.age("told"), stream.to.age("failed"), stream.to.age("own"));
    assert_eq!(ages, (0, 100, 100));
}

#[tokio::test(start_paused = true)]
async fn what_an_owner_has_not_told_is_told_to_it_and_confirmed_once_it_was_compared() {
    let mut stream = Stream::open(true);
    stream.to.read("extra", '1').await;
    let mut others = stream.to.peers.followers.add(7.into()).unwrap();
    advance(Duration::from_secs(50)).await;
    stream.tell_everything().await;
    assert!(matches!(others.next().await, Some(Event::Landed(key, _, News::Same)) if key == stream.to.key("extra")));
    // A comparison that began before it knew.
    let confirm = |began| Event::Confirmed(Arc::clone(&stream.from.vault().id), began, Arc::from([]));
    let early = confirm(Instant::now() - Duration::from_secs(1));
    let late = confirm(Instant::now() + Duration::from_secs(10));
    stream.from.peers.followers.tell(&early);
    stream.tell().await;
    assert_eq!(stream.to.age("extra"), 50);
    advance(Duration::from_secs(10)).await;
    stream.from.peers.followers.tell(&late);
    stream.tell().await;
    assert_eq!(stream.to.age("extra"), 0);
}

#[tokio::test(start_paused = true)]
async fn an_owner_answers_with_what_it_holds_and_no_answer_is_answered() {
    let mut stream = Stream::open(false);
    let key = stream.from.read("a", '1').await;
    let mut answers = stream.to.peers.followers.add(7.into()).unwrap();
    stream.tell().await;
    assert!(matches!(answers.next().await, Some(Event::Kept(told, _, News::Landed)) if told == key));
    // What it has refused since it does not take, and says so.
    let answer = Event::Kept(Arc::clone(&key), Arc::new(entry('2', Keeper::SELF)), News::Same);
    advance(Duration::from_secs(1)).await;
    stream.from.peers.followers.tell(&answer);
    stream.tell().await;
    assert!(answers.next_now().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_told_by_one_who_does_not_own_leaves_the_copy_to_its_keeper() {
    let mut stream = Stream::open(false);
    let held = stream.to.read("a", '1').await;
    let keeper = stream.to.copies.cache.held(&held).unwrap().keeper();
    // What is told has been under way for a moment, and looks younger by that.
    advance(Duration::from_millis(3)).await;
    stream.from.read("a", '1').await;
    stream.tell_everything().await;
    assert_eq!(stream.to.copies.cache.held(&held).unwrap().keeper(), keeper);
}

#[tokio::test(start_paused = true)]
async fn what_the_owner_forgets_nobody_compares_and_so_nobody_holds() {
    let mut stream = Stream::open(true);
    let (told, own) = (stream.from.read("told", '1').await, stream.to.read("own", '1').await);
    stream.tell().await;
    for key in [told, own] {
        stream.from.peers.followers.tell(&Event::Forgotten(key));
        stream.tell().await;
    }
    assert_eq!((stream.to.version("told"), stream.to.version("own")), (None, None));
}

#[tokio::test(start_paused = true)]
async fn an_owner_holds_what_another_one_made_room_for() {
    let mut stream = Stream::open(false);
    let key = stream.from.read("a", '1').await;
    stream.tell().await;
    stream.from.peers.followers.tell(&Event::Forgotten(key));
    stream.tell().await;
    assert_eq!(stream.to.version("a"), Some('1'));
}

#[tokio::test(start_paused = true)]
async fn what_is_offered_to_the_owner_nobody_else_takes() {
    let (from, to) = (replica(), replica());
    let (ids, origin) = ([from.peers.own(), to.peers.own()], from.vault().origin.to_string());
    let wins = |third: &MemberId| ring::owner(&origin, [ids[0], ids[1], *third]) == Some(*third);
    let owner = (1..10_000).map(MemberId::from).find(wins).unwrap();
    let mut stream = Stream::between(from, to);
    stream.to.peers.board.hear(Beat { id: owner, state: State::Serving, serving: vec![owner] });
    let key = stream.from.key("a");
    for (news, version) in [(News::Same, None), (News::Landed, Some('1'))] {
        let offered = Arc::new(entry('1', Keeper::SELF));
        stream.from.peers.followers.tell(&Event::Landed(Arc::clone(&key), offered, news));
        stream.tell().await;
        assert_eq!(stream.to.version("a"), version, "{news:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_declaration_here_names_is_not_held() {
    let (from, mut to) = (replica(), replica());
    to.copies.snapshot = Arc::new(Current::new(testing::snapshot("")));
    let key = from.read("a", '1').await;
    let mut stream = Stream::between(from, to);
    stream.tell_everything().await;
    assert!(stream.to.copies.cache.held(&key).is_none());
}

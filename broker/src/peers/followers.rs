//! Those who follow this replica, and what they are still to be told. Whoever tells does not wait for them: a follower that
//! is too slow for its queue is cut off, and follows anew.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};

use super::member::MemberId;
use crate::{
    cache::{Batch, CacheKey, Entry, News, PREPARED_WITHIN},
    policy::VaultId,
    vault::origin::Origin,
};

/// What one follower may still have to be told.
const QUEUE: usize = 4_096;

/// Followers at once. There are as many as other replicas, and for a moment those that are replaced.
const MAX_FOLLOWERS: usize = 128;

/// How long somebody with much to tell waits for a slow follower, and how often it looks.
const ROOM_WITHIN: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A little less than a swap waits for all of them.
const PATIENCE: Duration = PREPARED_WITHIN.saturating_sub(Duration::from_millis(50));

/// What has become of what is held here. Everything in it is shared: to tell many costs no more than to tell one.
#[derive(Clone, Debug)]
pub enum Event {
    /// An object was read, or is held where its keeper may not know of it.
    Landed(Arc<CacheKey>, Arc<Entry>, News),
    /// This is what is held of an object of which another replica has told.
    Kept(Arc<CacheKey>, Arc<Entry>, News),
    /// It is not held any more.
    Forgotten(Arc<CacheKey>),
    /// A vault was compared by a round that began then, all but some keys.
    Confirmed(Arc<VaultId>, Instant, Arc<[Arc<CacheKey>]>),
    /// These changes are about to be made.
    Prepare(u64, Arc<Batch>),
    /// They are made.
    Commit(u64, Arc<Batch>),
    /// This replica owns the vault from now on.
    Won(Origin),
}

/// The followers.
#[derive(Debug, Default)]
pub struct Followers {
    all: Mutex<Vec<Follower>>,
    batches: AtomicU64,
    under_way: Mutex<Vec<(u64, Arc<Batch>)>>,
    cut_off: AtomicU64,
}

/// One of them, as those see it who tell.
#[derive(Clone, Debug)]
struct Follower {
    id: MemberId,
    queue: mpsc::Sender<Event>,
    progress: Arc<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    prepared: watch::Sender<u64>,
    /// It did not hold a batch back in time. It is not waited for again until it has caught up.
    late: AtomicBool,
}

/// One of them, as it sees itself. Dropped, it is told nothing more.
#[derive(Debug)]
pub struct Following {
    followers: Arc<Followers>,
    progress: Arc<Progress>,
    queue: mpsc::Receiver<Event>,
}

impl Followers {
    /// One more; `None` where there are too many.
    pub fn add(self: &Arc<Self>, id: MemberId) -> Option<Following> {
        let (told, queue) = mpsc::channel(QUEUE);
        let progress = Arc::new(Progress::default());
        let mut all = self.all();
        if all.len() >= MAX_FOLLOWERS {
            return None;
        }
        all.push(Follower { id, queue: told, progress: Arc::clone(&progress) });
        drop(all);
        Some(Following { followers: Arc::clone(self), progress, queue })
    }

    /// A replica was lost: what it follows by may be open for long. It is not waited for until it has caught up.
    pub fn lose(&self, id: MemberId) {
        for follower in self.all().iter().filter(|follower| follower.id == id) {
            follower.progress.late.store(true, Ordering::Relaxed);
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all().len()
    }

    /// How many were too slow since the start.
    pub fn cut_off(&self) -> u64 {
        self.cut_off.load(Ordering::Relaxed)
    }

    /// Tells all of them, in the order in which this is called.
    pub fn tell(&self, event: &Event) {
        let mut all = self.all();
        let before = all.len();
        // Its stream ends when it finds its queue closed, behind what is in it.
        all.retain(|follower| follower.queue.try_send(event.clone()).is_ok());
        self.cut_off.fetch_add((before - all.len()) as u64, Ordering::Relaxed);
    }

    /// Returns once all of them have room for `count` things more, but for those that take too long.
    pub async fn until_room(&self, count: usize) {
        let has_room = || self.all().iter().all(|follower| follower.queue.capacity() >= count);
        let room = async {
            while !has_room() {
                sleep(LOOK_EVERY).await;
            }
        };
        // Whoever is slower is cut off when it is told more, and follows anew.
        let _ = timeout(ROOM_WITHIN, room).await;
    }

    /// Returns once all of them hold `batch` back, but for those that are too slow.
    pub async fn prepare(&self, batch: &Arc<Batch>) {
        let number = self.batches.fetch_add(1, Ordering::Relaxed) + 1;
        self.under_way().push((number, Arc::clone(batch)));
        self.tell(&Event::Prepare(number, Arc::clone(batch)));
        let waited_for: Vec<_> =
            self.all().iter().filter(|one| !one.progress.late.load(Ordering::Relaxed)).cloned().collect();
        join_all(waited_for.iter().map(|follower| follower.holds(number))).await;
    }

    /// `batch`, which was prepared, is swapped.
    pub fn commit(&self, batch: &Arc<Batch>) {
        let mut under_way = self.under_way();
        let Some(at) = under_way.iter().position(|(_, known)| Arc::ptr_eq(known, batch)) else { return };
        let (number, _) = under_way.swap_remove(at);
        drop(under_way);
        self.tell(&Event::Commit(number, Arc::clone(batch)));
    }

    fn all(&self) -> MutexGuard<'_, Vec<Follower>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn under_way(&self) -> MutexGuard<'_, Vec<(u64, Arc<Batch>)>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower {
    async fn holds(&self, number: u64) {
        let mut prepared = self.progress.prepared.subscribe();
        let held = async {
            tokio::select! {
                _ = prepared.wait_for(|prepared| *prepared >= number) => {}
                () = self.queue.closed() => {}
            }
        };
        if timeout(PATIENCE, held).await.is_err() {
            self.progress.late.store(true, Ordering::Relaxed);
        }
    }
}

impl Following {
    /// The next thing to tell; `None` when it was cut off.
    pub async fn next(&mut self) -> Option<Event> {
        self.queue.recv().await
    }

    /// The next thing to tell, if there is one already.
    #[cfg(test)]
    pub(super) fn next_now(&mut self) -> Option<Event> {
        self.queue.try_recv().ok()
    }

    /// It holds back all batches up to `number`.
    pub fn prepared(&self, number: u64) {
        // Two swaps may be prepared at once, and the later one first.
        self.progress.prepared.send_modify(|prepared| *prepared = number.max(*prepared));
        if self.queue.is_empty() {
            self.progress.late.store(false, Ordering::Relaxed);
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.followers.all().retain(|follower| !Arc::ptr_eq(&follower.progress, &self.progress));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of them; who it is does not matter.
    fn other() -> MemberId {
        7.into()
    }
    use crate::policy::testing;

    fn batch() -> Arc<Batch> {
        let vault = Arc::clone(&testing::vault("{vaultName: acme}").id);
        Arc::new(Batch { vault, changes: Vec::new() })
    }

    fn won() -> Event {
        Event::Won(testing::vault("{vaultName: acme}").origin.clone())
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_much_to_tell_waits_for_room_and_for_nobody_for_ever() {
        let followers = Arc::new(Followers::default());
        let mut following = followers.add(other()).unwrap();
        for _ in 0..QUEUE {
            followers.tell(&won());
        }
        let began = Instant::now();
        let reads = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            while following.next_now().is_some() {}
        };
        tokio::join!(followers.until_room(1_000), reads);
        assert!(began.elapsed() < ROOM_WITHIN, "{:?}", began.elapsed());
        for _ in 0..QUEUE {
            followers.tell(&won());
        }
        followers.until_room(1_000).await;
        assert_eq!((followers.count(), followers.cut_off()), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_lost_is_not_waited_for_until_it_has_caught_up() {
        let followers = Arc::new(Followers::default());
        let mut following = followers.add(other()).unwrap();
        followers.lose(other());
        let began = Instant::now();
        followers.prepare(&batch()).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        while following.next_now().is_some() {}
        following.prepared(1);
        followers.prepare(&batch()).await;
        assert_eq!(began.elapsed(), PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn two_swaps_are_prepared_in_either_order() {
        let followers = Arc::new(Followers::default());
        let following = followers.add(other()).unwrap();
        let (one, two) = (batch(), batch());
        let began = Instant::now();
        let tells = async {
            following.prepared(2);
            following.prepared(1);
        };
        tokio::join!(followers.prepare(&one), followers.prepare(&two), tells);
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_swap_waits_until_all_hold_it_back() {
        let followers = Arc::new(Followers::default());
        let (mut one, mut two) = (followers.add(other()).unwrap(), followers.add(other()).unwrap());
        let began = Instant::now();
        let follow = async |following: &mut Following, takes| {
            let Some(Event::Prepare(number, _)) = following.next().await else { panic!() };
            tokio::time::sleep(Duration::from_millis(takes)).await;
            following.prepared(number);
        };
        let batch = batch();
        tokio::join!(followers.prepare(&batch), follow(&mut one, 20), follow(&mut two, 70));
        assert_eq!(began.elapsed(), Duration::from_millis(70));
        followers.commit(&batch);
        assert!(matches!(one.next().await, Some(Event::Commit(1, _))) && followers.under_way().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_answer_is_waited_for_once_and_again_when_it_has_caught_up() {
        let followers = Arc::new(Followers::default());
        let mut silent = followers.add(other()).unwrap();
        for expected in [PATIENCE, Duration::ZERO] {
            let began = Instant::now();
            followers.prepare(&batch()).await;
            assert_eq!(began.elapsed(), expected);
        }
        silent.next().await;
        silent.prepared(1);
        assert!(silent.progress.late.load(Ordering::Relaxed), "there is more in its queue");
        silent.next().await;
        silent.prepared(2);
        let began = Instant::now();
        followers.prepare(&batch()).await;
        assert_eq!(began.elapsed(), PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_goes_away_is_not_waited_for() {
        let followers = Arc::new(Followers::default());
        let following = followers.add(other()).unwrap();
        let (batch, began) = (batch(), Instant::now());
        let leave = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            drop(following);
        };
        tokio::join!(followers.prepare(&batch), leave);
        assert_eq!((began.elapsed(), followers.count()), (Duration::from_millis(10), 0));
    }

    #[tokio::test]
    async fn one_that_is_too_slow_is_cut_off_and_the_others_are_not() {
        let followers = Arc::new(Followers::default());
        let (mut slow, mut quick) = (followers.add(other()).unwrap(), followers.add(other()).unwrap());
        for _ in 0..=QUEUE {
            followers.tell(&won());
            quick.next().await.unwrap();
        }
        assert_eq!((followers.count(), followers.cut_off()), (1, 1));
        for _ in 0..QUEUE {
            assert!(slow.next().await.is_some());
        }
        assert!(slow.next().await.is_none(), "it finds out behind what it was told");
    }

    #[test]
    fn there_are_never_too_many() {
        let followers = Arc::new(Followers::default());
        let all: Vec<_> = (0..MAX_FOLLOWERS).map(|_| followers.add(other()).unwrap()).collect();
        assert!(followers.add(other()).is_none());
        drop(all);
        assert!(followers.add(other()).is_some());
    }
}

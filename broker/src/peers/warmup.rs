//! When a new replica has what the others have: once everybody who can be reached has told all that it holds. Then it serves,
//! and is ready; a replica that nobody answers is alone and serves at once.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

/// What became of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Nobody is there, or it is this replica itself.
    Nobody,
    /// It has told all that it holds.
    Complete,
}

/// What is known of all addresses. Cloning shares it.
#[derive(Clone, Debug)]
pub struct WarmUp(Arc<watch::Sender<Progress>>);

#[derive(Debug, Default)]
struct Progress {
    /// Which addresses there are.
    listed: bool,
    places: HashMap<u64, Option<Settled>>,
    next: u64,
}

/// One address.
#[derive(Debug)]
pub struct Place {
    all: WarmUp,
    number: u64,
}

impl Default for WarmUp {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Progress::default())))
    }
}

impl WarmUp {
    /// One more address.
    pub fn place(&self) -> Place {
        let mut number = 0;
        self.0.send_modify(|progress| {
            number = progress.next;
            progress.next += 1;
            progress.places.insert(number, None);
        });
        Place { all: self.clone(), number }
    }

    /// The addresses that there are now have been named.
    pub fn listed(&self) {
        self.0.send_if_modified(|progress| !std::mem::replace(&mut progress.listed, true));
    }

    /// Returns when it is over, or `within`; and how long it took, or who was waited for in vain.
    pub async fn over(&self, within: Duration) -> Result<Duration, usize> {
        let (began, mut progress) = (Instant::now(), self.0.subscribe());
        let over = progress.wait_for(|progress| progress.listed && progress.missing() == 0);
        match timeout(within, over).await {
            Ok(_) => Ok(began.elapsed()),
            Err(_) => Err(self.0.borrow().missing()),
        }
    }
}

impl Progress {
    fn missing(&self) -> usize {
        self.places.values().filter(|settled| settled.is_none()).count()
    }
}

impl Place {
    /// It is known what became of it. The first word counts, unless all is told later.
    pub fn settle(&self, settled: Settled) {
        self.all.0.send_if_modified(|progress| {
            let place = progress.places.entry(self.number).or_default();
            let news = place.is_none() || settled == Settled::Complete && *place != Some(settled);
            if news {
                *place = Some(settled);
            }
            news
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.0.send_if_modified(|progress| progress.places.remove(&self.number).is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(15);

    #[tokio::test(start_paused = true)]
    async fn it_is_over_when_everybody_has_told_all_or_is_not_there() {
        let warm_up = WarmUp::default();
        let (one, two, three) = (warm_up.place(), warm_up.place(), warm_up.place());
        let telling = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            one.settle(Settled::Complete);
            two.settle(Settled::Nobody);
            tokio::time::sleep(Duration::from_secs(1)).await;
            warm_up.listed();
            tokio::time::sleep(Duration::from_secs(1)).await;
            // Its address is gone.
            drop(three);
        };
        assert_eq!(tokio::join!(warm_up.over(LONG), telling).0, Ok(Duration::from_secs(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_for_nobody_for_ever_not_even_for_the_list() {
        let warm_up = WarmUp::default();
        assert_eq!(warm_up.over(LONG).await, Err(0));
        let _place = warm_up.place();
        warm_up.listed();
        assert_eq!(warm_up.over(LONG).await, Err(1));
    }

    #[tokio::test]
    async fn without_others_there_is_nothing_to_wait_for() {
        let warm_up = WarmUp::default();
        warm_up.listed();
        assert!(warm_up.over(Duration::ZERO).await.is_ok());
    }
}

//! Whose turn it is to ask the API server. Anyone may have it asked, so questions are bounded: so many a second, so many at a
//! time, and nobody is in line for long.

use std::time::Duration;

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};

use crate::rate::{Limiter, Rate};

/// For one answer. A launcher asks again.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);
/// In line for a place.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bounds on what is asked.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Questions a second, and at once after a rest.
    pub rate: Rate,
    /// Questions at a time.
    pub at_a_time: usize,
}

/// Turns within bounds.
pub(super) struct Turns {
    rate: Limiter<()>,
    places: Semaphore,
}

/// Too many are wanted.
pub(super) struct Busy;

impl Turns {
    pub(super) fn new(Bounds { rate, at_a_time }: Bounds) -> Self {
        Self { rate: Limiter::new(rate), places: Semaphore::new(at_a_time) }
    }

    /// Returns when one may ask, and holds the place until it is dropped.
    pub(super) async fn take(&self) -> Result<SemaphorePermit<'_>, Busy> {
        let Ok(Ok(place)) = timeout(PATIENCE, self.places.acquire()).await else { return Err(Busy) };
        self.rate.take(&(), Instant::now().into_std()).map_err(|_| Busy)?;
        Ok(place)
    }
}

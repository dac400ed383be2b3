//! Values that change at random moments, and when each is seen.
//!
//! One asker resolves all objects again and again; each object is changed by a future of its own. Every fifth object is
//! changed several times within a second: stamps in a vault are whole seconds and cannot tell these changes apart.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use futures::future::{try_join, try_join_all};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::shop::{Asker, LOOK_EVERY, PATIENCE, Shop, object, reference};

/// What is changed, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Changes<'a> {
    /// The vault; this many of its objects are used.
    pub vault: &'a str,
    /// Objects.
    pub objects: usize,
    /// Changes of each.
    pub each: usize,
    /// How long one waits at most before its next change.
    pub apart: Duration,
    /// Decides about the moments.
    pub seed: u64,
}

/// One change, and when it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// From before the change to the first reply that had it, or a later one.
    pub delay: Duration,
    /// When the vault had it.
    pub made: Instant,
    /// When the last request was sent after that which still got an older value, if any did.
    pub last_missed: Option<Instant>,
}

/// One change: the `number`th of object `n`.
#[derive(Clone, Copy, Debug)]
struct Change {
    n: usize,
    number: usize,
    began: Instant,
    made: Instant,
}

/// All objects at one moment: the number of the value that each had.
#[derive(Debug)]
struct Look {
    sent: Instant,
    came: Instant,
    numbers: Vec<usize>,
}

/// Makes them all and returns when each was seen. An older value after a newer one is an error.
pub async fn run(shop: &Shop, changes: Changes<'_>) -> anyhow::Result<Vec<Seen>> {
    let asker = shop.asker("checkout-1").await?;
    let (looks, looked) = watch::channel(Vec::new());
    let over = AtomicBool::new(false);
    let changing = async {
        let made = try_join_all((0..changes.objects).map(|n| change(shop, changes, n, looked.clone()))).await;
        over.store(true, Ordering::Relaxed);
        Ok(made?.concat())
    };
    let (made, ()) = try_join(changing, look(&asker, changes, &looks, &over)).await?;
    let looks = looks.borrow();
    made.into_iter().map(|change| seen(change, &looks).context("a change was never seen")).collect()
}

/// The changes of one object. Each but those of a burst waits until the one before was seen.
async fn change(
    shop: &Shop,
    changes: Changes<'_>,
    n: usize,
    mut looked: watch::Receiver<Vec<Look>>,
) -> anyhow::Result<Vec<Change>> {
    let vault = shop.vault(changes.vault)?;
    let (mut chance, burst) = (fastrand::Rng::with_seed(changes.seed + n as u64), n.is_multiple_of(5));
    let mut made = Vec::new();
    for number in 1..=changes.each {
        let apart = if burst && number > 1 { Duration::from_millis(250) } else { changes.apart };
        sleep(apart.mul_f64(chance.f64())).await;
        let began = Instant::now();
        vault.set_secret(&object(n), &value(n, number))?;
        made.push(Change { n, number, began, made: Instant::now() });
        if !burst || number == changes.each {
            let seen = looked.wait_for(|looks| looks.last().is_some_and(|look| look.numbers[n] >= number));
            let seen = timeout(PATIENCE, seen).await;
            seen.with_context(|| format!("change {number} of object {n} was not seen within {PATIENCE:?}"))??;
        }
    }
    Ok(made)
}

/// Asks until all is over.
async fn look(
    asker: &Asker,
    changes: Changes<'_>,
    looks: &watch::Sender<Vec<Look>>,
    over: &AtomicBool,
) -> anyhow::Result<()> {
    let names: Vec<_> = (0..changes.objects).map(|n| reference(changes.vault, n)).collect();
    let mut before = vec![0; changes.objects];
    while !over.load(Ordering::Relaxed) {
        let sent = Instant::now();
        let values = asker.ask(&names).await?.into_inner();
        let came = Instant::now();
        let numbers: Vec<usize> = values.iter().map(|value| number(value)).collect();
        for (n, (before, now)) in before.iter().zip(&numbers).enumerate() {
            ensure!(now >= before, "object {n} went back from value {before} to {now}");
        }
        before.clone_from(&numbers);
        looks.send_modify(|looks| looks.push(Look { sent, came, numbers }));
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

fn seen(change: Change, looks: &[Look]) -> Option<Seen> {
    let Change { n, number, began, made } = change;
    let first = looks.iter().find(|look| look.numbers[n] >= number)?;
    let missed = looks.iter().rev().find(|look| look.sent > made && look.numbers[n] < number);
    Some(Seen { delay: first.came - began, made, last_missed: missed.map(|look| look.sent) })
}

fn value(n: usize, number: usize) -> String {
    format!("{}-{n}-change:{number}", crate::process::MARKER)
}

/// The number of a value that was set here; 0 for any other.
fn number(value: &[u8]) -> usize {
    let text = std::str::from_utf8(value).unwrap_or_default();
    text.rsplit_once("change:").and_then(|(_, number)| number.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_values_number_is_found_again_and_other_values_have_none() {
        assert_eq!(number(value(7, 12).as_bytes()), 12);
        assert_eq!((number(b"kwcanary-00003-xxx"), number(&[0xff])), (0, 0));
    }

    #[test]
    fn a_change_is_seen_by_the_first_look_that_has_it_and_missed_by_those_sent_after_it_that_do_not() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let looks: Vec<_> = [(0, 0), (10, 0), (20, 0), (30, 2)]
            .map(|(sent, number)| Look { sent: at(sent), came: at(sent + 5), numbers: vec![9, number] })
            .into();
        let change = |began, made, number| seen(Change { n: 1, number, began: at(began), made: at(made) }, &looks);
        let expected = |delay, made, missed: Option<u64>| {
            Some(Seen { delay: Duration::from_millis(delay), made: at(made), last_missed: missed.map(at) })
        };
        assert_eq!(change(11, 12, 1), expected(24, 12, Some(20)));
        assert_eq!(change(21, 22, 2), expected(14, 22, None));
        assert_eq!(change(21, 22, 3), None);
    }
}

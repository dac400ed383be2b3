//! Until something is so, within a bound.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use anyhow::bail;

/// How often it is looked at. A look is a request to a server on this machine.
pub const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The usual bound: for what takes a second or two on an idle machine.
pub const SOON: Duration = Duration::from_secs(30);

/// What a look found.
#[derive(Debug)]
pub enum Look<T, S = String> {
    /// It is so.
    Found(T),
    /// Not yet; and what there was instead.
    NotYet(S),
}

/// Looks again and again until it is so. An error of a look ends the wait: what may fail for a while is `NotYet`.
pub async fn until<T, S: Debug>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Look<T, S>>,
) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        match look().await? {
            Look::Found(found) => return Ok(found),
            Look::NotYet(seen) if began.elapsed() >= within => bail!("{what}: not within {within:?}; last {seen:?}"),
            Look::NotYet(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// The same where a look only tells whether it is so.
pub async fn until_true(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let mut look = async move || {
        let is_so = look().await?;
        Ok(if is_so { Look::Found(()) } else { Look::NotYet("it is not so") })
    };
    until(what, within, &mut look).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_never_so_is_an_error_that_says_what_there_was_instead() {
        let error =
            until("the moon", Duration::ZERO, async || Ok::<Look<(), _>, _>(Look::NotYet("a lamp"))).await.unwrap_err();
        assert_eq!(error.to_string(), "the moon: not within 0ns; last \"a lamp\"");
    }

    #[tokio::test]
    async fn what_becomes_so_is_returned() {
        let mut looks = 0;
        let look = async || {
            looks += 1;
            Ok(if looks == 3 { Look::Found(looks) } else { Look::NotYet("early") })
        };
        assert_eq!(until("three looks", SOON, look).await.unwrap(), 3);
    }
}

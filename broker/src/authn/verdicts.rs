//! Remembers for a moment whom a token was accepted for, so that a launch storm does not verify the same signature for
//! every request.
//!
//! Only acceptances are remembered: a refusal may be mended within a second, by a key that is read or a clock that goes
//! on. What is remembered holds for at most [`MAX_AGE`] and never past the token's own `exp`. It follows that a token
//! whose key the issuer has withdrawn, or whose pod a token review would no longer find, is accepted that long more.
//!
//! A verdict is found by an HMAC of the token under a key of this process. The token itself is not kept, and neither
//! the content of the memory nor the time that a lookup takes tells anything about tokens to whoever can choose them.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use async_trait::async_trait;
use moka::future::Cache;
use ring::{error::Unspecified, hmac, rand::SystemRandom};

use super::{Authenticator, AuthnError, Caller};

/// The longest that a verdict is relied on.
pub const MAX_AGE: Duration = Duration::from_secs(30);

/// Verdicts kept at most; about half a KiB each. Tokens beyond it are verified, which is all that a verdict saves.
const MAX_VERDICTS: u64 = 50_000;

/// Asks another authenticator, and for a moment not again.
pub struct Verdicts {
    inner: Arc<dyn Authenticator>,
    key: hmac::Key,
    accepted: Cache<[u8; 32], Verdict>,
    clock: Box<dyn Fn() -> Moment + Send + Sync>,
}

/// Now, by two clocks: an age must not depend on a wall clock that is set, and `exp` is a time of the wall clock.
#[derive(Clone, Copy)]
struct Moment {
    instant: Instant,
    wall: SystemTime,
}

impl Moment {
    fn now() -> Self {
        Self { instant: Instant::now(), wall: SystemTime::now() }
    }
}

#[derive(Clone)]
struct Verdict {
    caller: Arc<Caller>,
    since: Instant,
}

impl Verdicts {
    /// Remembers what `inner` accepts. Fails when the system has no randomness.
    pub fn new(inner: Arc<dyn Authenticator>) -> Result<Self, Unspecified> {
        Ok(Self {
            inner,
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())?,
            // The cache's own clock only frees memory; whether a verdict holds is decided by `Verdict::holds`.
            accepted: Cache::builder().max_capacity(MAX_VERDICTS).time_to_live(MAX_AGE).build(),
            clock: Box::new(Moment::now),
        })
    }

    fn name(&self, token: &str) -> [u8; 32] {
        let mut name = [0; 32];
        name.copy_from_slice(hmac::sign(&self.key, token.as_bytes()).as_ref());
        name
    }
}

impl Verdict {
    fn holds(&self, now: Moment) -> bool {
        now.instant.saturating_duration_since(self.since) < MAX_AGE && now.wall < self.caller.expires
    }
}

#[async_trait]
impl Authenticator for Verdicts {
    async fn authenticate(&self, token: &str) -> Result<Arc<Caller>, AuthnError> {
        let name = self.name(token);
        // Before the inner one is asked: what it looks at may change while it decides.
        let now = (self.clock)();
        match self.accepted.get(&name).await {
            Some(verdict) if verdict.holds(now) => return Ok(verdict.caller),
            Some(_) => self.accepted.invalidate(&name).await,
            None => {}
        }
        // A pod's containers start at once, each with the same token: it is looked at once.
        let decide = async {
            let caller = self.inner.authenticate(token).await?;
            Ok(Verdict { caller, since: now.instant })
        };
        match self.accepted.try_get_with(name, decide).await {
            Ok(verdict) => Ok(verdict.caller),
            Err(error) => Err(AuthnError::clone(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn caller(expires: u64) -> Arc<Caller> {
        Arc::new(Caller {
            namespace: "shop".into(),
            service_account: "web".into(),
            pod_name: "web-0".into(),
            pod_uid: "3f1c2d8e-0000-4000-8000-000000000001".into(),
            node: None,
            expires: at(expires),
        })
    }

    /// Gives its verdicts one after the other, and none beyond them.
    struct Scripted(Mutex<Vec<Answer>>);

    type Answer = Result<Arc<Caller>, AuthnError>;

    impl Scripted {
        fn left(&self) -> usize {
            self.0.lock().unwrap().len()
        }
    }

    #[async_trait]
    impl Authenticator for Scripted {
        async fn authenticate(&self, _: &str) -> Answer {
            self.0.lock().unwrap().pop().expect("asked once more than expected")
        }
    }

    /// Verdicts for which it is second 1,000.
    fn verdicts(script: Vec<Answer>) -> (Arc<Scripted>, Verdicts) {
        let (inner, _, verdicts) = timed(script);
        (inner, verdicts)
    }

    /// The same, and a clock that a test may set.
    fn timed(mut script: Vec<Answer>) -> (Arc<Scripted>, Arc<Mutex<Moment>>, Verdicts) {
        script.reverse();
        let inner = Arc::new(Scripted(Mutex::new(script)));
        let verdicts = Verdicts::new(Arc::clone(&inner) as Arc<dyn Authenticator>).unwrap();
        let now = Arc::new(Mutex::new(Moment { instant: Instant::now(), wall: at(1_000) }));
        let clock = Arc::clone(&now);
        (inner, now, Verdicts { clock: Box::new(move || *clock.lock().unwrap()), ..verdicts })
    }

    #[tokio::test]
    async fn a_token_accepted_once_is_not_verified_again() {
        let (inner, verdicts) = verdicts(vec![Ok(caller(2_000))]);
        for _ in 0..3 {
            assert_eq!(verdicts.authenticate("a.b.c").await, Ok(caller(2_000)));
        }
        assert_eq!(inner.left(), 0);
    }

    #[tokio::test]
    async fn a_verdict_ends_after_thirty_seconds_and_a_withdrawn_key_with_it() {
        let withdrawn = Err(AuthnError::UnknownKey("k".into()));
        let (inner, now, verdicts) = timed(vec![Ok(caller(2_000)), withdrawn.clone()]);
        assert!(verdicts.authenticate("a.b.c").await.is_ok());
        now.lock().unwrap().instant += MAX_AGE.saturating_sub(Duration::from_millis(1));
        assert!(verdicts.authenticate("a.b.c").await.is_ok());
        assert_eq!(inner.left(), 1);
        now.lock().unwrap().instant += Duration::from_millis(1);
        assert_eq!(verdicts.authenticate("a.b.c").await, withdrawn);
    }

    #[tokio::test]
    async fn a_hit_does_not_lengthen_a_verdict() {
        let (inner, now, verdicts) = timed(vec![Ok(caller(2_000)), Ok(caller(2_000))]);
        for (step, left) in [(0, 1), (20, 1), (20, 0)] {
            now.lock().unwrap().instant += Duration::from_secs(step);
            assert!(verdicts.authenticate("a.b.c").await.is_ok());
            assert_eq!(inner.left(), left);
        }
    }

    #[tokio::test]
    async fn no_verdict_outlives_its_token() {
        let expired = Err(AuthnError::Expired { since: Duration::ZERO });
        let (inner, now, verdicts) = timed(vec![Ok(caller(1_002)), expired.clone()]);
        for (wall, expected) in [(1_000, Ok(caller(1_002))), (1_001, Ok(caller(1_002))), (1_002, expired)] {
            now.lock().unwrap().wall = at(wall);
            assert_eq!(verdicts.authenticate("a.b.c").await, expected, "{wall}");
        }
        assert_eq!(inner.left(), 0);
    }

    #[tokio::test]
    async fn a_token_altered_in_one_character_is_another_token() {
        let refused = Err(AuthnError::BadSignature);
        for altered in ["a.b.d", "A.b.c", "a.b.c ", "a.b.", ""] {
            let (inner, verdicts) = verdicts(vec![Ok(caller(2_000)), refused.clone()]);
            assert!(verdicts.authenticate("a.b.c").await.is_ok());
            assert_eq!(verdicts.authenticate(altered).await, refused, "{altered}");
            assert!(verdicts.authenticate("a.b.c").await.is_ok());
            assert_eq!(inner.left(), 0);
        }
    }

    #[tokio::test]
    async fn a_refusal_is_not_remembered() {
        let unavailable = Err(AuthnError::Unavailable("no keys yet".into()));
        let (inner, verdicts) = verdicts(vec![unavailable.clone(), unavailable.clone(), Ok(caller(2_000))]);
        assert_eq!(verdicts.authenticate("a.b.c").await, unavailable);
        assert_eq!(verdicts.authenticate("a.b.c").await, unavailable);
        assert!(verdicts.authenticate("a.b.c").await.is_ok());
        assert_eq!(inner.left(), 0);
    }

    #[tokio::test]
    async fn what_is_kept_is_not_the_token_and_not_its_plain_hash() {
        let (_, verdicts) = verdicts(vec![Ok(caller(2_000))]);
        verdicts.authenticate("a.b.c").await.unwrap();
        let names: Vec<_> = verdicts.accepted.iter().map(|(name, _)| *name).collect();
        let plain = ring::digest::digest(&ring::digest::SHA256, b"a.b.c");
        assert_eq!(names, [verdicts.name("a.b.c")]);
        assert_ne!(names[0], plain.as_ref());
        let (_, other) = self::verdicts(vec![]);
        assert_ne!(names[0], other.name("a.b.c"));
    }
}

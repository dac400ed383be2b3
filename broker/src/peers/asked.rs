//! Which objects other replicas are asking this one for at the moment. It reads these itself, whomever it takes for their
//! owner: two that take each other for it would wait for each other.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::cache::CacheKey;

/// What is asked for.
#[derive(Debug, Default)]
pub struct Asked {
    keys: Mutex<HashMap<CacheKey, usize>>,
    news: watch::Sender<()>,
}

/// One question, until it is answered.
#[derive(Debug)]
pub struct Question<'a> {
    asked: &'a Asked,
    key: &'a CacheKey,
}

impl Asked {
    /// Another replica asks for `key`.
    pub fn note<'a>(&'a self, key: &'a CacheKey) -> Question<'a> {
        *self.keys().entry(key.clone()).or_default() += 1;
        self.news.send_replace(());
        Question { asked: self, key }
    }

    /// Returns once one asks for `key`.
    pub async fn holds(&self, key: &CacheKey) {
        self.until(|| self.keys().contains_key(key)).await;
    }

    /// Returns once none asks for `key`.
    pub async fn lets_go_of(&self, key: &CacheKey) {
        self.until(|| !self.keys().contains_key(key)).await;
    }

    async fn until(&self, so: impl Fn() -> bool) {
        let mut news = self.news.subscribe();
        while !so() {
            if news.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<CacheKey, usize>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        let mut keys = self.asked.keys();
        if let Some(count) = keys.get_mut(self.key) {
            *count -= 1;
            if *count == 0 {
                keys.remove(self.key);
                self.asked.news.send_replace(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tokio::time::timeout;

    use super::*;
    use crate::{policy::testing, vault::testing::secret};

    #[tokio::test(start_paused = true)]
    async fn who_waits_hears_of_a_question_about_its_own_object_and_of_no_other() {
        let vault = Arc::clone(&testing::vault("{vaultName: acme}").id);
        let key = |name| CacheKey { vault: Arc::clone(&vault), object: Arc::new(secret(name)) };
        let (asked, wanted, other) = (Asked::default(), key("wanted"), key("other"));
        let soon = Duration::from_millis(1);
        let _other = asked.note(&other);
        assert!(timeout(soon, asked.holds(&wanted)).await.is_err());
        let (one, two) = (asked.note(&wanted), asked.note(&wanted));
        asked.holds(&wanted).await;
        drop(one);
        asked.holds(&wanted).await;
        assert!(timeout(soon, asked.lets_go_of(&wanted)).await.is_err());
        tokio::join!(asked.lets_go_of(&wanted), async { drop(two) });
        assert!(timeout(soon, asked.holds(&wanted)).await.is_err());
        let ((), question) = tokio::join!(asked.holds(&wanted), async { asked.note(&wanted) });
        drop(question);
    }
}

//! From what was found out to what the controller is told: which secrets have something new. Pure; the stream around
//! it is [`crate::grpc::sync`]'s, one [`Backlog`] for each.
//!
//! Bounded: what a slow reader has not heard is kept once for each object, up to a number, and beyond it becomes one
//! word to look at everything.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::{authz, cache::CacheKey, changes::Change, policy::Snapshot};

/// Changed objects, and secrets to be told, that are kept for one reader.
const MAX_KEPT: usize = 1_024;

/// What a reader is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// One secret has something new to fetch.
    Changed {
        /// Its namespace.
        namespace: Arc<str>,
        /// Its name.
        name: Arc<str>,
    },
    /// Anything may have changed.
    Resync(&'static str),
}

/// Whom an object is news to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    /// Every secret that names it.
    All,
    /// Those without output. Whoever has one asked for the object, and has it.
    WithoutOutput,
}

/// What one reader is still to be told.
#[derive(Debug)]
pub struct Backlog {
    resync: Option<&'static str>,
    objects: HashMap<Arc<CacheKey>, News>,
    secrets: VecDeque<(Arc<str>, Arc<str>)>,
}

impl Default for Backlog {
    /// Whoever begins to listen has missed everything before.
    fn default() -> Self {
        let resync = Some("the stream has just begun");
        Self { resync, objects: HashMap::new(), secrets: VecDeque::new() }
    }
}

impl Backlog {
    /// Notes a change.
    pub fn hear(&mut self, change: Change) {
        match change {
            Change::Declarations => self.resync("the declarations have changed"),
            // The word that is to come says this too.
            _ if self.resync.is_some() => {}
            Change::Object(key) => {
                self.objects.insert(key, News::All);
            }
            Change::Landed(key) => {
                self.objects.entry(key).or_insert(News::WithoutOutput);
            }
            Change::Secrets(secrets) => self.secrets.extend(secrets.iter().cloned()),
        }
        if self.objects.len().max(self.secrets.len()) > MAX_KEPT {
            self.missed();
        }
    }

    /// Whether [`Self::next`] would look objects up, which goes through all secrets: many at a time cost no more than one.
    pub fn would_look_up(&self) -> bool {
        self.resync.is_none() && self.secrets.is_empty() && !self.objects.is_empty()
    }

    /// Notes that the reader was too slow to hear of every change.
    pub fn missed(&mut self) {
        self.resync("the reader was too slow to be told of every change");
    }

    /// What the reader is told next, if there is something. Objects are looked up by what the manifests say now.
    pub fn next(&mut self, snapshot: &Snapshot) -> Option<Event> {
        if self.would_look_up() {
            self.look_up(snapshot);
        }
        if let Some(reason) = self.resync.take() {
            return Some(Event::Resync(reason));
        }
        self.secrets.pop_front().map(|(namespace, name)| Event::Changed { namespace, name })
    }

    fn resync(&mut self, reason: &'static str) {
        self.resync = Some(reason);
        self.objects.clear();
        self.secrets.clear();
    }

    /// All objects in one pass, whatever their number.
    fn look_up(&mut self, snapshot: &Snapshot) {
        let objects = std::mem::take(&mut self.objects);
        let any_is_news_to_all = objects.values().any(|news| *news == News::All);
        for secret in snapshot.secrets() {
            let has_output = secret.rendering.has_output();
            if has_output && !any_is_news_to_all {
                continue;
            }
            let Ok(vault) = authz::vault_of(snapshot, secret) else { continue };
            let news = objects.get(&CacheKey::of(secret, &vault));
            if news.is_some_and(|news| *news == News::All || !has_output) {
                self.secrets.push_back((secret.namespace.clone(), secret.name.clone()));
            }
            if self.secrets.len() > MAX_KEPT {
                return self.missed();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, ACME};

    fn key(snapshot: &Snapshot, namespace: &str, name: &str) -> Change {
        let secret = authz::find(snapshot, namespace, name).unwrap();
        Change::Object(Arc::new(CacheKey::of(secret, &authz::vault_of(snapshot, secret).unwrap())))
    }

    fn all(backlog: &mut Backlog, snapshot: &Snapshot) -> Vec<String> {
        let events = std::iter::from_fn(|| backlog.next(snapshot));
        let mut shown: Vec<_> = events
            .map(|event| match event {
                Event::Changed { namespace, name } => format!("{namespace}/{name}"),
                Event::Resync(reason) => format!("resync: {reason}"),
            })
            .collect();
        shown.sort();
        shown
    }

    fn begun(snapshot: &Snapshot) -> Backlog {
        let mut backlog = Backlog::default();
        assert_eq!(all(&mut backlog, snapshot), ["resync: the stream has just begun"]);
        backlog
    }

    #[test]
    fn an_object_is_told_as_the_secrets_that_name_it_each_once() {
        let secrets = [
            testing::secret("shop", "db", "acme", "db"),
            testing::secret("shop", "also-db", "ACME", "DB"),
            testing::secret("bank", "db", "acme", "db"),
            testing::secret("shop", "mail", "acme", "mail"),
            testing::secret("shop", "stray", "nowhere", "db"),
        ];
        let snapshot = testing::snapshot(&format!("{ACME}{}", secrets.concat()));
        let mut backlog = begun(&snapshot);
        for _ in 0..3 {
            backlog.hear(key(&snapshot, "shop", "db"));
        }
        assert_eq!(all(&mut backlog, &snapshot), ["bank/db", "shop/also-db", "shop/db"]);
        assert!(all(&mut backlog, &snapshot).is_empty());
    }

    #[test]
    fn declarations_and_missed_changes_are_one_resync_that_takes_all_else_with_it() {
        let snapshot = testing::snapshot(&format!("{ACME}{}", testing::secret("shop", "db", "acme", "db")));
        let mut backlog = begun(&snapshot);
        backlog.hear(key(&snapshot, "shop", "db"));
        backlog.hear(Change::Declarations);
        backlog.hear(key(&snapshot, "shop", "db"));
        assert_eq!(all(&mut backlog, &snapshot), ["resync: the declarations have changed"]);
        backlog.missed();
        backlog.missed();
        assert_eq!(all(&mut backlog, &snapshot).len(), 1);
        backlog.hear(key(&snapshot, "shop", "db"));
        assert_eq!(all(&mut backlog, &snapshot), ["shop/db"], "after a resync it hears again");
    }

    #[test]
    fn an_object_that_has_landed_is_news_to_secrets_without_output_alone() {
        let output = testing::secret_with(
            "name: out, namespace: shop",
            "acme",
            "db",
            ", output: {secret: {name: s, dataKey: k}}",
        );
        let snapshot = testing::snapshot(&format!("{ACME}{output}{}", testing::secret("shop", "env", "acme", "db")));
        let mut backlog = begun(&snapshot);
        let Change::Object(db) = key(&snapshot, "shop", "env") else { panic!() };
        backlog.hear(Change::Landed(Arc::clone(&db)));
        assert_eq!(all(&mut backlog, &snapshot), ["shop/env"]);
        for both in [
            [Change::Landed(Arc::clone(&db)), Change::Object(Arc::clone(&db))],
            [Change::Object(db.clone()), Change::Landed(db)],
        ] {
            for change in both {
                backlog.hear(change);
            }
            assert_eq!(all(&mut backlog, &snapshot), ["shop/env", "shop/out"]);
        }
    }

    #[test]
    fn secrets_that_are_admitted_otherwise_are_told_by_name_up_to_a_number() {
        let snapshot = testing::snapshot(ACME);
        let mut backlog = begun(&snapshot);
        let named = |names: std::ops::Range<usize>| names.map(|n| ("shop".into(), format!("s{n}").into())).collect();
        backlog.hear(Change::Secrets(named(0..2)));
        assert_eq!(all(&mut backlog, &snapshot), ["shop/s0", "shop/s1"]);
        backlog.hear(Change::Secrets(named(0..900)));
        backlog.hear(Change::Secrets(named(0..900)));
        assert_eq!(all(&mut backlog, &snapshot), ["resync: the reader was too slow to be told of every change"]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let secrets: String =
            (0..3_000).map(|n| testing::secret("shop", &format!("s{n}"), "acme", &format!("o{n}"))).collect();
        let snapshot = testing::snapshot(&format!("{ACME}{secrets}"));
        let mut backlog = begun(&snapshot);
        for n in 0..3_000 {
            backlog.hear(key(&snapshot, "shop", &format!("s{n}")));
            assert!(backlog.objects.len() <= MAX_KEPT);
        }
        assert_eq!(all(&mut backlog, &snapshot), ["resync: the reader was too slow to be told of every change"]);
    }

    #[test]
    fn an_object_that_very_many_secrets_name_is_a_resync() {
        let secrets: String = (0..3_000).map(|n| testing::secret("shop", &format!("s{n}"), "acme", "db")).collect();
        let snapshot = testing::snapshot(&format!("{ACME}{secrets}"));
        let mut backlog = begun(&snapshot);
        backlog.hear(key(&snapshot, "shop", "s0"));
        assert!(matches!(backlog.next(&snapshot), Some(Event::Resync(_))));
        assert_eq!(backlog.next(&snapshot), None);
    }
}

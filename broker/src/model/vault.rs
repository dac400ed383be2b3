//! A vault whose every answer is on record: what it showed of each object from when on, when nothing could be had of it, when it
//! was called.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use keyward_types::{ObjectName, ObjectVersion, SecretBytes};
use time::OffsetDateTime;
use tokio::time::{Duration, Instant, sleep};

use super::story::{Fault, OBJECTS};
use crate::{
    object::{Attributes, ObjectId, RawBody, RawObject, RawSecret, Stamp},
    policy::VaultEntry,
    readers::{Open, VaultObserver},
    vault::{Collection, Listed, Page, ReadError, VaultReader},
};

/// What the vault shows of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    Version(u32),
    Gone,
    Disabled,
    Forbidden,
}

#[derive(Clone, Copy, Debug)]
struct Object {
    /// 0 before the first one.
    version: u32,
    there: bool,
    enabled: bool,
    /// Seconds since the beginning.
    updated: i64,
}

impl Object {
    fn view(self) -> View {
        match self {
            Self { there: false, .. } => View::Gone,
            Self { enabled: false, .. } => View::Disabled,
            Self { version, .. } => View::Version(version),
        }
    }
}

/// What happened at the vault.
pub(super) struct Record {
    began: Instant,
    latency: Duration,
    objects: [Object; OBJECTS],
    /// What a replica that lags behind shows instead.
    lagging: [Option<Object>; OBJECTS],
    rights: bool,
    fault: Option<Fault>,
    /// What it showed of each object, from when on.
    pub(super) views: [Vec<(Instant, View)>; OBJECTS],
    /// When it last answered as it should not, or behind the times; now, if it does so still.
    unrest: Option<Instant>,
    /// Every request.
    pub(super) calls: Vec<Instant>,
}

/// The vault. Cloning shares it.
#[derive(Clone)]
pub(super) struct Vault {
    record: Arc<Mutex<Record>>,
    latency: Duration,
}

impl Vault {
    /// Every second object is there.
    pub(super) fn new(latency: Duration) -> Self {
        let began = Instant::now();
        let objects = std::array::from_fn(|n| {
            let there = n % 2 == 0;
            Object { version: u32::from(there), there, enabled: true, updated: -1_000 }
        });
        let record = Record {
            began,
            latency,
            objects,
            lagging: [None; OBJECTS],
            rights: true,
            fault: None,
            views: std::array::from_fn(|n| vec![(began, objects[n].view())]),
            unrest: None,
            calls: Vec::new(),
        };
        Self { record: Arc::new(Mutex::new(record)), latency }
    }

    pub(super) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap()
    }

    /// Half of the time passes before the vault looks, and half after.
    async fn answer<T>(
        &self,
        look: impl FnOnce(&Record, OffsetDateTime) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        self.record().calls.push(Instant::now());
        sleep(self.latency / 2).await;
        let answer = {
            let record = self.record();
            let now = OffsetDateTime::UNIX_EPOCH + (Instant::now() - record.began);
            match record.fault {
                None => look(&record, now),
                Some(Fault::Down) => Err(ReadError::Unreachable("status 503".to_owned())),
                Some(Fault::Nonsense) => Err(ReadError::Malformed("no JSON".to_owned())),
                Some(Fault::Throttles(seconds)) => {
                    Err(ReadError::Throttled { retry_after: Some(Duration::from_secs(seconds)) })
                }
            }
        };
        sleep(self.latency / 2).await;
        answer
    }
}

impl Record {
    /// Something happens.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Self, i64)) {
        let (now, seconds) = (Instant::now(), i64::try_from(self.began.elapsed().as_secs()).unwrap());
        if self.is_restless() {
            self.unrest = Some(now);
        }
        change(self, seconds);
        for n in 0..OBJECTS {
            let view = self.view(n);
            if self.views[n].last().is_none_or(|(_, last)| *last != view) {
                self.views[n].push((now, view));
            }
        }
    }

    pub(super) fn write(&mut self, n: usize, now: i64) {
        let version = self.objects[n].version + 1;
        self.objects[n] = Object { version, there: true, enabled: true, updated: now };
    }

    pub(super) fn delete(&mut self, n: usize) {
        self.objects[n].there = false;
    }

    pub(super) fn enable(&mut self, n: usize, enabled: bool, now: i64) {
        let object = &mut self.objects[n];
        if object.there {
            (object.enabled, object.updated) = (enabled, now);
        }
    }

    pub(super) fn lag(&mut self, n: usize, lags: bool) {
        self.lagging[n] = lags.then(|| self.lagging[n].unwrap_or(self.objects[n]));
    }

    pub(super) fn rights(&mut self, rights: bool) {
        self.rights = rights;
    }

    pub(super) fn fault(&mut self, fault: Option<Fault>) {
        self.fault = fault;
    }

    /// Since when the vault has answered as it should.
    pub(super) fn calm_since(&self) -> Instant {
        if self.is_restless() { Instant::now() } else { self.unrest.unwrap_or(self.began) }
    }

    /// Whether a call was answered as it should be, before `at` and since it last was not.
    pub(super) fn answered_since_unrest(&self, at: Instant) -> bool {
        let calm = self.calm_since();
        self.calls.iter().any(|call| *call >= calm && *call + self.latency <= at)
    }

    fn is_restless(&self) -> bool {
        self.fault.is_some() || self.lagging.iter().any(Option::is_some)
    }

    fn shown(&self, n: usize) -> Object {
        self.lagging[n].unwrap_or(self.objects[n])
    }

    fn view(&self, n: usize) -> View {
        if self.rights { self.shown(n).view() } else { View::Forbidden }
    }

    fn read(&self, name: &ObjectName, now: OffsetDateTime) -> Result<RawObject, ReadError> {
        let n = number(name);
        let number = match self.view(n) {
            View::Version(number) => number,
            View::Gone => return Err(ReadError::NotFound),
            View::Disabled => return Err(ReadError::Disabled),
            View::Forbidden => return Err(ReadError::Forbidden("ForbiddenByRbac".to_owned())),
        };
        let updated = OffsetDateTime::from_unix_timestamp(self.shown(n).updated).ok();
        // Versions are made seconds apart: of two made within one second nobody could say which is later.
        let created = OffsetDateTime::from_unix_timestamp(i64::from(number)).ok();
        Ok(RawObject {
            version: ObjectVersion::new(&format!("{number:032x}")).unwrap(),
            attributes: Attributes { created, updated, ..Attributes::default() },
            stamp: Stamp::new(updated, now),
            body: RawBody::Secret(RawSecret {
                value: SecretBytes::from(format!("kwcanary-{name}-{number}")),
                content_type: None,
            }),
        })
    }

    fn list(&self) -> Result<Page, ReadError> {
        if !self.rights {
            return Err(ReadError::Forbidden("ForbiddenByRbac".to_owned()));
        }
        let there = (0..OBJECTS).filter(|n| self.shown(*n).there);
        let items = there.map(|n| Listed {
            name: ObjectName::new(&name(n)).unwrap(),
            enabled: self.shown(n).enabled,
            updated: OffsetDateTime::from_unix_timestamp(self.shown(n).updated).ok(),
        });
        Ok(Page { items: items.collect(), next: None })
    }
}

pub(super) fn name(n: usize) -> String {
    format!("s{n}")
}

fn number(name: &ObjectName) -> usize {
    name.as_str()[1..].parse().unwrap()
}

#[async_trait]
impl VaultReader for Vault {
    async fn read(&self, object: &ObjectId) -> Result<RawObject, ReadError> {
        self.answer(|record, now| record.read(&object.name, now)).await
    }

    fn pages(&self, _: Collection) -> BoxStream<'_, Result<Page, ReadError>> {
        stream::once(self.answer(|record, _| record.list())).boxed()
    }

    async fn renew(&self) -> bool {
        true
    }
}

/// Opens nothing else.
pub(super) struct Opener(pub(super) Vault);

impl Open for Opener {
    fn open(&self, _: &VaultEntry, _: Arc<VaultObserver>) -> Result<Arc<dyn VaultReader>, ReadError> {
        Ok(Arc::new(self.0.clone()))
    }
}

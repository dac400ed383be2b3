//! A vault in memory for unit tests: its objects can be changed, its answers held back, its calls are counted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use keyward_types::{ObjectKind, ObjectName, ObjectVersion, SecretBytes};
use time::OffsetDateTime;
use tokio::sync::{Semaphore, watch};

use super::{Collection, Listed, Page, ReadError, VaultReader};
use crate::{
    metrics::Metrics,
    object::{Attributes, ObjectId, RawBody, RawObject, RawSecret, Stamp},
    policy::VaultEntry,
    readers::{Open, OpenVault, Readers, VaultObserver},
};

/// What an object is at a moment.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    number: u32,
    enabled: bool,
    updated: i64,
}

/// The vault. Clones share it.
#[derive(Clone)]
pub(crate) struct FakeVault(Arc<Inner>);

struct Inner {
    objects: Mutex<BTreeMap<String, Version>>,
    clock: Mutex<i64>,
    outage: Mutex<Option<ReadError>>,
    list_refused: Mutex<bool>,
    list_breaks: Mutex<bool>,
    list_confused: Mutex<bool>,
    list_circles: Mutex<bool>,
    no_new_token: Mutex<bool>,
    broken: Mutex<BTreeSet<String>>,
    calls: Mutex<Vec<String>>,
    /// Reads wait here while it is empty.
    door: Semaphore,
    arrived: watch::Sender<usize>,
}

impl FakeVault {
    /// Holds `count` secrets `s0`, `s1`, …, changed long ago.
    pub(crate) fn with_secrets(count: usize) -> Self {
        let version = Version { number: 1, enabled: true, updated: 1_000 };
        let objects = (0..count).map(|n| (format!("s{n}"), version.clone())).collect();
        Self(Arc::new(Inner {
            objects: Mutex::new(objects),
            clock: Mutex::new(1_000_000),
            outage: Mutex::default(),
            list_refused: Mutex::default(),
            list_breaks: Mutex::default(),
            list_confused: Mutex::default(),
            list_circles: Mutex::default(),
            no_new_token: Mutex::default(),
            broken: Mutex::default(),
            calls: Mutex::default(),
            door: Semaphore::new(Semaphore::MAX_PERMITS),
            arrived: watch::Sender::new(0),
        }))
    }

    /// An open vault that reads it, by the declaration `spec`, and the vaults it is open among.
    pub(crate) fn open(&self, vault: &Arc<VaultEntry>) -> (Arc<Readers>, Arc<OpenVault>) {
        let metrics = Arc::new(Metrics::new(&mut prometheus_client::registry::Registry::default()));
        let readers = Arc::new(Readers::new(Opener(self.clone()), metrics));
        let open = readers.open(vault).unwrap();
        (readers, open)
    }

    /// Time goes on.
    pub(crate) fn later(&self, seconds: i64) {
        *self.0.clock.lock().unwrap() += seconds;
    }

    /// A new version.
    pub(crate) fn set(&self, name: &str) {
        let now = *self.0.clock.lock().unwrap();
        let mut objects = self.0.objects.lock().unwrap();
        let number = objects.get(name).map_or(1, |version| version.number + 1);
        objects.insert(name.to_owned(), Version { number, enabled: true, updated: now });
    }

    /// Back to the version before, as a replica that lags behind shows it.
    pub(crate) fn lag(&self, name: &str) {
        let mut objects = self.0.objects.lock().unwrap();
        let version = objects.get_mut(name).unwrap();
        (version.number, version.updated) = (version.number - 1, version.updated - 100);
    }

    /// It is enabled, or not.
    pub(crate) fn enable(&self, name: &str, enabled: bool) {
        let now = *self.0.clock.lock().unwrap();
        let mut objects = self.0.objects.lock().unwrap();
        let version = objects.get_mut(name).unwrap();
        (version.enabled, version.updated) = (enabled, now);
    }

    /// It is gone.
    pub(crate) fn delete(&self, name: &str) {
        self.0.objects.lock().unwrap().remove(name);
    }

    /// Every call ends with `error` from now on; `None` ends that.
    pub(crate) fn outage(&self, error: Option<ReadError>) {
        *self.0.outage.lock().unwrap() = error;
    }

    /// Whether listing is refused.
    pub(crate) fn refuse_list(&self, refused: bool) {
        *self.0.list_refused.lock().unwrap() = refused;
    }

    /// Whether a listing makes no sense.
    pub(crate) fn confuse_list(&self, confused: bool) {
        *self.0.list_confused.lock().unwrap() = confused;
    }

    /// Whether every page of a listing leads to the first.
    pub(crate) fn circle_list(&self, circles: bool) {
        *self.0.list_circles.lock().unwrap() = circles;
    }

    /// From now on no new token is to be had.
    pub(crate) fn no_new_token(&self) {
        *self.0.no_new_token.lock().unwrap() = true;
    }

    /// Whether answers about an object make no sense.
    pub(crate) fn break_object(&self, name: &str, broken: bool) {
        let mut all = self.0.broken.lock().unwrap();
        if broken {
            all.insert(name.to_owned())
        } else {
            all.remove(name)
        };
    }

    /// Whether listing ends in a panic: a fault of the broker's own.
    pub(crate) fn break_list(&self, breaks: bool) {
        *self.0.list_breaks.lock().unwrap() = breaks;
    }

    /// Reads wait from now on until [`Self::let_in`].
    pub(crate) fn shut(&self) {
        self.0.door.forget_permits(usize::MAX);
    }

    /// Lets so many waiting reads go on.
    pub(crate) fn let_in(&self, count: usize) {
        self.0.door.add_permits(count);
    }

    /// Returns once so many reads have come to the door since the beginning.
    pub(crate) async fn arrived(&self, count: usize) {
        self.0.arrived.subscribe().wait_for(|arrived| *arrived >= count).await.unwrap();
    }

    /// The calls since the last time, as `get s0` and `list`.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.calls.lock().unwrap())
    }

    fn called(&self, call: String) -> Result<(), ReadError> {
        self.0.calls.lock().unwrap().push(call);
        self.0.outage.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn answer(&self, object: &ObjectId, version: &Version) -> Result<RawObject, ReadError> {
        if !version.enabled {
            return Err(ReadError::Disabled);
        }
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        let value = SecretBytes::from(format!("kwcanary-{}-{}", object.name, version.number));
        let now = at(*self.0.clock.lock().unwrap());
        let attributes = Attributes {
            created: Some(at(i64::from(version.number))),
            updated: Some(at(version.updated)),
            ..Attributes::default()
        };
        Ok(RawObject {
            version: ObjectVersion::new(&format!("{:032x}", version.number)).unwrap(),
            attributes,
            stamp: Stamp::new(attributes.updated, now),
            body: RawBody::Secret(RawSecret { value, content_type: None }),
        })
    }

    fn page(&self, number: usize) -> Result<Page, ReadError> {
        self.called("list".to_owned())?;
        let breaks = *self.0.list_breaks.lock().unwrap();
        assert!(!breaks, "a fault of the broker's own");
        if *self.0.list_refused.lock().unwrap() {
            return Err(ReadError::Forbidden("ForbiddenByRbac".to_owned()));
        }
        if *self.0.list_confused.lock().unwrap() {
            return Err(ReadError::Malformed("no JSON".to_owned()));
        }
        let objects = self.0.objects.lock().unwrap();
        let listed = objects.iter().skip(number * 25).take(25).map(|(name, version)| Listed {
            name: ObjectName::new(name).unwrap(),
            enabled: version.enabled,
            updated: OffsetDateTime::from_unix_timestamp(version.updated).ok(),
        });
        let circles = *self.0.list_circles.lock().unwrap();
        let next = (objects.len() > (number + 1) * 25).then_some(if circles { 0 } else { number as u64 });
        Ok(Page { items: listed.collect(), next })
    }
}

#[async_trait]
impl VaultReader for FakeVault {
    async fn read(&self, object: &ObjectId) -> Result<RawObject, ReadError> {
        // What it was when it was asked for, however long the answer takes.
        let version = self.0.objects.lock().unwrap().get(object.name.as_str()).cloned();
        let called = self.called(format!("get {}", object.name));
        self.0.arrived.send_modify(|arrived| *arrived += 1);
        self.0.door.acquire().await.unwrap().forget();
        called?;
        if self.0.broken.lock().unwrap().contains(object.name.as_str()) {
            return Err(ReadError::Malformed("it has no value".to_owned()));
        }
        self.answer(object, &version.ok_or(ReadError::NotFound)?)
    }

    fn pages(&self, collection: Collection) -> BoxStream<'_, Result<Page, ReadError>> {
        match collection {
            Collection::Secrets => stream::iter(0..).map(|number| self.page(number)).boxed(),
            Collection::Keys => {
                stream::once(async { self.called("list keys".to_owned()).map(|()| Page::default()) }).boxed()
            }
        }
    }

    async fn renew(&self) -> bool {
        self.0.calls.lock().unwrap().push("renew".to_owned());
        !*self.0.no_new_token.lock().unwrap()
    }
}

struct Opener(FakeVault);

impl Open for Opener {
    fn open(&self, _: &VaultEntry, _: Arc<VaultObserver>) -> Result<Arc<dyn VaultReader>, ReadError> {
        Ok(Arc::new(self.0.clone()))
    }
}

/// The secret `name`, its current version.
pub(crate) fn secret(name: &str) -> ObjectId {
    ObjectId { kind: ObjectKind::Secret, name: ObjectName::new(name).unwrap(), version: None }
}

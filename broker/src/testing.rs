//! What several rooms' tests need: manifests to a snapshot, and a vault that answers from memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use keyward_types::{ObjectVersion, Reference, SecretBytes};
use prometheus_client::registry::Registry;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::task::TaskTracker;

use crate::{
    authz,
    cache::{Entry, Keeper, Kept, ObjectCache},
    changes::Changes,
    manifests,
    metrics::Metrics,
    object::{Attributes, Object, ObjectId, RawBody, RawObject, RawSecret, Stamp},
    policy::{self, Current, DefaultAccess, Snapshot, VaultEntry},
    readers::{Open, Readers, VaultObserver},
    resolve::{Resolver, Trail},
    vault::{Collection, Page, ReadError, VaultReader},
};

/// An `AzureKeyVault` named as its vault, open to namespace `shop`.
pub(crate) const ACME: &str = "---\napiVersion: keyward.dev/v1alpha1\nkind: AzureKeyVault\nmetadata: {name: acme}\n\
                               spec: {vaultName: acme, namespaces: {names: [shop]}}\n";

/// The snapshot of `manifests`, everything undeclared denied.
pub(crate) fn snapshot(text: &str) -> Snapshot {
    Snapshot::build(policy::testing::defaults(DefaultAccess::Deny), manifests::read("f", text))
}

/// An `AzureKeyVaultSecret` of a secret.
pub(crate) fn secret(namespace: &str, name: &str, vault: &str, object: &str) -> String {
    secret_with(&format!("name: {name}, namespace: {namespace}"), vault, object, "")
}

/// The same with any metadata, and more of its spec.
pub(crate) fn secret_with(metadata: &str, vault: &str, object: &str, more: &str) -> String {
    format!(
        "---\napiVersion: spv.no/v2beta1\nkind: AzureKeyVaultSecret\nmetadata: {{{metadata}}}\n\
         spec: {{vault: {{name: \"{vault}\", object: {{name: \"{object}\", type: secret}}}}{more}}}\n"
    )
}

/// Where `shop/db` of vault `acme` comes from, and what was served of it: its version, and its age.
pub(crate) fn trail(served: Option<(char, Duration)>) -> Trail {
    let snapshot = snapshot(&format!("{ACME}{}", secret("shop", "db", "acme", "db")));
    let grant = authz::decide(&snapshot, "shop", &Reference::new("db", None).unwrap()).unwrap();
    Trail { served: served.map(|(version, age)| (Arc::new(entry(version, Keeper::SELF)), age)), ..Trail::of(grant) }
}

/// A secret that was read now, and is kept by `keeper`.
pub(crate) fn entry(version: char, keeper: Keeper) -> Entry {
    let version = ObjectVersion::new(&version.to_string().repeat(32)).unwrap();
    let value = Object::Secret(SecretBytes::from("kwcanary"));
    let kept = Kept { by: keeper, since_read: Duration::ZERO, order: 0, since_confirmed: Duration::ZERO };
    Entry::mirrored(version, Attributes::default(), Stamp::default(), value, kept, Instant::now())
}

/// A vault whose every secret is `kwcanary-NAME`. Each read takes one of `turns`.
pub(crate) struct Memory {
    pub(crate) reads: AtomicUsize,
    pub(crate) started: Semaphore,
    pub(crate) turns: Semaphore,
}

impl Memory {
    /// One that answers `turns` reads, and then none until it is given more.
    pub(crate) fn new(turns: usize) -> Arc<Self> {
        Arc::new(Self { reads: AtomicUsize::new(0), started: Semaphore::new(0), turns: Semaphore::new(turns) })
    }

    /// Returns when one more read has begun.
    pub(crate) async fn read_begun(&self) {
        self.started.acquire().await.unwrap().forget();
    }
}

#[async_trait]
impl VaultReader for Memory {
    async fn read(&self, id: &ObjectId) -> Result<RawObject, ReadError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.started.add_permits(1);
        self.turns.acquire().await.unwrap().forget();
        let value = SecretBytes::from(format!("kwcanary-{}", id.name));
        Ok(RawObject {
            version: ObjectVersion::new(&"a".repeat(32)).unwrap(),
            attributes: Attributes::default(),
            stamp: Stamp::default(),
            body: RawBody::Secret(RawSecret { value, content_type: None }),
        })
    }

    fn pages(&self, _: Collection) -> BoxStream<'_, Result<Page, ReadError>> {
        stream::empty().boxed()
    }

    async fn renew(&self) -> bool {
        false
    }
}

struct Opener(Arc<Memory>);

impl Open for Opener {
    fn open(&self, _: &VaultEntry, _: Arc<VaultObserver>) -> Result<Arc<dyn VaultReader>, ReadError> {
        Ok(Arc::clone(&self.0) as Arc<dyn VaultReader>)
    }
}

/// Counters that nobody reads.
pub(crate) fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(&mut Registry::default()))
}

/// A resolver of `snapshot` that reads from `vault`.
pub(crate) fn resolver(snapshot: &Arc<Current>, vault: &Arc<Memory>) -> Resolver {
    let cache = ObjectCache::new(1 << 20, TaskTracker::new(), Changes::default());
    Resolver::new(Arc::clone(snapshot), cache, readers(vault))
}

/// Readers that open nothing but `vault`.
pub(crate) fn readers(vault: &Arc<Memory>) -> Arc<Readers> {
    Arc::new(Readers::new(Opener(Arc::clone(vault)), metrics()))
}

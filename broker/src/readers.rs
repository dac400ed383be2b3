//! One open reader for each vault, made when it is first needed and kept: a new SDK client costs a challenge request.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    metrics::Metrics,
    policy::{Declared, IdentityChoice, Snapshot, VaultEntry},
    vault::{ReadError, VaultReader, origin::Origin},
};

/// Vaults open at once. Only an administrator can declare more, unless undeclared vaults are open to all.
const MAX_OPEN: usize = 1_000;

/// Opens a vault for reading.
pub trait Open: Send + Sync {
    /// Makes the clients for `vault`; every request they send is told to `observer`. No I/O.
    fn open(&self, vault: &VaultEntry, observer: Arc<VaultObserver>) -> Result<Arc<dyn VaultReader>, ReadError>;
}

/// Counts the requests sent to one vault.
#[derive(Debug)]
pub struct VaultObserver {
    vault: Origin,
    requests: AtomicU64,
    metrics: Arc<Metrics>,
}

impl VaultObserver {
    /// One request was sent and answered with `status`, or with nothing.
    pub fn count(&self, operation: &'static str, status: Option<u16>) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.metrics.vault_request(&self.vault, operation, status);
    }
}

/// What an open reader depends on: a vault read as another identity is another reader.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    origin: Origin,
    identity: IdentityChoice,
}

struct OpenReader {
    reader: Arc<dyn VaultReader>,
    observer: Arc<VaultObserver>,
}

/// The open readers.
pub struct Readers {
    opener: Box<dyn Open>,
    metrics: Arc<Metrics>,
    open: Mutex<HashMap<Key, OpenReader>>,
}

impl Readers {
    /// None open yet.
    pub fn new(opener: impl Open + 'static, metrics: Arc<Metrics>) -> Self {
        Self { opener: Box::new(opener), metrics, open: Mutex::new(HashMap::new()) }
    }

    /// The reader of `vault`.
    pub fn open(&self, vault: &VaultEntry) -> Result<Arc<dyn VaultReader>, ReadError> {
        let key = key_of(vault);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = open.get(&key) {
            return Ok(Arc::clone(&known.reader));
        }
        if open.len() >= MAX_OPEN {
            return Err(ReadError::Unreachable(format!("{MAX_OPEN} vaults are open already; declare fewer")));
        }
        let observer = Arc::new(VaultObserver {
            vault: vault.origin.clone(),
            requests: AtomicU64::new(0),
            metrics: Arc::clone(&self.metrics),
        });
        let reader = self.opener.open(vault, Arc::clone(&observer))?;
        open.insert(key, OpenReader { reader: Arc::clone(&reader), observer });
        Ok(reader)
    }

    /// Requests sent to `origin`, as whichever identity, by readers that are open.
    pub fn requests(&self, origin: &Origin) -> u64 {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_origin = open.iter().filter(|(key, _)| key.origin == *origin);
        of_origin.map(|(_, open)| open.observer.requests.load(Ordering::Relaxed)).sum()
    }

    /// Closes every reader that `snapshot` has no use for. Reads under way finish.
    pub fn retain(&self, snapshot: &Snapshot) {
        let declared = snapshot.vaults().filter_map(|(_, declared)| match declared {
            Declared::Valid(entry) => Some(key_of(entry)),
            Declared::Invalid(_) => None,
        });
        let undeclared = snapshot
            .secrets()
            .filter(|secret| snapshot.vault(&secret.vault).is_none())
            .map(|secret| key_of(&VaultEntry::undeclared(&secret.vault, snapshot.defaults())));
        let used: std::collections::HashSet<Key> = declared.chain(undeclared).collect();
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| used.contains(key));
    }
}

fn key_of(vault: &VaultEntry) -> Key {
    Key { origin: vault.origin.clone(), identity: vault.identity.clone() }
}

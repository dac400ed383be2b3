//! One open vault for each that is in use, made when it is first needed and kept: a new SDK client costs a challenge
//! request, and gate and poller need what went before.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::{
    budget::{Closed, Gate, Shares, Undivided},
    metrics::Metrics,
    policy::{Snapshot, VaultEntry, VaultId},
    poll::Progress,
    vault::{
        ReadError, VaultReader,
        observe::{Operation, RequestObserver, Requests},
        origin::Origin,
    },
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
    requests: Requests,
    metrics: Arc<Metrics>,
    gate: Arc<Gate>,
}

impl RequestObserver for VaultObserver {
    fn request(&self, operation: Operation, status: Option<u16>, took: Duration) {
        self.requests.count(operation, status);
        self.metrics.vault_request(operation, took);
        if status == Some(401) {
            // A challenge: the call it belongs to is sent again.
            self.gate.debit();
        }
    }

    fn permitted(&self) -> Result<(), Closed> {
        self.gate.permitted()
    }
}

/// A vault that is read.
pub struct OpenVault {
    id: Arc<VaultId>,
    settings: ArcSwap<VaultEntry>,
    reader: Arc<dyn VaultReader>,
    observer: Arc<VaultObserver>,
    gate: Arc<Gate>,
    progress: Mutex<Progress>,
}

impl OpenVault {
    /// What it is known by.
    pub fn id(&self) -> &Arc<VaultId> {
        &self.id
    }

    /// What its declaration says now.
    pub fn settings(&self) -> Arc<VaultEntry> {
        self.settings.load_full()
    }

    /// To be passed before every call.
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Makes the calls.
    pub fn reader(&self) -> &dyn VaultReader {
        self.reader.as_ref()
    }

    /// Fetches a new token in place of one that was refused; see [`VaultReader::renew`].
    pub async fn renew(&self) -> bool {
        self.reader.renew().await
    }

    /// Where polling it stands.
    pub fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests sent to it since it was opened.
    pub fn requests(&self) -> u64 {
        self.observer.requests.all().map(|(_, count)| count).sum()
    }

    /// The same, by operation and HTTP status.
    pub fn requests_by_outcome(&self) -> impl Iterator<Item = ((Operation, &'static str), u64)> + '_ {
        self.observer.requests.all()
    }
}

/// The open vaults.
pub struct Readers {
    opener: Box<dyn Open>,
    metrics: Arc<Metrics>,
    shares: Arc<dyn Shares>,
    open: Mutex<HashMap<Arc<VaultId>, Arc<OpenVault>>>,
    /// The budget is the vault's, whoever reads it, and outlives its being open: a pause that it asked for still holds.
    gates: Mutex<HashMap<Origin, Arc<Gate>>>,
    /// What the newest manifests say: a request under way may know older ones.
    used: Mutex<HashMap<Arc<VaultId>, Arc<VaultEntry>>>,
    changed: Notify,
}

impl Readers {
    /// None open yet; every budget is this process's alone.
    pub fn new(opener: impl Open + 'static, metrics: Arc<Metrics>) -> Self {
        Self::sharing(opener, metrics, Arc::new(Undivided))
    }

    /// None open yet; of every budget there is what `shares` says.
    pub fn sharing(opener: impl Open + 'static, metrics: Arc<Metrics>, shares: Arc<dyn Shares>) -> Self {
        Self {
            opener: Box::new(opener),
            metrics,
            shares,
            open: Mutex::default(),
            gates: Mutex::default(),
            used: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// The vault, opened if it is not.
    pub fn open(&self, vault: &Arc<VaultEntry>) -> Result<Arc<OpenVault>, ReadError> {
        let id = Arc::clone(&vault.id);
        let mut open = self.lock();
        if let Some(known) = open.get(&id) {
            return Ok(Arc::clone(known));
        }
        if open.len() >= MAX_OPEN {
            return Err(ReadError::Unreachable(format!("{MAX_OPEN} vaults are open already; declare fewer")));
        }
        let newest = self.used().get(&id).cloned();
        let vault = newest.as_ref().unwrap_or(vault);
        let gate = self.gate(vault);
        let observer = Arc::new(VaultObserver {
            requests: Requests::default(),
            metrics: Arc::clone(&self.metrics),
            gate: Arc::clone(&gate),
        });
        let reader = self.opener.open(vault, Arc::clone(&observer))?;
        let settings = ArcSwap::new(Arc::clone(vault));
        let opened =
            Arc::new(OpenVault { id: Arc::clone(&id), settings, reader, observer, gate, progress: Mutex::default() });
        open.insert(id, Arc::clone(&opened));
        drop(open);
        self.changed.notify_one();
        Ok(opened)
    }

    /// The vault, if it is open.
    pub fn get(&self, id: &VaultId) -> Option<Arc<OpenVault>> {
        self.lock().get(id).cloned()
    }

    /// Every open vault, in no order.
    pub fn all(&self) -> Vec<Arc<OpenVault>> {
        self.lock().values().cloned().collect()
    }

    /// Returns once a vault was opened or closed, or its declaration changed, since the last time this returned. For one
    /// listener.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Closes every vault that `snapshot` has no use for, and hands the others their declarations anew. Reads under way
    /// finish.
    pub fn retain(&self, snapshot: &Snapshot) {
        let used: HashMap<Arc<VaultId>, Arc<VaultEntry>> =
            snapshot.usable_vaults().map(|vault| (Arc::clone(&vault.id), vault)).collect();
        // Before the open ones are looked at: whatever is opened from now on is opened by it.
        self.used().clone_from(&used);
        self.lock().retain(|id, open| {
            let Some(vault) = used.get(id) else { return false };
            open.gate.set_budget(vault.budget);
            open.settings.store(Arc::clone(vault));
            true
        });
        self.forget_gates();
        self.changed.notify_one();
    }

    /// Looks again what the shares are.
    pub fn share_anew(&self) {
        for (origin, gate) in self.gates().iter() {
            gate.set_share(self.shares.share(origin));
        }
    }

    /// What others lend is lent for another [`crate::budget::LENT_FOR`].
    pub fn lend_on(&self) {
        for gate in self.gates().values() {
            gate.lend_on();
        }
    }

    /// The gate of the vault, as it was left if it was open before.
    fn gate(&self, vault: &VaultEntry) -> Arc<Gate> {
        let mut gates = self.gates();
        let share = || self.shares.share(&vault.origin);
        let gate = gates.entry(vault.origin.clone()).or_insert_with(|| Gate::new(vault.budget, share()));
        gate.set_budget(vault.budget);
        Arc::clone(gate)
    }

    /// Forgets the gates that nobody uses and that are as new.
    fn forget_gates(&self) {
        self.gates().retain(|_, gate| Arc::strong_count(gate) > 1 || !gate.is_rested());
    }

    fn gates(&self) -> MutexGuard<'_, HashMap<Origin, Arc<Gate>>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn used(&self) -> MutexGuard<'_, HashMap<Arc<VaultId>, Arc<VaultEntry>>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<VaultId>, Arc<OpenVault>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;

//! Gates: where held calls wait until a test lets them through.

use std::sync::{Arc, Mutex};

use serde::Serialize;
use tokio::sync::watch;

use crate::vault::lock::lock;

/// A door that calls wait at.
#[derive(Clone)]
pub struct Gate {
    name: Arc<str>,
    arrived: Arc<watch::Sender<usize>>,
    open: Arc<watch::Sender<bool>>,
}

impl Gate {
    fn new(name: &str) -> Self {
        Self { name: name.into(), arrived: Arc::new(watch::Sender::new(0)), open: Arc::new(watch::Sender::new(false)) }
    }

    /// Returns once `count` calls have come to the gate, whether or not they still wait.
    pub async fn arrived(&self, count: usize) {
        // The sender lives as long as `self`: waiting cannot fail.
        let _ = self.arrived.subscribe().wait_for(|arrived| *arrived >= count).await;
    }

    /// Lets everybody through, now and later.
    pub fn release(&self) {
        self.open.send_replace(true);
    }

    pub(super) async fn pass(&self) {
        self.arrived.send_modify(|arrived| *arrived += 1);
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }
}

/// A gate as the control port shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GateState {
    name: String,
    arrived: usize,
    open: bool,
}

/// All gates.
#[derive(Default)]
pub(super) struct Gates(Mutex<Vec<Gate>>);

impl Gates {
    /// The gate of this name; made where there is none.
    pub(super) fn get(&self, name: &str) -> Gate {
        let mut gates = lock(&self.0);
        if let Some(gate) = gates.iter().find(|gate| &*gate.name == name) {
            return gate.clone();
        }
        let gate = Gate::new(name);
        gates.push(gate.clone());
        gate
    }

    /// Opens and forgets all.
    pub(super) fn clear(&self) {
        for gate in lock(&self.0).drain(..) {
            gate.release();
        }
    }

    pub(super) fn states(&self) -> Vec<GateState> {
        let state = |gate: &Gate| GateState {
            name: gate.name.to_string(),
            arrived: *gate.arrived.borrow(),
            open: *gate.open.borrow(),
        };
        lock(&self.0).iter().map(state).collect()
    }
}

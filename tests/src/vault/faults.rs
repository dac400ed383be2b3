//! Trouble on demand. A [`Rule`] arms a [`Fault`] for the next calls that match it; the first armed rule that matches
//! wins. Faults strike after authentication, so that an SDK's challenge probe does not use one up.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::lock::lock;

/// Rules kept at once.
const MAX_RULES: usize = 1_000;

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Fault {
    /// It is answered with this status, and nothing is done.
    Status {
        /// The HTTP status.
        code: u16,
        /// `Retry-After`, in seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
        /// `innererror.code`, such as `ForbiddenByRbac`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inner: Option<String>,
    },
    /// It is done after this many milliseconds.
    Delay {
        /// How long.
        millis: u64,
    },
    /// It waits until the gate of this name is released, then it is done.
    Hold {
        /// The gate; made on first use.
        gate: String,
    },
}

/// Which calls a fault strikes, and how many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[must_use = "a rule strikes once it is armed"]
pub struct Rule {
    /// Only calls to this vault (or `entra`, `imds`, `appservice`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<String>,
    /// Only this operation, such as `SecretGet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Only this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// How many calls it still strikes; absent in JSON means one.
    #[serde(default = "one")]
    pub times: u64,
    /// What happens to them.
    pub fault: Fault,
}

fn one() -> u64 {
    1
}

impl Rule {
    /// The next `times` calls of any kind.
    pub fn next(times: u64, fault: Fault) -> Self {
        Self { vault: None, operation: None, object: None, times, fault }
    }

    /// The next `times` calls answer 429.
    pub fn throttle(times: u64, retry_after: Option<u64>) -> Self {
        Self::next(times, Fault::Status { code: 429, retry_after, inner: None })
    }

    /// The next `times` calls answer this status.
    pub fn status(times: u64, code: u16) -> Self {
        Self::next(times, Fault::Status { code, retry_after: None, inner: None })
    }

    /// The next `times` calls answer 403 for this reason, such as `ForbiddenByRbac`.
    pub fn forbid(times: u64, inner: &str) -> Self {
        Self::next(times, Fault::Status { code: 403, retry_after: None, inner: Some(inner.to_owned()) })
    }

    /// The next call waits until the gate of this name is released.
    pub fn hold(gate: &str) -> Self {
        Self::next(1, Fault::Hold { gate: gate.to_owned() })
    }

    /// Of one vault only.
    pub fn vault(mut self, vault: &str) -> Self {
        self.vault = Some(vault.to_owned());
        self
    }

    /// Of one operation only.
    pub fn operation(mut self, operation: &str) -> Self {
        self.operation = Some(operation.to_owned());
        self
    }

    /// Of one object only.
    pub fn object(mut self, object: &str) -> Self {
        self.object = Some(object.to_owned());
        self
    }

    fn strikes(&self, vault: &str, operation: &str, object: &str) -> bool {
        let accepts = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|w| w.eq_ignore_ascii_case(is));
        self.times > 0
            && accepts(&self.vault, vault)
            && accepts(&self.operation, operation)
            && accepts(&self.object, object)
    }
}

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

    async fn pass(&self) {
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

/// Too many rules are armed.
#[derive(Debug, thiserror::Error)]
#[error("{MAX_RULES} fault rules are armed already; clear some first")]
pub struct TooManyRules;

/// The armed rules and the gates.
#[derive(Default)]
pub struct Faults {
    rules: Mutex<Vec<Rule>>,
    gates: Mutex<Vec<Gate>>,
}

impl Faults {
    /// Arms a rule behind those armed already.
    pub fn arm(&self, rule: Rule) -> Result<(), TooManyRules> {
        let mut rules = lock(&self.rules);
        rules.retain(|rule| rule.times > 0);
        if rules.len() >= MAX_RULES {
            return Err(TooManyRules);
        }
        rules.push(rule);
        Ok(())
    }

    /// The gate of this name, to wait at and to release; made where there is none.
    pub fn gate(&self, name: &str) -> Gate {
        let mut gates = lock(&self.gates);
        if let Some(gate) = gates.iter().find(|gate| &*gate.name == name) {
            return gate.clone();
        }
        let gate = Gate::new(name);
        gates.push(gate.clone());
        gate
    }

    /// Disarms all rules, opens all gates and forgets them.
    pub fn clear(&self) {
        lock(&self.rules).clear();
        for gate in lock(&self.gates).drain(..) {
            gate.release();
        }
    }

    /// The rules that still strike.
    pub fn rules(&self) -> Vec<Rule> {
        lock(&self.rules).iter().filter(|rule| rule.times > 0).cloned().collect()
    }

    /// All gates.
    pub fn gates(&self) -> Vec<GateState> {
        let state = |gate: &Gate| GateState {
            name: gate.name.to_string(),
            arrived: *gate.arrived.borrow(),
            open: *gate.open.borrow(),
        };
        lock(&self.gates).iter().map(state).collect()
    }

    /// Uses up one strike of the first rule that matches. Waits out delays and gates; a status is for the caller to
    /// answer.
    pub(super) async fn strike(&self, vault: &str, operation: &str, object: &str) -> Option<StatusFault> {
        match self.take(vault, operation, object)? {
            Fault::Status { code, retry_after, inner } => Some(StatusFault { code, retry_after, inner }),
            Fault::Delay { millis } => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                None
            }
            Fault::Hold { gate } => {
                self.gate(&gate).pass().await;
                None
            }
        }
    }

    fn take(&self, vault: &str, operation: &str, object: &str) -> Option<Fault> {
        let mut rules = lock(&self.rules);
        let rule = rules.iter_mut().find(|rule| rule.strikes(vault, operation, object))?;
        rule.times -= 1;
        Some(rule.fault.clone())
    }
}

/// A status to answer instead of doing the call.
pub(super) struct StatusFault {
    pub(super) code: u16,
    pub(super) retry_after: Option<u64>,
    pub(super) inner: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_rule_strikes_as_often_as_it_says_and_only_what_it_names() {
        let faults = Faults::default();
        faults.arm(Rule::throttle(2, Some(3)).vault("acme").operation("SecretGet")).unwrap();
        assert!(faults.strike("partner", "SecretGet", "a").await.is_none());
        assert!(faults.strike("acme", "SecretList", "").await.is_none());
        for _ in 0..2 {
            let struck = faults.strike("acme", "SecretGet", "a").await.unwrap();
            assert_eq!((struck.code, struck.retry_after), (429, Some(3)));
        }
        assert!(faults.strike("acme", "SecretGet", "a").await.is_none());
        assert!(faults.rules().is_empty());
    }

    #[tokio::test]
    async fn a_held_call_waits_for_its_gate() {
        let faults = Arc::new(Faults::default());
        faults.arm(Rule::hold("g")).unwrap();
        let gate = faults.gate("g");
        let held = tokio::spawn({
            let faults = faults.clone();
            async move { faults.strike("acme", "SecretGet", "a").await.is_none() }
        });
        gate.arrived(1).await;
        assert!(!held.is_finished());
        gate.release();
        assert!(held.await.unwrap());
    }

    #[test]
    fn rules_read_as_the_help_writes_them() {
        let rule: Rule =
            serde_json::from_str(r#"{"vault":"acme","times":2,"fault":{"status":{"code":429,"retryAfter":1}}}"#)
                .unwrap();
        assert_eq!(rule, Rule::throttle(2, Some(1)).vault("acme"));
        let rule: Rule = serde_json::from_str(r#"{"fault":{"hold":{"gate":"g"}}}"#).unwrap();
        assert_eq!(rule, Rule::hold("g"));
    }
}

//! Trouble on demand. A [`Rule`] arms a [`Fault`] for the next calls that match it, or for all of them until it is
//! lifted; the first armed rule that matches, and that chance does not spare, wins. Faults strike after authentication,
//! so that an SDK's challenge probe does not use one up, unless the rule is `unauthenticated`; at the token endpoints
//! (`entra`, `imds`, `appservice`), before.
//!
//! Rules are armed and lifted by [`super::control`] and by tests; `data_plane`, `entra` and `imds` take each call
//! [`through`](Faults::through) here.

use std::fmt;
use std::sync::Mutex;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::lock::lock;

mod body;
mod dice;
mod fault;
mod gate;
mod page;
mod rule;
mod struck;

pub use fault::{BodyFault, Fault, PageFault, RetryAfter, Revocation};
pub use gate::{Gate, GateState};
pub(super) use page::PageTrouble;
pub use rule::Rule;
pub(super) use rule::Target;
pub(super) use struck::Instead;

use dice::Dice;
use gate::Gates;
use struck::Struck;

/// Rules kept at once, those included that strike no more.
const MAX_RULES: usize = 1_000;

/// An armed rule, to lift it or to ask about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RuleId(u64);

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A rule was not armed.
#[derive(Debug, thiserror::Error)]
pub enum ArmError {
    /// Too many strike still.
    #[error("{MAX_RULES} fault rules are armed already; clear some first")]
    TooManyRules,
    /// It makes no sense.
    #[error("the rule cannot strike: {0}")]
    Senseless(&'static str),
}

/// An armed rule as it is now.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleState {
    /// What [`Faults::arm`] gave.
    pub id: RuleId,
    /// How often it struck.
    pub struck: u64,
    /// The rule; `times` is what is left of it.
    #[serde(flatten)]
    pub rule: Rule,
}

/// A rule, and the calls it struck that wait for it to be lifted: dropping it lets them go.
struct Armed {
    id: RuleId,
    rule: Rule,
    struck: u64,
    dice: Dice,
    lifted: CancellationToken,
}

impl Armed {
    fn strike(&mut self, target: &Target<'_>) -> Option<Struck> {
        if self.rule.is_spent() || !self.rule.accepts(target) {
            return None;
        }
        if self.rule.chance.is_some_and(|chance| !self.dice.hits(chance)) {
            return None;
        }
        self.struck += 1;
        if !self.rule.until_lifted {
            self.rule.times -= 1;
        }
        Some(Struck::new(self.rule.fault.clone(), self.dice.split(), self.lifted.clone()))
    }

    fn state(&self) -> RuleState {
        RuleState { id: self.id, struck: self.struck, rule: self.rule.clone() }
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        self.lifted.cancel();
    }
}

#[derive(Default)]
struct Rules {
    armed: Vec<Armed>,
    /// Rules ever armed.
    count: u64,
}

/// The armed rules and the gates.
#[derive(Default)]
pub struct Faults {
    rules: Mutex<Rules>,
    gates: Gates,
}

impl Faults {
    /// Arms a rule behind those armed already.
    pub fn arm(&self, rule: Rule) -> Result<RuleId, ArmError> {
        if let Some(complaint) = rule.complaint() {
            return Err(ArmError::Senseless(complaint));
        }
        let mut rules = lock(&self.rules);
        if rules.armed.len() >= MAX_RULES {
            rules.armed.retain(|armed| !armed.rule.is_spent());
        }
        if rules.armed.len() >= MAX_RULES {
            return Err(ArmError::TooManyRules);
        }
        rules.count += 1;
        let id = RuleId(rules.count);
        let dice = Dice::new(rule.seed);
        rules.armed.push(Armed { id, rule, struck: 0, dice, lifted: CancellationToken::new() });
        Ok(id)
    }

    /// Lifts a rule, and lets go the calls that wait for that. Whether it was there.
    pub fn lift(&self, id: RuleId) -> bool {
        self.lift_where(|armed| armed.id == id) > 0
    }

    /// Lifts all rules of this name; how many there were.
    pub fn lift_named(&self, name: &str) -> usize {
        self.lift_where(|armed| armed.rule.name.as_deref() == Some(name))
    }

    /// Lifts all rules that name this vault (or `entra`, `imds`, `appservice`); how many there were.
    pub fn lift_vault(&self, vault: &str) -> usize {
        let of_vault = |rule: &Rule| rule.vault.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(vault));
        self.lift_where(|armed| of_vault(&armed.rule))
    }

    fn lift_where(&self, wanted: impl Fn(&Armed) -> bool) -> usize {
        let mut rules = lock(&self.rules);
        let before = rules.armed.len();
        rules.armed.retain(|armed| !wanted(armed));
        before - rules.armed.len()
    }

    /// How often a rule struck; `None` where there is none of this id, or no more.
    pub fn struck(&self, id: RuleId) -> Option<u64> {
        lock(&self.rules).armed.iter().find(|armed| armed.id == id).map(|armed| armed.struck)
    }

    /// The gate of this name, to wait at and to release; made where there is none.
    pub fn gate(&self, name: &str) -> Gate {
        self.gates.get(name)
    }

    /// Disarms all rules, opens all gates and forgets them.
    pub fn clear(&self) {
        lock(&self.rules).armed.clear();
        self.gates.clear();
    }

    /// The rules that still strike.
    pub fn rules(&self) -> Vec<RuleState> {
        let rules = lock(&self.rules);
        rules.armed.iter().filter(|armed| !armed.rule.is_spent()).map(Armed::state).collect()
    }

    /// The rules of this id or name, those included that strike no more.
    pub(super) fn find(&self, id_or_name: &str) -> Vec<RuleState> {
        let rules = lock(&self.rules);
        rules.armed.iter().filter(|armed| armed.is_called(id_or_name)).map(Armed::state).collect()
    }

    /// Lifts the rules of this id or name; how many there were.
    pub(super) fn lift_called(&self, id_or_name: &str) -> usize {
        self.lift_where(|armed| armed.is_called(id_or_name))
    }

    /// All gates.
    pub fn gates(&self) -> Vec<GateState> {
        self.gates.states()
    }

    /// Uses up one strike of the first rule that matches.
    fn strike(&self, target: &Target<'_>) -> Option<Struck> {
        lock(&self.rules).armed.iter_mut().find_map(|armed| armed.strike(target))
    }
}

impl Armed {
    fn is_called(&self, id_or_name: &str) -> bool {
        self.rule.name.as_deref() == Some(id_or_name) || id_or_name.parse() == Ok(self.id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Target<'static> =
        Target { vault: "acme", operation: "SecretGet", object: "a", client: Some("app"), admitted: true };

    fn strikes(faults: &Faults, calls: usize) -> Vec<bool> {
        (0..calls).map(|_| faults.strike(&CALL).is_some()).collect()
    }

    #[test]
    fn a_rule_strikes_as_often_as_it_says_and_only_what_it_names() {
        let faults = Faults::default();
        let id = faults.arm(Rule::throttle(2, Some(3)).vault("acme").operation("SecretGet")).unwrap();
        assert!(faults.strike(&Target { vault: "partner", ..CALL }).is_none());
        assert_eq!(strikes(&faults, 3), [true, true, false]);
        assert!(faults.rules().is_empty());
        assert_eq!(faults.struck(id), Some(2), "a spent rule still tells");
    }

    #[test]
    fn a_rule_without_end_strikes_until_it_is_lifted() {
        let faults = Faults::default();
        let id = faults.arm(Rule::outage("acme")).unwrap();
        assert_eq!(strikes(&faults, 5), [true; 5]);
        assert_eq!(faults.struck(id), Some(5));
        assert!(faults.lift(id) && !faults.lift(id));
        assert_eq!((strikes(&faults, 1), faults.struck(id)), (vec![false], None));
    }

    #[test]
    fn rules_are_lifted_by_name_and_by_vault() {
        let faults = Faults::default();
        for rule in [Rule::outage("acme").name("x"), Rule::outage("partner").name("x"), Rule::outage("acme")] {
            faults.arm(rule).unwrap();
        }
        assert_eq!(faults.find("x").len(), 2);
        assert_eq!((faults.lift_vault("ACME"), faults.lift_named("x"), faults.lift_named("x")), (2, 1, 0));
    }

    #[test]
    fn chance_strikes_the_same_calls_each_time_and_other_ones_by_another_seed() {
        let sequence = |seed| {
            let faults = Faults::default();
            faults.arm(Rule::always(Fault::Reset).chance(0.5).seed(seed)).unwrap();
            strikes(&faults, 64)
        };
        assert_eq!(sequence(1), sequence(1));
        assert_ne!(sequence(1), sequence(2));
        let struck = sequence(1).into_iter().filter(|struck| *struck).count();
        assert!((20..44).contains(&struck), "{struck}");
    }

    #[test]
    fn a_call_that_chance_spares_goes_on_to_the_next_rule() {
        let faults = Faults::default();
        faults.arm(Rule::always(Fault::Hang).chance(f64::MIN_POSITIVE)).unwrap();
        let behind = faults.arm(Rule::always(Fault::Reset)).unwrap();
        strikes(&faults, 9);
        assert_eq!(faults.struck(behind), Some(9));
    }

    #[test]
    fn too_many_rules_and_senseless_ones_are_refused() {
        let faults = Faults::default();
        assert!(matches!(faults.arm(Rule::reset(1).chance(2.0)), Err(ArmError::Senseless(_))));
        for _ in 0..MAX_RULES {
            faults.arm(Rule::reset(1)).unwrap();
        }
        assert!(matches!(faults.arm(Rule::reset(1)), Err(ArmError::TooManyRules)));
        strikes(&faults, 1);
        faults.arm(Rule::reset(1)).unwrap();
    }
}

//! Which calls a fault strikes, and how many.

use serde::{Deserialize, Serialize};

use super::fault::{BodyFault, Fault, PageFault, RetryAfter, Revocation, is_chance};

/// Which calls a fault strikes, and how many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[must_use = "a rule strikes once it is armed"]
pub struct Rule {
    /// To lift it by; several rules may share one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Only calls to this vault (or `entra`, `imds`, `appservice`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<String>,
    /// Only this operation, such as `SecretGet`; `Secret*` means all of secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Only this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Only calls of this client id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// How many calls it still strikes; absent in JSON means one.
    #[serde(default = "one")]
    pub times: u64,
    /// It strikes until it is lifted, whatever `times` says.
    #[serde(default, skip_serializing_if = "is_false")]
    pub until_lifted: bool,
    /// It strikes a call that it matches with this chance, above 0 and at most 1; absent, each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
    /// Decides what is left to chance.
    #[serde(default)]
    pub seed: u64,
    /// It strikes before anybody asks who calls: calls without a good token too, which else are refused as ever and use
    /// up nothing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unauthenticated: bool,
    /// What happens to them.
    pub fault: Fault,
}

fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// A call as rules see it.
pub(in crate::vault) struct Target<'a> {
    pub(in crate::vault) vault: &'a str,
    pub(in crate::vault) operation: &'a str,
    pub(in crate::vault) object: &'a str,
    /// Whose it is, where that is known.
    pub(in crate::vault) client: Option<&'a str>,
    /// Without a fault it would go on: its caller is known and may do this. Token endpoints admit all.
    pub(in crate::vault) admitted: bool,
}

impl Target<'_> {
    /// Whether it is a call to a token endpoint.
    pub(in crate::vault) fn asks_for_token(&self) -> bool {
        self.operation == "Token"
    }
}

impl Rule {
    /// The next `times` calls of any kind.
    pub fn next(times: u64, fault: Fault) -> Self {
        Self {
            name: None,
            vault: None,
            operation: None,
            object: None,
            client: None,
            times,
            until_lifted: false,
            chance: None,
            seed: 0,
            unauthenticated: false,
            fault,
        }
    }

    /// All calls until it is lifted.
    pub fn always(fault: Fault) -> Self {
        Self { until_lifted: true, ..Self::next(1, fault) }
    }

    /// The next `times` calls answer 429.
    pub fn throttle(times: u64, retry_after: Option<u64>) -> Self {
        let retry_after = retry_after.map(RetryAfter::Seconds);
        Self::next(times, Fault::Status { code: 429, retry_after, inner: None })
    }

    /// The next `times` calls answer 429 with a `Retry-After` that is a date so many seconds ahead.
    pub fn throttle_until(times: u64, date_in: u64) -> Self {
        let retry_after = Some(RetryAfter::Date { date_in });
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

    /// The next `times` calls are read and not answered until the rule is lifted.
    pub fn hang(times: u64) -> Self {
        Self::next(times, Fault::Hang)
    }

    /// The next `times` calls find their connection reset.
    pub fn reset(times: u64) -> Self {
        Self::next(times, Fault::Reset)
    }

    /// The next `times` answers arrive damaged.
    pub fn body(times: u64, fault: BodyFault) -> Self {
        Self::next(times, Fault::Body(fault))
    }

    /// The next `times` pages of lists are wrong.
    pub fn page(times: u64, fault: PageFault) -> Self {
        Self::next(times, Fault::Page(fault))
    }

    /// Whoever calls has lost this, until it is lifted. [`Self::client`] makes it one caller.
    pub fn revoked(what: Revocation) -> Self {
        Self::always(Fault::Revoked(what))
    }

    /// A vault, or `entra`, `imds`, `appservice`, resets every connection until it is lifted.
    pub fn outage(vault: &str) -> Self {
        Self::always(Fault::Reset).vault(vault).unauthenticated()
    }

    /// A vault, or `entra`, `imds`, `appservice`, answers every call with 503 until it is lifted.
    pub fn unavailable(vault: &str) -> Self {
        let fault = Fault::Status { code: 503, retry_after: None, inner: None };
        Self::always(fault).vault(vault).unauthenticated()
    }

    /// Under a name, to lift it by.
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
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

    /// Of one client id only.
    pub fn client(mut self, client: &str) -> Self {
        self.client = Some(client.to_owned());
        self
    }

    /// Until it is lifted.
    pub fn until_lifted(mut self) -> Self {
        self.until_lifted = true;
        self
    }

    /// Only with this chance, which [`Self::seed`] decides.
    pub fn chance(mut self, chance: f64) -> Self {
        self.chance = Some(chance);
        self
    }

    /// What decides about chance, times in a range and torn pages.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Calls without a good token too.
    pub fn unauthenticated(mut self) -> Self {
        self.unauthenticated = true;
        self
    }

    /// Whether it can strike at all.
    pub(super) fn is_spent(&self) -> bool {
        self.times == 0 && !self.until_lifted
    }

    /// Whether it means this call.
    pub(super) fn accepts(&self, target: &Target<'_>) -> bool {
        let is = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|w| w.eq_ignore_ascii_case(is));
        (self.unauthenticated || target.admitted)
            && is(&self.vault, target.vault)
            && self.operation.as_ref().is_none_or(|wanted| is_operation(wanted, target.operation))
            && is(&self.object, target.object)
            && (self.client.is_none() || is(&self.client, target.client.unwrap_or_default()))
            && self.fault.fits(target)
    }

    /// What is wrong with it, if anything.
    pub(super) fn complaint(&self) -> Option<&'static str> {
        match self.chance {
            Some(chance) if !is_chance(chance) => Some("a chance is above 0 and at most 1"),
            _ => self.fault.complaint(),
        }
    }
}

fn is_operation(wanted: &str, operation: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(prefix) => operation.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)),
        None => operation.eq_ignore_ascii_case(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_means_only_the_calls_it_names() {
        let rule = |rule: fn(Rule) -> Rule| rule(Rule::status(1, 500));
        let call = Target { vault: "acme", operation: "SecretGet", object: "a", client: Some("app"), admitted: true };
        let nobody = Target { client: None, admitted: false, ..call };
        for (what, rule, accepts, accepts_nobody) in [
            ("any", rule(|rule| rule), true, false),
            ("vault", rule(|rule| rule.vault("ACME")), true, false),
            ("another vault", rule(|rule| rule.vault("partner")), false, false),
            ("operation", rule(|rule| rule.operation("SecretGet")), true, false),
            ("operations", rule(|rule| rule.operation("secret*")), true, false),
            ("another operation", rule(|rule| rule.operation("SecretList")), false, false),
            ("object", rule(|rule| rule.object("A")), true, false),
            ("another object", rule(|rule| rule.object("b")), false, false),
            ("client", rule(|rule| rule.client("app").unauthenticated()), true, false),
            ("another client", rule(|rule| rule.client("other")), false, false),
            ("unauthenticated", rule(Rule::unauthenticated), true, true),
        ] {
            assert_eq!((rule.accepts(&call), rule.accepts(&nobody)), (accepts, accepts_nobody), "{what}");
        }
    }

    #[test]
    fn chances_out_of_bounds_are_complained_of() {
        for chance in [0.0, -1.0, 1.5, f64::NAN] {
            assert!(Rule::reset(1).chance(chance).complaint().is_some(), "{chance}");
        }
        assert_eq!(Rule::reset(1).chance(1.0).complaint(), None);
    }

    #[test]
    fn rules_read_as_the_help_writes_them() {
        let rule: Rule =
            serde_json::from_str(r#"{"vault":"acme","times":2,"fault":{"status":{"code":429,"retryAfter":1}}}"#)
                .unwrap();
        assert_eq!(rule, Rule::throttle(2, Some(1)).vault("acme"));
        let rule: Rule = serde_json::from_str(r#"{"fault":{"hold":{"gate":"g"}}}"#).unwrap();
        assert_eq!(rule, Rule::hold("g"));
        let outage = r#"{"vault":"acme","untilLifted":true,"unauthenticated":true,"fault":"reset"}"#;
        assert_eq!(serde_json::from_str::<Rule>(outage).unwrap(), Rule::outage("acme"));
    }
}

//! Every fault that the emulator knows, as troubles of one vault.

use super::Struck;
use crate::{
    faults::stage::Stage,
    vault::{BodyFault, Fault, PageFault, RetryAfter, Revocation, Rule},
};

/// One of the emulator's faults.
#[derive(Debug)]
pub struct VaultTrouble {
    /// In a few words.
    pub name: &'static str,
    /// What is armed; under the vault's name, until it is lifted.
    rule: fn() -> Rule,
    /// Where it strikes.
    at: At,
    /// The vault says no: what it says of an object is told to who asks.
    pub refuses: bool,
    /// What it says makes no sense.
    pub confuses: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Calls to the vault.
    Vault,
    /// Whatever the vault's identity asks for, tokens too.
    Identity,
    /// Tokens of the vault's identity.
    Entra,
}

const fn at_vault(name: &'static str, rule: fn() -> Rule) -> VaultTrouble {
    VaultTrouble { name, rule, at: At::Vault, refuses: false, confuses: false }
}

const fn refusing(name: &'static str, rule: fn() -> Rule) -> VaultTrouble {
    VaultTrouble { refuses: true, ..at_vault(name, rule) }
}

const fn confusing(name: &'static str, rule: fn() -> Rule) -> VaultTrouble {
    VaultTrouble { confuses: true, ..at_vault(name, rule) }
}

fn status(code: u16, retry_after: Option<RetryAfter>) -> Rule {
    Rule::always(Fault::Status { code, retry_after, inner: None })
}

fn body(fault: BodyFault) -> Rule {
    Rule::always(Fault::Body(fault))
}

fn page(fault: PageFault) -> Rule {
    Rule::always(Fault::Page(fault))
}

/// All of them.
pub const OF_VAULT: [VaultTrouble; 29] = [
    at_vault("503", || status(503, None)),
    at_vault("500", || status(500, None)),
    at_vault("429", || status(429, None)),
    at_vault("429, Retry-After 1", || status(429, Some(RetryAfter::Seconds(1)))),
    at_vault("429, until a date", || status(429, Some(RetryAfter::Date { date_in: 2 }))),
    confusing("404 of a proxy", || status(404, None)),
    refusing("403 by policy", || {
        Rule::always(Fault::Status { code: 403, retry_after: None, inner: Some("ForbiddenByPolicy".to_owned()) })
    }),
    confusing("a page of HTML, 200", || Rule::always(Fault::Html { code: 200 })),
    confusing("a page of HTML, 404", || Rule::always(Fault::Html { code: 404 })),
    at_vault("late by 300 ms", || Rule::always(Fault::Delay { millis: 300 })),
    at_vault("late by 0 to 800 ms", || Rule::always(Fault::Latency { from_millis: 0, to_millis: 800 })),
    at_vault("held", || Rule::always(Fault::Hang).unauthenticated()),
    at_vault("hanging", || Rule::always(Fault::Hang)),
    at_vault("reset", || Rule::always(Fault::Reset)),
    at_vault("reset, one in three", || Rule::always(Fault::Reset).chance(0.33)),
    at_vault("away", || Rule::always(Fault::Reset).unauthenticated()),
    at_vault("bodies half open", || body(BodyFault::HalfOpen { bytes: 20 })),
    at_vault("bodies truncated", || body(BodyFault::Truncated { bytes: 20 })),
    confusing("bodies oversize", || body(BodyFault::Oversize { bytes: 5_000_000, chunked: false })),
    confusing("bodies oversize, chunked", || body(BodyFault::Oversize { bytes: 5_000_000, chunked: true })),
    at_vault("pages torn", || page(PageFault::Torn { share: 0.4 })),
    at_vault("pages cut", || page(PageFault::Cut)),
    at_vault("pages stale", || page(PageFault::Stale)),
    at_vault("pages in a circle", || page(PageFault::RepeatNextLink)),
    at_vault("pages lead elsewhere", || {
        page(PageFault::ForeignNextLink { origin: "https://elsewhere.example:443".to_owned() })
    }),
    refusing("rights revoked", || Rule::revoked(Revocation::Rights)),
    VaultTrouble { at: At::Identity, ..refusing("identity revoked", || Rule::revoked(Revocation::Identity)) },
    VaultTrouble { at: At::Entra, ..refusing("credential revoked", || Rule::revoked(Revocation::Credential)) },
    VaultTrouble { at: At::Entra, ..at_vault("Entra away", || Rule::always(Fault::Reset).unauthenticated()) },
];

impl VaultTrouble {
    /// Arms it.
    pub(super) fn begin(&self, stage: &Stage, struck: Struck<'_>) -> anyhow::Result<()> {
        let rule = (self.rule)().name(struck.vault).seed(struck.seed);
        let rule = match self.at {
            At::Vault => rule.vault(struck.vault),
            At::Identity => rule.client(struck.client),
            At::Entra => rule.vault("entra").client(struck.client),
        };
        stage.emulator.faults().arm(rule)?;
        Ok(())
    }
}

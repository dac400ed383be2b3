//! One `AzureKeyVault`, checked: where the vault is, who may read what of it.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use keyward_crds::{AzureKeyVaultSpec, akvs::ObjectType, azure_key_vault::Cloud, meta::LabelSelector};
use keyward_types::{InvalidName, ObjectName, Pattern, VaultName};

use super::{
    Defaults, budget, durations,
    identity::{IdentityChoice, InvalidChoice},
};
use crate::vault::origin::{InvalidOrigin, Origin};

/// What is known of a vault by declaration.
#[derive(Clone, Debug)]
pub enum Declared {
    /// It holds.
    Valid(Arc<VaultEntry>),
    /// It cannot be understood, so nobody may read the vault. Holds the reason.
    Invalid(String),
}

/// What reading a vault depends on: read as another identity it is another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VaultId {
    /// Where it is.
    pub origin: Origin,
    /// Whose token audience holds.
    pub cloud: Cloud,
    /// As whom it is read.
    pub identity: IdentityChoice,
}

/// A declaration that holds, or for an undeclared vault the broker's default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultEntry {
    /// `metadata.name` of the `AzureKeyVault`.
    pub declared_as: String,
    /// The vault's name.
    pub name: VaultName,
    /// Where it is.
    pub origin: Origin,
    /// What it is known by to cache, poller and budget.
    pub id: Arc<VaultId>,
    /// How often what is cached of it is compared with it.
    pub poll_interval: Duration,
    /// How long what is cached of it is served after it should have been confirmed.
    pub max_stale: Duration,
    /// Requests to it in any ten seconds, of all replicas together.
    pub budget: u32,
    namespaces: Vec<Pattern>,
    selector: Option<LabelSelector>,
    objects: Option<Vec<ObjectsSpec>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct ObjectsSpec {
    names: Vec<Pattern>,
    types: Option<Vec<ObjectType>>,
}

/// What of a vault's declaration admits a namespace. [`VaultEntry::namespace_rule`] has it in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamespaceRule {
    /// This one of `spec.namespaces.names`.
    Name(usize),
    /// `spec.namespaces.selector`
    Selector,
}

/// What of a vault's declaration admits an object. [`VaultEntry::object_rule`] has it in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectRule {
    /// There is no `spec.objects`.
    Every,
    /// This one of `spec.objects`, by this one of its names.
    Name(usize, usize),
}

/// A rule, named by its field.
#[derive(Clone, Copy, Debug)]
pub struct InWords<'a> {
    field: &'static str,
    pattern: Option<&'a Pattern>,
}

/// Why an `AzureKeyVault` does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVault {
    /// `spec.vaultName`
    #[error("spec.vaultName: {0}")]
    Name(#[from] InvalidName),
    /// `spec.url`
    #[error("spec.url: {0}")]
    Url(#[from] InvalidOrigin),
    /// `spec.url` in another cloud than `spec.cloud`, or the broker's, says.
    #[error("spec.url: {origin} is in {actual:?}, but spec.cloud or the broker's setting is {declared:?}; correct one")]
    Cloud {
        /// The vault.
        origin: Origin,
        /// By its DNS suffix.
        actual: Cloud,
        /// By declaration.
        declared: Cloud,
    },
    /// A custom cloud of which nothing is known.
    #[error("spec.cloud: the broker knows no suffix of AzureCustom; set KEYWARD_AZURE_VAULT_DNS_SUFFIX, or spec.url")]
    Suffix,
    /// `spec.identity`
    #[error("spec.identity: {0}")]
    Identity(#[from] InvalidChoice),
    /// `spec.pollInterval`
    #[error("spec.pollInterval: `{0}` is not a duration of at least one second, such as 30s or 10m")]
    PollInterval(String),
    /// `spec.maxStale`
    #[error("spec.maxStale: `{0}` is not a duration such as 24h, or 0s for never")]
    MaxStale(String),
    /// `spec.budget.requestsPer10Seconds`
    #[error("spec.budget.requestsPer10Seconds: {0} is not from {min} to {max}", min = budget::MIN, max = budget::MAX)]
    Budget(u32),
}

impl VaultEntry {
    /// Checks a declaration.
    pub fn new(declared_as: &str, spec: &AzureKeyVaultSpec, defaults: &Defaults) -> Result<Self, InvalidVault> {
        let name = VaultName::new(&spec.vault_name)?;
        let cloud = spec.cloud.unwrap_or(defaults.cloud);
        let origin = match &spec.url {
            Some(url) => Origin::parse(url)?,
            None => Origin::of_vault(&name, defaults.suffix(cloud).ok_or(InvalidVault::Suffix)?),
        };
        if let Some(actual) = origin.cloud().filter(|actual| *actual != cloud) {
            return Err(InvalidVault::Cloud { origin, actual, declared: cloud });
        }
        let patterns = |names: &[String]| names.iter().map(|name| Pattern::new(name)).collect();
        Ok(Self {
            declared_as: declared_as.to_owned(),
            id: Arc::new(VaultId { origin: origin.clone(), cloud, identity: IdentityChoice::new(spec)? }),
            origin,
            poll_interval: spec.poll_interval.as_deref().map_or(Ok(defaults.poll_interval), poll_interval)?,
            max_stale: spec.max_stale.as_deref().map_or(Ok(defaults.max_stale), max_stale)?,
            budget: budget(spec, defaults)?,
            namespaces: patterns(&spec.namespaces.names),
            selector: spec.namespaces.selector.clone(),
            objects: spec.objects.as_ref().map(|rules| {
                rules
                    .iter()
                    .map(|rule| ObjectsSpec { names: patterns(&rule.names), types: rule.types.clone() })
                    .collect()
            }),
            name,
        })
    }

    /// How long after its last confirmation an object counts as fresh: a round comes within the interval, and may take a
    /// while in a slow or busy vault.
    pub fn fresh_for(&self) -> Duration {
        self.poll_interval + self.poll_interval / 4 + Duration::from_secs(5)
    }

    /// What holds for a vault that nothing declares, where the broker's default is to allow.
    pub fn undeclared(name: &VaultName, defaults: &Defaults) -> Self {
        // Whoever sets a custom cloud sets its suffix; without one the name leads nowhere (RFC 2606).
        let origin = Origin::of_vault(name, defaults.suffix(defaults.cloud).unwrap_or("invalid"));
        let identity = IdentityChoice::default();
        Self {
            declared_as: String::new(),
            name: name.clone(),
            id: Arc::new(VaultId { origin: origin.clone(), cloud: defaults.cloud, identity }),
            origin,
            poll_interval: defaults.poll_interval,
            max_stale: defaults.max_stale,
            budget: defaults.budget,
            namespaces: vec![Pattern::new("*")],
            selector: None,
            objects: None,
        }
    }

    /// The rule by which `namespace` may read this vault; `None` when no rule admits it.
    pub fn admits_namespace(
        &self,
        namespace: &str,
        labels: Option<&BTreeMap<String, String>>,
    ) -> Option<NamespaceRule> {
        if let Some(place) = self.namespaces.iter().position(|pattern| pattern.matches(namespace)) {
            return Some(NamespaceRule::Name(place));
        }
        // A namespace whose labels are not known matches no selector, not even `DoesNotExist`.
        let (selector, labels) = (self.selector.as_ref()?, labels?);
        selector.matches(labels).then_some(NamespaceRule::Selector)
    }

    /// The rule by which the object may be read; `None` when no rule admits it.
    pub fn admits_object(&self, object_type: ObjectType, name: &ObjectName) -> Option<ObjectRule> {
        let Some(rules) = &self.objects else { return Some(ObjectRule::Every) };
        let mut of_its_type = rules.iter().enumerate().filter(|(_, rule)| rule.is_about(object_type));
        of_its_type.find_map(|(place, rule)| {
            let by = rule.names.iter().position(|pattern| pattern.matches(name.as_str()))?;
            Some(ObjectRule::Name(place, by))
        })
    }

    /// `rule`, by which this vault admits a namespace, in words.
    pub fn namespace_rule(&self, rule: NamespaceRule) -> InWords<'_> {
        match rule {
            NamespaceRule::Name(place) => InWords { field: "namespaces.names", pattern: self.namespaces.get(place) },
            NamespaceRule::Selector => InWords { field: "namespaces.selector", pattern: None },
        }
    }

    /// `rule`, by which this vault admits an object, in words.
    pub fn object_rule(&self, rule: ObjectRule) -> InWords<'_> {
        match rule {
            ObjectRule::Every => InWords { field: "every object", pattern: None },
            ObjectRule::Name(place, by) => {
                let rule = self.objects.as_ref().and_then(|rules| rules.get(place));
                InWords { field: "objects", pattern: rule.and_then(|rule| rule.names.get(by)) }
            }
        }
    }
}

impl ObjectsSpec {
    fn is_about(&self, object_type: ObjectType) -> bool {
        self.types.as_ref().is_none_or(|types| types.contains(&object_type))
    }
}

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field)?;
        let Some(pattern) = self.pattern else { return Ok(()) };
        f.write_str(" `")?;
        pattern.fmt(f)?;
        f.write_str("`")
    }
}

fn poll_interval(text: &str) -> Result<Duration, InvalidVault> {
    durations::poll_interval(text).map_err(|_| InvalidVault::PollInterval(text.chars().take(32).collect()))
}

fn max_stale(text: &str) -> Result<Duration, InvalidVault> {
    durations::max_stale(text).map_err(|_| InvalidVault::MaxStale(text.chars().take(32).collect()))
}

fn budget(spec: &AzureKeyVaultSpec, defaults: &Defaults) -> Result<u32, InvalidVault> {
    let asked = spec.budget.and_then(|budget| budget.requests_per_10_seconds).unwrap_or(defaults.budget);
    if budget::is_valid(asked) { Ok(asked) } else { Err(InvalidVault::Budget(asked)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{DefaultAccess, testing::defaults};

    fn entry(spec: &str) -> Result<VaultEntry, InvalidVault> {
        entry_in(None, spec)
    }

    fn entry_in(custom_suffix: Option<&str>, spec: &str) -> Result<VaultEntry, InvalidVault> {
        let defaults = Defaults { custom_suffix: custom_suffix.map(Into::into), ..defaults(DefaultAccess::Deny) };
        VaultEntry::new("a", &serde_saphyr::from_str(spec).unwrap(), &defaults)
    }

    #[test]
    fn a_custom_cloud_s_origin_follows_its_suffix_or_the_url() {
        let spec = "{vaultName: acme, cloud: AzureCustom}";
        assert_eq!(entry(spec), Err(InvalidVault::Suffix));
        let origin = entry_in(Some("vault.stack.example"), spec).unwrap().origin;
        assert_eq!(origin.to_string(), "https://acme.vault.stack.example");
        assert!(entry("{vaultName: acme, cloud: AzureCustom, url: 'https://acme.example'}").is_ok());
        let public = "{vaultName: acme, cloud: AzureCustom, url: 'https://acme.vault.azure.net'}";
        assert!(matches!(entry(public), Err(InvalidVault::Cloud { .. })));
    }

    #[test]
    fn the_origin_follows_cloud_and_url() {
        for (spec, origin) in [
            ("{vaultName: Acme}", "https://acme.vault.azure.net"),
            ("{vaultName: acme, cloud: AzureUSGovernment}", "https://acme.vault.usgovcloudapi.net"),
            ("{vaultName: acme, cloud: AzureChina}", "https://acme.vault.azure.cn"),
            ("{vaultName: acme, url: 'https://LOCALHOST:9443/'}", "https://localhost:9443"),
        ] {
            assert_eq!(entry(spec).unwrap().origin.to_string(), origin, "{spec}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for spec in [
            "{vaultName: a}",
            "{vaultName: 'a/b'}",
            "{vaultName: acme, url: 'http://localhost'}",
            "{vaultName: acme, url: 'https://u:p@localhost'}",
            "{vaultName: acme, cloud: AzureChina, url: 'https://acme.vault.azure.net'}",
            "{vaultName: acme, pollInterval: 10ms}",
            "{vaultName: acme, pollInterval: often}",
            "{vaultName: acme, pollInterval: 10000y}",
            "{vaultName: acme, maxStale: for ever}",
            "{vaultName: acme, budget: {requestsPer10Seconds: 9}}",
            "{vaultName: acme, budget: {requestsPer10Seconds: 40001}}",
            "{vaultName: acme, identity: {type: ClientSecret, clientId: c, secretName: ../broker}}",
            "{vaultName: acme, identity: {objectId: o}}",
        ] {
            assert!(entry(spec).is_err(), "{spec}");
        }
    }

    #[test]
    fn namespaces_are_admitted_by_name_or_label() {
        let entry =
            entry("{vaultName: acme, namespaces: {names: ['team-*'], selector: {matchLabels: {tier: gold}}}}").unwrap();
        let gold = BTreeMap::from([("tier".to_owned(), "gold".to_owned())]);
        let by = |namespace, labels| {
            entry.admits_namespace(namespace, labels).map(|rule| entry.namespace_rule(rule).to_string())
        };
        assert_eq!(by("team-a", None).as_deref(), Some("namespaces.names `team-*`"));
        assert_eq!(by("bank", Some(&gold)).as_deref(), Some("namespaces.selector"));
        assert_eq!(entry.admits_namespace("bank", Some(&BTreeMap::new())), None);
        assert_eq!(entry.admits_namespace("bank", None), None);
    }

    #[test]
    fn a_negative_selector_admits_no_unknown_namespace() {
        let entry = entry(
            "{vaultName: acme, namespaces: {selector: {matchExpressions: [{key: untrusted, operator: DoesNotExist}]}}}",
        )
        .unwrap();
        assert!(entry.admits_namespace("shop", Some(&BTreeMap::new())).is_some());
        assert!(entry.admits_namespace("shop", None).is_none());
    }

    #[test]
    fn objects_are_admitted_by_name_and_type() {
        let rules =
            "{vaultName: acme, objects: [{names: ['DB-*'], types: [secret]}, {names: [tls], types: [certificate]}]}";
        let (all, some, none) = (
            entry("{vaultName: acme}").unwrap(),
            entry(rules).unwrap(),
            entry("{vaultName: acme, objects: []}").unwrap(),
        );
        let name = |name: &str| ObjectName::new(name).unwrap();
        assert!(all.admits_object(ObjectType::Key, &name("anything")).is_some());
        assert!(some.admits_object(ObjectType::Secret, &name("db-1")).is_some());
        assert!(some.admits_object(ObjectType::Certificate, &name("db-1")).is_none());
        assert!(some.admits_object(ObjectType::Secret, &name("tls")).is_none());
        assert!(none.admits_object(ObjectType::Secret, &name("db-1")).is_none());
    }
}

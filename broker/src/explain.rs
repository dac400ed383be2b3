//! Why a pod may or may not read a reference: the gates that a `Resolve` goes through, in order, up to the first that is
//! closed. Pure; asks no vault, and never a value. It decides nothing: [`authz`] does, and this tells its steps.

use std::{sync::Arc, time::Duration};

use keyward_types::Reference;
use tokio::time::Instant;

use crate::{
    authn::{AuthnError, Caller},
    authz::{self, Grant},
    binding::refusal::Refusal,
    cache::Served,
    policy::Snapshot,
    render,
};

/// The gates of [`by_manifests`]; `cache` comes after them.
const BY_MANIFESTS: [&str; 6] = ["token", "namespace", "secret", "policy", "object", "version"];
const CACHE: &str = "cache";
/// After the first of [`BY_MANIFESTS`], where tokens are bound to their pods.
const POD: &str = "pod";

/// How a gate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It lets this reference through.
    Open,
    /// It does not.
    Closed,
    /// Not looked at: an earlier one is closed, or there is nothing to look at.
    Skipped,
}

/// One gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Which.
    pub name: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found; where it is closed, who can open it.
    pub detail: String,
}

/// Who would ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// Any pod of this namespace.
    Namespace(String),
    /// The pod of a token, or why the token is refused.
    Token(Result<Arc<Caller>, AuthnError>),
}

/// The gates before the cache, and what passing all of them grants.
pub fn by_manifests(snapshot: &Snapshot, asker: &Asker, reference: &Reference) -> (Vec<Gate>, Option<Grant>) {
    let mut gates = Vec::new();
    let grant = walk(snapshot, asker, reference, &mut gates).map_err(|closed| {
        let name = BY_MANIFESTS[gates.len()];
        gates.push(Gate { name, state: State::Closed, detail: closed });
    });
    let rest = BY_MANIFESTS.iter().skip(gates.len());
    gates.extend(rest.map(|name| skipped(name, "an earlier gate is closed")).collect::<Vec<_>>());
    (gates, grant.ok())
}

/// Passes one gate after the other; each adds itself. An error is what closes the next.
fn walk(snapshot: &Snapshot, asker: &Asker, reference: &Reference, gates: &mut Vec<Gate>) -> Result<Grant, String> {
    let mut pass = |detail: String| gates.push(Gate { name: BY_MANIFESTS[gates.len()], state: State::Open, detail });
    let namespace = match asker {
        Asker::Namespace(namespace) => {
            gates.push(skipped(BY_MANIFESTS[0], "a namespace was named, and no token"));
            namespace
        }
        Asker::Token(Err(error)) => return Err(error.to_string()),
        Asker::Token(Ok(caller)) => {
            pass(format!("pod {}/{}, service account {}", caller.namespace, caller.pod_name, caller.service_account));
            &caller.namespace
        }
    };
    let mut pass = |detail: String| gates.push(Gate { name: BY_MANIFESTS[gates.len()], state: State::Open, detail });
    pass(labels(snapshot, namespace)?);
    let secret = authz::find(snapshot, namespace, reference.name()).map_err(|denial| denial.to_string())?;
    pass(format!(
        "{} names {} `{}` of vault `{}`",
        secret.shown(),
        secret.object.kind,
        secret.object.name,
        secret.vault
    ));
    let vault = authz::vault_of(snapshot, secret).map_err(|denial| denial.to_string())?;
    let by_namespace = authz::admit_namespace(snapshot, secret, &vault).map_err(|denial| denial.to_string())?;
    pass(match vault.declared_as.as_str() {
        "" => format!("--access-default allow opens {}", vault.origin),
        name => format!(
            "AzureKeyVault `{name}` ({}) admits the namespace by {}",
            vault.origin,
            vault.namespace_rule(by_namespace)
        ),
    });
    let by_object = authz::admit_object(secret, &vault).map_err(|denial| denial.to_string())?;
    pass(format!("admitted by {}", vault.object_rule(by_object)));
    pass(match &secret.object.version {
        Some(version) => format!("always {version}: spec.vault.object.version"),
        None => "the current one".to_owned(),
    });
    authz::grant(snapshot, secret).map_err(|denial| denial.to_string())
}

/// Where tokens are bound to their pods, the gate after the token's: which containers of the pod carry the reference. `None`
/// where no pod was asked for.
pub fn by_pod(carriers: Option<Result<Vec<String>, Refusal>>, reference: &Reference) -> Gate {
    let gate = |state, detail| Gate { name: POD, state, detail };
    match carriers {
        None => skipped(POD, "there is no token of a pod to look at"),
        Some(Err(refusal)) => gate(State::Closed, refusal.to_string()),
        Some(Ok(names)) if names.is_empty() => gate(
            State::Closed,
            format!(
                "no container carries {reference}, as it stands, in a variable or in what the webhook found when the pod was created"
            ),
        ),
        Some(Ok(names)) => {
            gate(State::Open, format!("carried by {}, which is given it once for each of its starts", names.join(", ")))
        }
    }
}

fn labels(snapshot: &Snapshot, namespace: &str) -> Result<String, String> {
    if namespace.is_empty() {
        return Err("no namespace was named".to_owned());
    }
    let labels = match snapshot.namespace_labels(namespace) {
        None => "its labels are not known, so no selector matches it".to_owned(),
        Some(labels) if labels.is_empty() => "it has no labels".to_owned(),
        Some(labels) => labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", "),
    };
    Ok(format!("{namespace}: {labels}"))
}

/// The last gate: what a `Resolve` would find in memory. What is not there is read when it is asked for.
pub fn by_cache(grant: &Grant, reference: &Reference, served: Option<&Served>) -> Gate {
    let gate = |state, detail| Gate { name: CACHE, state, detail };
    let Some(Served { entry, stale }) = served else {
        return gate(State::Open, format!("not held; the next Resolve reads it from {}", grant.vault.origin));
    };
    let confirmed =
        stale.map_or_else(String::new, |stale| format!(", not confirmed by the vault for {}", shown(stale)));
    let detail =
        format!("held: version {}, read {} ago{confirmed}", entry.version, shown(entry.since_read(Instant::now())));
    match render::view(&entry.object, &grant.secret.rendering, reference.query()) {
        Ok(_) => gate(State::Open, detail),
        Err(error) => gate(State::Closed, format!("{detail}; but {error}")),
    }
}

/// The last gate behind a closed one.
pub fn cache_not_looked_at() -> Gate {
    skipped(CACHE, "an earlier gate is closed")
}

fn skipped(name: &'static str, why: &str) -> Gate {
    Gate { name, state: State::Skipped, detail: why.to_owned() }
}

fn shown(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}

#[cfg(test)]
mod tests;

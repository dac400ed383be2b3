//! Whose credentials are tried: those of the pod's pull secrets; where it names none, those of its service account's. As
//! with the kubelet, a Secret that is not there or not readable is passed over; it is named if the lookup fails.

use super::{Wanted, error::line, keyring::Keyring, lookup::Notes, secrets::PullSecrets};

/// Each costs a call to the API server.
const MAX_SECRETS: usize = 16;
const MAX_NAME: usize = 253;

/// Reads the secrets.
pub(super) async fn keyring(secrets: &dyn PullSecrets, wanted: &Wanted, notes: &Notes) -> Keyring {
    let mut keyring = Keyring::default();
    let names = names(secrets, wanted, notes).await;
    for name in names.iter().take(MAX_SECRETS) {
        if let Err(reason) = add(&mut keyring, secrets, &wanted.namespace, name).await {
            notes.skipped(format!("secret {}: {}", line(name, 80), line(&reason, 160)));
        }
    }
    if names.len() > MAX_SECRETS {
        notes.skipped(format!("secrets after the first {MAX_SECRETS}"));
    }
    keyring
}

async fn names(secrets: &dyn PullSecrets, wanted: &Wanted, notes: &Notes) -> Vec<String> {
    let account = &wanted.service_account;
    let mut names = wanted.pull_secrets.clone();
    if names.is_empty() && is_name(account) {
        names = match secrets.of_service_account(&wanted.namespace, account).await {
            Ok(names) => names,
            Err(error) => {
                notes.skipped(format!("service account {}: {}", line(account, 80), line(&error.reason, 160)));
                Vec::new()
            }
        };
    }
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| !name.is_empty() && seen.insert(name.clone()));
    names
}

async fn add(keyring: &mut Keyring, secrets: &dyn PullSecrets, namespace: &str, name: &str) -> Result<(), String> {
    if !is_name(name) {
        return Err("no Secret can have this name".to_owned());
    }
    let config = secrets.read(namespace, name).await.map_err(|error| error.reason)?;
    let config = config.ok_or("it does not exist, or is no pull secret")?;
    keyring.add(name, &config).map_err(|error| error.to_string())
}

/// The API server does not look at names of pull secrets; they become part of a path.
fn is_name(name: &str) -> bool {
    let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'.';
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(fits) && !name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_secrets_can_have_are_asked_for() {
        for good in ["regcred", "a.b-c", "0"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "..", "../x", "a/b", "A", "a b", "a?b", &"a".repeat(254)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}

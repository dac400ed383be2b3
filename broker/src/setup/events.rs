//! By what Event Grid's deliveries prove themselves, as the flags say.

use std::sync::Arc;

use keyward_crds::azure_key_vault::Cloud;

use super::{SetupError, identity::Secrets};
use crate::{
    args::{EventsArgs, ServeArgs},
    authn::{
        entra::{EntraTokens, Expected},
        jwks::{KeyRefresher, Pace, keys},
        source::{KeySource, Place, SourceError},
    },
    events::{
        proof::Proofs,
        shared_keys::{KeysError, SharedKeys},
    },
    vault::{cloud, origin::Origin},
};

/// Why deliveries cannot prove themselves as the flags say.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// Anybody could deliver.
    #[error(
        "--events-listen needs --events-key-dir or --events-entra-tenant: without either nobody could be told apart"
    )]
    NoProof,
    /// The shared keys.
    #[error("--events-key-dir: {0}")]
    Keys(#[from] KeysError),
    /// The tenant.
    #[error("--events-entra-tenant: `{0}` is no tenant's id, such as 11111111-1111-1111-1111-111111111111")]
    Tenant(String),
    /// Nobody in particular.
    #[error("{0} must not be empty")]
    Empty(&'static str),
    /// Where Entra is.
    #[error("--events-entra-tenant: in a custom cloud AZURE_AUTHORITY_HOST says where Entra is")]
    NoAuthority,
    /// Where its keys are.
    #[error("--events-entra-keys, or KEYWARD_AZURE_CA_FILE: {0}")]
    Source(#[from] SourceError),
}

/// What verifies deliveries, and the tasks that keep it current.
#[derive(Default)]
pub struct Deliveries {
    /// What is taken.
    pub proofs: Proofs,
    /// The task that keeps Entra's keys, where they are what is verified by.
    pub entra: Option<KeyRefresher>,
}

/// As `args` say.
pub fn deliveries(args: &ServeArgs) -> Result<Deliveries, SetupError> {
    let mut deliveries = Deliveries::default();
    if let Some(directory) = &args.events.events_key_dir {
        deliveries.proofs.keys = Some(SharedKeys::load(directory).map_err(EventsError::from)?);
    }
    if let Some(tenant) = &args.events.events_entra_tenant {
        let (tokens, refresher) = entra(args, tenant)?;
        (deliveries.proofs.entra, deliveries.entra) = (Some(Arc::new(tokens)), Some(refresher));
    }
    if deliveries.proofs.keys.is_none() && deliveries.proofs.entra.is_none() {
        return Err(EventsError::NoProof.into());
    }
    Ok(deliveries)
}

fn entra(args: &ServeArgs, tenant: &str) -> Result<(EntraTokens, KeyRefresher), SetupError> {
    let EventsArgs { events_entra_audience, events_entra_sender, events_entra_keys, .. } = &args.events;
    let tenant = tenant_id(tenant)?;
    let cloud = super::identity::cloud(&args.azure, &Secrets::from_environment())?;
    let authority = match &args.azure.azure_authority_host {
        Some(url) => Origin::parse(url.as_str())?.to_string(),
        None => cloud::authority_host(cloud).ok_or(EventsError::NoAuthority)?.to_owned(),
    };
    let expected = Expected {
        issuers: issuers(cloud, &authority, &tenant),
        audiences: named("--events-entra-audience", events_entra_audience)?,
        senders: named("--events-entra-sender", events_entra_sender)?,
    };
    let published = format!("{authority}/{tenant}/discovery/v2.0/keys");
    let at = events_entra_keys.as_deref().unwrap_or(&published);
    let place = Place::parse(Some(at)).map_err(EventsError::from)?;
    let source = KeySource::new(&authority, place, args.azure.azure_ca_file.clone()).map_err(EventsError::from)?;
    let (keys, refresher) = keys(source, Pace::default());
    Ok((EntraTokens::new(expected, keys), refresher))
}

/// Who signs tokens of the tenant: of version 2, and of version 1 where its name is known.
fn issuers(cloud: Cloud, authority: &str, tenant: &str) -> Vec<String> {
    let first = match cloud {
        Cloud::AzurePublic | Cloud::AzureUSGovernment => Some("sts.windows.net"),
        Cloud::AzureChina => Some("sts.chinacloudapi.cn"),
        Cloud::AzureCustom => None,
    };
    let first = first.map(|host| format!("https://{host}/{tenant}/"));
    first.into_iter().chain([format!("{authority}/{tenant}/v2.0")]).collect()
}

fn tenant_id(text: &str) -> Result<String, EventsError> {
    let parts: Vec<&str> = text.split('-').collect();
    let digits = |part: &&str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    if parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(digits) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(EventsError::Tenant(text.chars().take(64).flat_map(char::escape_debug).collect()))
    }
}

/// A comma too many must not admit whoever names nothing.
fn named(flag: &'static str, names: &[String]) -> Result<Vec<String>, EventsError> {
    let names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
    if names.is_empty() || names.iter().any(String::is_empty) { Err(EventsError::Empty(flag)) } else { Ok(names) }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::{
        args::{Cli, Command},
        events::testing::{KEY, keys},
    };

    const TENANT: &str = "11111111-1111-1111-1111-11111111111A";

    fn started(flags: &[&str]) -> Result<Deliveries, String> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let base = "keyward-broker serve --tls-dir x --source d --azure-identity managed --events-listen [::]:8444";
        let base: Vec<&str> = base.split(' ').collect();
        let cli = Cli::try_parse_from(base.iter().chain(flags)).map_err(|error| error.to_string())?;
        let Command::Serve(args) = cli.command else { panic!("serve") };
        deliveries(&args).map_err(|error| error.to_string())
    }

    #[test]
    fn to_listen_without_a_way_to_tell_who_delivers_is_an_error() {
        let nowhere = tempfile::tempdir().unwrap();
        for (flags, said) in [
            (vec![], "--events-listen needs --events-key-dir or --events-entra-tenant"),
            (vec!["--events-key-dir", nowhere.path().to_str().unwrap()], "neither key1 nor key2"),
            (vec!["--events-entra-tenant", TENANT], "--events-entra-audience"),
            (vec!["--events-entra-audience", "a"], "--events-entra-tenant"),
            (vec!["--events-entra-tenant", "contoso", "--events-entra-audience", "a"], "`contoso` is no tenant's id"),
            (vec!["--events-entra-tenant", TENANT, "--events-entra-audience", "a,"], "audience must not be empty"),
            (
                vec!["--events-entra-tenant", TENANT, "--events-entra-audience", "a", "--events-entra-sender", ""],
                "sender must not be empty",
            ),
            (
                vec!["--events-entra-tenant", TENANT, "--events-entra-audience", "a", "--cloud", "azure-custom"],
                "AZURE_AUTHORITY_HOST",
            ),
        ] {
            let error = started(&flags).err().unwrap();
            assert!(error.contains(said), "{flags:?}: {error}");
        }
    }

    #[test]
    fn a_key_or_a_tenant_is_enough() {
        let dir = keys(&[KEY]);
        let with_key = started(&["--events-key-dir", dir.path().to_str().unwrap()]).unwrap();
        assert!(with_key.proofs.keys.is_some() && with_key.proofs.entra.is_none() && with_key.entra.is_none());
        let with_tenant =
            started(&["--events-entra-tenant", TENANT, "--events-entra-audience", "api://keyward"]).unwrap();
        assert!(with_tenant.proofs.keys.is_none() && with_tenant.proofs.entra.is_some() && with_tenant.entra.is_some());
    }

    #[test]
    fn each_cloud_has_its_issuers() {
        let tenant = tenant_id(TENANT).unwrap();
        for (cloud, expected) in [
            (Cloud::AzurePublic, vec!["https://sts.windows.net/T/", "https://login.example/T/v2.0"]),
            (Cloud::AzureChina, vec!["https://sts.chinacloudapi.cn/T/", "https://login.example/T/v2.0"]),
            (Cloud::AzureCustom, vec!["https://login.example/T/v2.0"]),
        ] {
            let expected: Vec<_> = expected.iter().map(|issuer| issuer.replace('T', &tenant.clone())).collect();
            assert_eq!(issuers(cloud, "https://login.example", &tenant), expected);
        }
    }
}

//! What tests of several rooms build policies from.

use std::{sync::Arc, time::Duration};

use keyward_crds::azure_key_vault::Cloud;

use super::{DefaultAccess, Defaults, VaultEntry};

/// Defaults as the command line's.
pub(crate) fn defaults(access: DefaultAccess) -> Defaults {
    Defaults {
        access,
        cloud: Cloud::AzurePublic,
        custom_suffix: None,
        poll_interval: Duration::from_secs(600),
        max_stale: Duration::from_secs(24 * 3_600),
        budget: 1_000,
    }
}

/// A declaration, from its `spec` in YAML.
pub(crate) fn vault(spec: &str) -> Arc<VaultEntry> {
    let spec = serde_saphyr::from_str(spec).unwrap();
    Arc::new(VaultEntry::new("test", &spec, &defaults(DefaultAccess::Deny)).unwrap())
}

//! The kinds of objects there are, and which of them a path means.

/// A kind of object, by the path of its collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// `/apis/GROUP/VERSION` or `/api/v1`
    pub base: &'static str,
    /// Plural.
    pub plural: &'static str,
    /// As objects say.
    pub api_version: &'static str,
    /// As objects say.
    pub kind: &'static str,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
}

/// `AzureKeyVaultSecret`s.
pub const SECRETS: Resource = Resource {
    base: "/apis/spv.no/v2beta1",
    plural: "azurekeyvaultsecrets",
    api_version: "spv.no/v2beta1",
    kind: "AzureKeyVaultSecret",
    namespaced: true,
};
/// `AzureKeyVault`s.
pub const VAULTS: Resource = Resource {
    base: "/apis/keyward.dev/v1alpha1",
    plural: "azurekeyvaults",
    api_version: "keyward.dev/v1alpha1",
    kind: "AzureKeyVault",
    namespaced: false,
};

impl Resource {
    /// Namespaces.
    pub const NAMESPACES: Self = Self { namespaced: false, ..Self::core("namespaces", "Namespace") };
    /// Core Secrets.
    pub const CORE_SECRETS: Self = Self::core("secrets", "Secret");
    /// `ConfigMap`s.
    pub const CONFIG_MAPS: Self = Self::core("configmaps", "ConfigMap");
    /// Pods.
    pub const PODS: Self = Self::core("pods", "Pod");
    /// Service accounts.
    pub const SERVICE_ACCOUNTS: Self = Self::core("serviceaccounts", "ServiceAccount");
    /// Leases.
    pub const LEASES: Self = Self {
        base: "/apis/coordination.k8s.io/v1",
        plural: "leases",
        api_version: "coordination.k8s.io/v1",
        kind: "Lease",
        namespaced: true,
    };
    /// Events.
    pub const EVENTS: Self = Self {
        base: "/apis/events.k8s.io/v1",
        plural: "events",
        api_version: "events.k8s.io/v1",
        kind: "Event",
        namespaced: true,
    };
    /// Which webhooks change objects.
    pub const MUTATING_WEBHOOKS: Self = Self {
        base: "/apis/admissionregistration.k8s.io/v1",
        plural: "mutatingwebhookconfigurations",
        api_version: "admissionregistration.k8s.io/v1",
        kind: "MutatingWebhookConfiguration",
        namespaced: false,
    };
    /// Everything that is known here.
    pub const ALL: [Self; 13] = [
        SECRETS,
        VAULTS,
        Self::NAMESPACES,
        Self::CORE_SECRETS,
        Self::CONFIG_MAPS,
        Self::PODS,
        Self::SERVICE_ACCOUNTS,
        Self::LEASES,
        Self::EVENTS,
        Self::MUTATING_WEBHOOKS,
        Self::app("deployments", "Deployment"),
        Self::app("statefulsets", "StatefulSet"),
        Self::app("daemonsets", "DaemonSet"),
    ];

    const fn core(plural: &'static str, kind: &'static str) -> Self {
        Self { base: "/api/v1", plural, api_version: "v1", kind, namespaced: true }
    }

    const fn app(plural: &'static str, kind: &'static str) -> Self {
        Self { base: "/apis/apps/v1", plural, api_version: "apps/v1", kind, namespaced: true }
    }
}

/// What a path means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) resource: Resource,
    /// `None` for all, and where there are none.
    pub(super) namespace: Option<String>,
    /// `None` for the collection.
    pub(super) name: Option<String>,
    /// Whether only the status is meant.
    pub(super) status: bool,
}

impl Location {
    /// Of a known kind of object.
    pub(super) fn of(path: &str) -> Option<Self> {
        Resource::ALL.iter().find_map(|resource| Self::within(*resource, path.strip_prefix(resource.base)?))
    }

    fn within(resource: Resource, below: &str) -> Option<Self> {
        let parts: Vec<&str> = below.strip_prefix('/')?.split('/').collect();
        let (namespace, parts) = match &parts[..] {
            ["namespaces", namespace, rest @ ..] if resource.namespaced && !rest.is_empty() => (Some(*namespace), rest),
            all => (None, all),
        };
        let (name, status) = match parts {
            [plural] if *plural == resource.plural => (None, false),
            [plural, name] if *plural == resource.plural => (Some(*name), false),
            [plural, name, "status"] if *plural == resource.plural => (Some(*name), true),
            _ => return None,
        };
        if name.is_some() && namespace.is_some() != resource.namespaced {
            return None;
        }
        let [namespace, name] = [namespace, name].map(|part| part.map(str::to_owned));
        Some(Self { resource, namespace, name, status })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_collection_or_an_object_of_a_known_kind() {
        let location = |resource, namespace: Option<&str>, name: Option<&str>, status| {
            Some(Location { resource, namespace: namespace.map(Into::into), name: name.map(Into::into), status })
        };
        for (path, expected) in [
            ("/api/v1/namespaces", location(Resource::NAMESPACES, None, None, false)),
            ("/api/v1/namespaces/shop", location(Resource::NAMESPACES, None, Some("shop"), false)),
            ("/api/v1/secrets", location(Resource::CORE_SECRETS, None, None, false)),
            ("/api/v1/namespaces/shop/secrets", location(Resource::CORE_SECRETS, Some("shop"), None, false)),
            ("/api/v1/namespaces/shop/secrets/db", location(Resource::CORE_SECRETS, Some("shop"), Some("db"), false)),
            ("/apis/keyward.dev/v1alpha1/azurekeyvaults/acme/status", location(VAULTS, None, Some("acme"), true)),
            ("/api/v1/secrets/db", None),
            ("/api/v1/namespaces/shop/pods/web-1", location(Resource::PODS, Some("shop"), Some("web-1"), false)),
            ("/api/v1/services", None),
            ("/api/v1/namespaces/shop/secrets/db/scale", None),
            ("/version", None),
        ] {
            assert_eq!(Location::of(path), expected, "{path}");
        }
    }
}

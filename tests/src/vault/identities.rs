//! Who is known, and what each may do.

use std::sync::Mutex;

use super::config::{Grant, Identity, Managed};
use super::lock::lock;

/// All identities. Access can be changed while the emulator runs: that is how a test revokes it.
pub struct Identities {
    known: Mutex<Vec<Identity>>,
}

/// Which managed identity is meant.
#[derive(Default)]
pub(super) struct Selector<'a> {
    pub(super) client: Option<&'a str>,
    pub(super) object: Option<&'a str>,
    pub(super) resource: Option<&'a str>,
}

impl Identities {
    pub(super) fn new(known: Vec<Identity>) -> Self {
        Self { known: Mutex::new(known) }
    }

    /// Sets what the identity of this client id may do; `None` is everything, an empty list nothing.
    pub fn set_access(&self, client_id: &str, access: Option<&[Grant]>) {
        for identity in lock(&self.known).iter_mut().filter(|identity| identity.client_id == client_id) {
            identity.access = access.map(<[Grant]>::to_vec);
        }
    }

    /// Forgets the identity: its tokens are refused and it gets no more.
    pub fn remove(&self, client_id: &str) {
        lock(&self.known).retain(|identity| identity.client_id != client_id);
    }

    pub(super) fn has_tenant(&self, tenant: &str) -> bool {
        tenant == super::config::DEFAULT_TENANT || lock(&self.known).iter().any(|identity| identity.tenant == tenant)
    }

    pub(super) fn find(&self, tenant: &str, client_id: &str) -> Option<Identity> {
        lock(&self.known).iter().find(|known| known.tenant == tenant && known.client_id == client_id).cloned()
    }

    /// The managed identity meant: the selected one, else the machine's own, else the only one.
    pub(super) fn managed(&self, selector: &Selector<'_>) -> Option<Identity> {
        let known = lock(&self.known);
        let managed: Vec<&Identity> = known.iter().filter(|identity| identity.managed.is_some()).collect();
        let chosen = match *selector {
            Selector { client: None, object: None, resource: None } => {
                let own = managed.iter().find(|identity| identity.managed == Some(Managed::System));
                own.or(if managed.len() == 1 { managed.first() } else { None })
            }
            Selector { client, object, resource } => managed.iter().find(|identity| {
                client.is_some_and(|id| id == identity.client_id)
                    || object.is_some_and(|id| id == object_id_of(identity))
                    || resource.is_some_and(|id| Some(id) == identity.resource_id.as_deref())
            }),
        };
        chosen.map(|identity| (*identity).clone())
    }

    /// Whether the identity is known and may do `operation` in `vault`.
    pub(super) fn may(&self, client_id: &str, vault: &str, operation: &str) -> bool {
        lock(&self.known).iter().any(|identity| {
            identity.client_id == client_id
                && identity
                    .access
                    .as_ref()
                    .is_none_or(|grants| grants.iter().any(|grant| grant.covers(vault, operation)))
        })
    }
}

/// An identity's object id.
pub(super) fn object_id_of(identity: &Identity) -> &str {
    identity.object_id.as_deref().unwrap_or(&identity.client_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(client_id: &str, managed: Option<Managed>) -> Identity {
        Identity {
            tenant: "t".into(),
            client_id: client_id.into(),
            object_id: Some(format!("{client_id}-object")),
            client_secret: None,
            federated_subjects: Vec::new(),
            managed,
            resource_id: None,
            access: None,
        }
    }

    fn chosen(identities: &Identities, selector: &Selector<'_>) -> Option<String> {
        identities.managed(selector).map(|identity| identity.client_id)
    }

    #[test]
    fn without_selector_the_own_or_the_only_managed_identity_is_meant() {
        let none = Selector::default();
        let one = Identities::new(vec![identity("plain", None), identity("u1", Some(Managed::User))]);
        assert_eq!(chosen(&one, &none).as_deref(), Some("u1"));
        let two = Identities::new(vec![identity("u1", Some(Managed::User)), identity("u2", Some(Managed::User))]);
        assert_eq!(chosen(&two, &none), None);
        let own = Identities::new(vec![identity("u1", Some(Managed::User)), identity("s", Some(Managed::System))]);
        assert_eq!(chosen(&own, &none).as_deref(), Some("s"));
    }

    #[test]
    fn a_selector_finds_managed_identities_only() {
        let identities = Identities::new(vec![identity("plain", None), identity("u1", Some(Managed::User))]);
        let by_object = Selector { object: Some("u1-object"), ..Selector::default() };
        assert_eq!(chosen(&identities, &by_object).as_deref(), Some("u1"));
        let plain = Selector { client: Some("plain"), ..Selector::default() };
        assert_eq!(chosen(&identities, &plain), None);
    }

    #[test]
    fn access_can_be_taken_away() {
        let identities = Identities::new(vec![identity("a", None)]);
        assert!(identities.may("a", "acme", "SecretGet"));
        identities.set_access("a", Some(&[]));
        assert!(!identities.may("a", "acme", "SecretGet"));
        identities.set_access("a", None);
        identities.remove("a");
        assert!(!identities.may("a", "acme", "SecretGet"));
    }
}

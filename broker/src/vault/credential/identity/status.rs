//! What is told about an identity. Ids are no secrets.

use std::fmt;

use azure_core::time::OffsetDateTime;

/// An identity's name, for metrics and people.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Named {
    /// `workload`, `managed`, `client-secret` or `client-certificate`.
    pub kind: &'static str,
    /// The Entra tenant; none for a managed identity, which has its own.
    pub tenant_id: Option<String>,
    /// The application's client id, or the id by which a managed identity was chosen; none for the system's own.
    pub client_id: Option<String>,
    /// The resource its tokens are for.
    pub audience: String,
}

impl fmt::Display for Named {
    /// As `client-secret TENANT/CLIENT for https://vault.azure.net`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        match (&self.tenant_id, &self.client_id) {
            (Some(tenant), Some(client)) => write!(f, " {tenant}/{client}")?,
            (Some(id), None) | (None, Some(id)) => write!(f, " {id}")?,
            (None, None) => {}
        }
        write!(f, " for {}", self.audience)
    }
}

/// An identity at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityStatus {
    /// Which.
    pub named: Named,
    /// When the token in use was fetched.
    pub token_fetched: Option<OffsetDateTime>,
    /// When it ends.
    pub token_expires: Option<OffsetDateTime>,
    /// Why the last sign-in failed, where it did.
    pub last_error: Option<String>,
    /// Sign-ins that brought a token.
    pub sign_ins: u64,
    /// Sign-ins that did not.
    pub failures: u64,
}

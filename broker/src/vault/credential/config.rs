//! Who signs in, and how it is proven. Plain data.

use std::path::PathBuf;

use azure_core::http::Url;
use keyward_types::SecretBytes;

use super::Stored;

/// An identity. Files are named and not held: they are read at each sign-in, so that what was rotated is picked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityConfig {
    /// A federated token from a file, as the Azure workload identity webhook projects it.
    WorkloadIdentity {
        /// Who.
        application: Application,
        /// The projected token; the kubelet rotates it.
        token_file: PathBuf,
    },
    /// An application's secret.
    ClientSecret {
        /// Who.
        application: Application,
        /// Its secret.
        secret: SecretSource,
    },
    /// An application's certificate, whose key signs an assertion.
    ClientCertificate {
        /// Who.
        application: Application,
        /// Where certificate and key are.
        certificate: CertificateSource,
        /// Whether the chain is sent along, for applications that trust a subject and issuer and not a thumbprint.
        send_chain: bool,
    },
    /// An identity of the machine, which proves it for us.
    ManagedIdentity {
        /// Which of the machine's.
        id: ManagedId,
        /// Who gives its tokens.
        endpoint: ManagedEndpoint,
    },
}

/// An application or service principal of Entra.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// The Entra tenant.
    pub tenant_id: String,
    /// The application (client) id.
    pub client_id: String,
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// Here.
    Held(SecretBytes),
    /// In a file, on its one line.
    File(PathBuf),
    /// In a store, as `client-secret`.
    Stored(Stored),
}

/// Where a certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// In one file, PEM or PFX.
    File {
        /// Which.
        path: PathBuf,
        /// The PFX's password.
        password: Option<SecretSource>,
    },
    /// In a directory as a Secret is mounted: `tls.crt` and `tls.key`, or `client.pfx` and perhaps `password`.
    Directory(PathBuf),
    /// In a store, as there.
    Stored(Stored),
}

/// Which of a machine's identities.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ManagedId {
    /// The one that the system assigned, or the only one.
    System,
    /// A user-assigned one, by its client id.
    Client(String),
    /// A user-assigned one, by its object (principal) id.
    Object(String),
    /// A user-assigned one, by its ARM resource id.
    Resource(String),
}

/// Who gives the tokens of managed identities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManagedEndpoint {
    /// The instance metadata service of a virtual machine.
    Imds(Url),
    /// App Service, Functions and Container Apps.
    AppService {
        /// `IDENTITY_ENDPOINT`
        url: Url,
        /// `IDENTITY_HEADER`, which keeps other processes' forged requests out.
        header: SecretBytes,
    },
}

impl IdentityConfig {
    /// A bounded word for it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::WorkloadIdentity { .. } => "workload",
            Self::ClientSecret { .. } => "client-secret",
            Self::ClientCertificate { .. } => "client-certificate",
            Self::ManagedIdentity { .. } => "managed",
        }
    }

    /// The application, where it is one that proves itself.
    pub fn application(&self) -> Option<&Application> {
        match self {
            Self::WorkloadIdentity { application, .. }
            | Self::ClientSecret { application, .. }
            | Self::ClientCertificate { application, .. } => Some(application),
            Self::ManagedIdentity { .. } => None,
        }
    }

    /// Whether the ids can be ones at all: they become part of a URL.
    pub(crate) fn check(&self) -> Result<(), InvalidIdentity> {
        match self {
            Self::WorkloadIdentity { application, .. }
            | Self::ClientSecret { application, .. }
            | Self::ClientCertificate { application, .. } => {
                plain("tenant id", &application.tenant_id)?;
                plain("client id", &application.client_id)
            }
            Self::ManagedIdentity { id, .. } => match id {
                ManagedId::System => Ok(()),
                ManagedId::Client(id) => plain("client id", id),
                ManagedId::Object(id) => plain("object id", id),
                ManagedId::Resource(id) if id.starts_with('/') => Ok(()),
                ManagedId::Resource(id) => Err(InvalidIdentity::new("resource id", id)),
            },
        }
    }
}

fn plain(what: &'static str, id: &str) -> Result<(), InvalidIdentity> {
    let sound = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    // Nothing, `.` and `..` would be another path.
    let says_something = id.bytes().any(|byte| byte != b'.');
    if sound && says_something && id.len() <= 128 { Ok(()) } else { Err(InvalidIdentity::new(what, id)) }
}

impl ManagedId {
    /// The id for people; none for the system's.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::System => None,
            Self::Client(id) | Self::Object(id) | Self::Resource(id) => Some(id),
        }
    }
}

/// An id that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}; write it as the Azure portal shows it")]
pub struct InvalidIdentity {
    what: &'static str,
    text: String,
}

impl InvalidIdentity {
    fn new(what: &'static str, id: &str) -> Self {
        Self { what, text: id.chars().take(128).flat_map(char::escape_debug).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_s_identity_is_named_by_something() {
        let endpoint = super::super::managed::imds(None).unwrap();
        let check = |id: ManagedId| IdentityConfig::ManagedIdentity { id, endpoint: endpoint.clone() }.check();
        assert_eq!(check(ManagedId::System), Ok(()));
        assert_eq!(check(ManagedId::Resource("/subscriptions/s".to_owned())), Ok(()));
        for id in [ManagedId::Client, ManagedId::Object, ManagedId::Resource] {
            assert!(check(id(String::new())).is_err() && check(id("a b".to_owned())).is_err());
        }
    }

    #[test]
    fn ids_that_would_change_a_url_are_refused() {
        let check = |tenant: &str, client: &str| {
            let application = Application { tenant_id: tenant.to_owned(), client_id: client.to_owned() };
            IdentityConfig::ClientSecret { application, secret: SecretSource::Held("kwcanary".into()) }.check()
        };
        let good = "11111111-1111-1111-1111-111111111111";
        assert_eq!(check(good, good), Ok(()));
        assert_eq!(check("contoso.onmicrosoft.com", good), Ok(()));
        for bad in ["", "..", ".", "a/b", "a?b", "a b", "a\nb", "ä", &"a".repeat(129)] {
            assert!(check(bad, good).is_err() && check(good, bad).is_err(), "{bad}");
        }
        assert!(check("a\nb", good).unwrap_err().to_string().contains(r"`a\nb` is no tenant id"));
    }
}

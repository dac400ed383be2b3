//! What a peer is, from its certificate: one URI SAN `spiffe://TRUST_DOMAIN/keyward/ROLE` and the client-auth usage.
//!
//! Pure, and only about what the certificate says: that `ca.crt` signed it, the handshake has proven before.

use std::fmt;

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The part a peer plays. A role never gets another role's method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Another replica.
    Broker,
    /// Fetches rendered data for Secrets.
    Controller,
    /// Asks whether references are known; never gets a value.
    Webhook,
    /// A person or a tool looking after the cache.
    Operator,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Broker, Self::Controller, Self::Webhook, Self::Operator];

    /// The last segment of its URI.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Controller => "controller",
            Self::Webhook => "webhook",
            Self::Operator => "operator",
        }
    }

    /// The URI that a certificate of this role carries.
    pub fn uri(self, trust_domain: &str) -> String {
        format!("spiffe://{trust_domain}/keyward/{self}")
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a certificate proves no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoleError {
    /// Not X.509, or with an extension that does not parse or comes twice.
    #[error("the client certificate does not parse")]
    Malformed,
    /// The extended key usage lacks clientAuth.
    #[error("the client certificate lacks the clientAuth extended key usage; issue it with one")]
    NotForClients,
    /// None, or more than one.
    #[error("the client certificate carries {0} URI names; a role is exactly one")]
    UriCount(usize),
    /// A URI, but no role's.
    #[error("`{found}` is no role of trust domain {trust_domain}; roles are spiffe://{trust_domain}/keyward/ROLE")]
    Unknown {
        /// The URI, escaped and shortened.
        found: String,
        /// What it was held against.
        trust_domain: String,
    },
}

/// The role that the certificate (DER) proves in `trust_domain`. Compared byte by byte: SPIFFE IDs have one spelling.
pub fn role_of(certificate: &[u8], trust_domain: &str) -> Result<Role, RoleError> {
    let (rest, certificate) = X509Certificate::from_der(certificate).map_err(|_| RoleError::Malformed)?;
    if !rest.is_empty() {
        return Err(RoleError::Malformed);
    }
    let usage = certificate.extended_key_usage().map_err(|_| RoleError::Malformed)?;
    if !usage.is_some_and(|usage| usage.value.client_auth) {
        return Err(RoleError::NotForClients);
    }
    let names = certificate.subject_alternative_name().map_err(|_| RoleError::Malformed)?;
    let uris: Vec<&str> = names
        .iter()
        .flat_map(|names| &names.value.general_names)
        .filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None })
        .collect();
    let [uri] = uris[..] else { return Err(RoleError::UriCount(uris.len())) };
    Role::ALL.into_iter().find(|role| role.uri(trust_domain) == uri).ok_or_else(|| RoleError::Unknown {
        found: uri.chars().take(128).flat_map(char::escape_debug).collect(),
        trust_domain: trust_domain.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use rcgen::ExtendedKeyUsagePurpose::{self, ClientAuth, ServerAuth};
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn certificate(uris: &[&str], usages: &[ExtendedKeyUsagePurpose]) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["controller.example.org".to_owned()]).unwrap();
        params.subject_alt_names.extend(uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
        params.extended_key_usages = usages.to_vec();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn each_role_is_read_from_its_uri() {
        for role in Role::ALL {
            let uri = role.uri("example.org");
            assert_eq!(role_of(&certificate(&[&uri], &[ClientAuth]), "example.org"), Ok(role));
            assert_eq!(role_of(&certificate(&[&uri], &[ServerAuth, ClientAuth]), "example.org"), Ok(role));
        }
    }

    #[test]
    fn anything_but_exactly_a_roles_uri_is_refused() {
        for uri in [
            "spiffe://evil.org/keyward/controller",
            "spiffe://example.org.evil.org/keyward/controller",
            "spiffe://EXAMPLE.org/keyward/controller",
            "spiffe://example.org/keyward/Controller",
            "spiffe://example.org/keyward/controller/",
            "spiffe://example.org/keyward/controller/x",
            "spiffe://example.org/keyward/controller?x",
            "spiffe://example.org/keyward/admin",
            "spiffe://example.org/ns/keyward/controller",
            "SPIFFE://example.org/keyward/controller",
            "https://example.org/keyward/controller",
        ] {
            let error = role_of(&certificate(&[uri], &[ClientAuth]), "example.org").unwrap_err();
            assert!(matches!(&error, RoleError::Unknown { found, .. } if found == uri), "{uri}: {error}");
        }
    }

    #[test]
    fn a_role_is_one_uri_and_no_more() {
        let (first, second) = (Role::Webhook.uri("example.org"), Role::Controller.uri("example.org"));
        for (uris, count) in [(&[][..], 0), (&[&*first, &*second][..], 2), (&[&*first, &*first][..], 2)] {
            let error = role_of(&certificate(uris, &[ClientAuth]), "example.org").unwrap_err();
            assert_eq!(error, RoleError::UriCount(count));
        }
    }

    #[test]
    fn a_certificate_not_for_clients_is_refused() {
        let uri = Role::Controller.uri("example.org");
        for usages in [&[][..], &[ServerAuth], &[ExtendedKeyUsagePurpose::Any]] {
            assert_eq!(role_of(&certificate(&[&uri], usages), "example.org"), Err(RoleError::NotForClients));
        }
    }

    #[test]
    fn bytes_that_are_no_certificate_are_refused() {
        let mut trailing = certificate(&[&Role::Broker.uri("example.org")], &[ClientAuth]);
        trailing.push(0);
        for bytes in [&b""[..], b"no certificate", &trailing] {
            assert_eq!(role_of(bytes, "example.org"), Err(RoleError::Malformed));
        }
    }
}

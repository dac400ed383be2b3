//! Who may call which method: one table, and nothing is open that it does not name. Pure; [`super::guard`] enforces it.

use keyward_kit::tls::role::{Role, RoleError, role_of};
use tonic::{Code, Status};

use super::errors;
use crate::authn::{AUDIENCE, operators::Verb};

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever trusts the broker's authority.
    Anyone,
    /// A pod, by its token, which the service itself verifies. A certificate neither helps nor hinders.
    PodToken,
    /// The holder of a client certificate of this role, and nobody else.
    Role(Role),
    /// The holder of an operator's certificate; or who shows none, by a token whose user may do this to the cache.
    Operator(Verb),
}

/// The role of operators, however they are proven.
pub const OPERATOR: Role = Role::Operator;

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It passes.
    Open,
    /// It passes with this role.
    Role(Role),
    /// It passes if it brings a token whose user may do this. Nothing is proven yet.
    IfTokenMay(Verb),
}

/// Every method that is served, by its HTTP/2 path.
pub const METHODS: [(&str, Access); 17] = [
    ("/keyward.v1.Secrets/Resolve", Access::PodToken),
    ("/keyward.v1.Sync/Fetch", Access::Role(Role::Controller)),
    ("/keyward.v1.Sync/Describe", Access::Role(Role::Controller)),
    ("/keyward.v1.Sync/Watch", Access::Role(Role::Controller)),
    ("/keyward.v1.References/Check", Access::Role(Role::Webhook)),
    ("/keyward.v1.Peers/Follow", Access::Role(Role::Broker)),
    ("/keyward.v1.Peers/Read", Access::Role(Role::Broker)),
    ("/keyward.v1.Peers/Check", Access::Role(Role::Broker)),
    ("/keyward.v1.Peers/Hint", Access::Role(Role::Broker)),
    ("/keyward.v1.Peers/Redeem", Access::Role(Role::Broker)),
    ("/keyward.v1.Peers/Entrust", Access::Role(Role::Broker)),
    ("/keyward.v1.Cache/Status", Access::Operator(Verb::Get)),
    ("/keyward.v1.Cache/Refresh", Access::Operator(Verb::Update)),
    ("/keyward.v1.Cache/Explain", Access::Operator(Verb::Get)),
    ("/grpc.health.v1.Health/Check", Access::Anyone),
    ("/grpc.health.v1.Health/Watch", Access::Anyone),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Access::Anyone),
];

/// Why a call does not reach its service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The table does not name it.
    #[error("this broker has no such method")]
    UnknownMethod,
    /// No client certificate was shown.
    #[error("this method needs a client certificate of role `{needed}`")]
    NoCertificate {
        /// Who may call it.
        needed: Role,
    },
    /// Neither a client certificate nor a token was shown.
    #[error(
        "this method needs a client certificate of role `{OPERATOR}`, or a bearer token of audience {AUDIENCE} whose user \
         may {verb} caches.keyward.dev",
        verb = verb.as_str()
    )]
    NoOperator {
        /// What the user must be allowed to do.
        verb: Verb,
    },
    /// The certificate proves nothing.
    #[error("{source}; this method needs role `{needed}`")]
    NoRole {
        /// Who may call it.
        needed: Role,
        /// What is wrong with the certificate.
        source: RoleError,
    },
    /// The certificate proves another role.
    #[error("role `{found}` may not call this method; `{needed}` may")]
    OtherRole {
        /// Whom the certificate proves.
        found: Role,
        /// Who may call it.
        needed: Role,
    },
}

/// Decides. `certificate` is the peer's, verified in the handshake. Who shows one is what it says, and no token beside it
/// helps: a role never gets another role's method.
pub fn admit(path: &str, certificate: Option<&[u8]>, trust_domain: &str) -> Result<Admitted, Refused> {
    let (_, access) = METHODS.iter().find(|(known, _)| *known == path).ok_or(Refused::UnknownMethod)?;
    let (needed, certificate) = match (*access, certificate) {
        (Access::Anyone | Access::PodToken, _) => return Ok(Admitted::Open),
        (Access::Operator(verb), None) => return Ok(Admitted::IfTokenMay(verb)),
        (Access::Operator(_), Some(certificate)) => (OPERATOR, certificate),
        (Access::Role(needed), certificate) => (needed, certificate.ok_or(Refused::NoCertificate { needed })?),
    };
    match role_of(certificate, trust_domain) {
        Ok(found) if found == needed => Ok(Admitted::Role(found)),
        Ok(found) => Err(Refused::OtherRole { found, needed }),
        Err(source) => Err(Refused::NoRole { needed, source }),
    }
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        let (code, reason) = match &refused {
            Refused::UnknownMethod => (Code::Unimplemented, "METHOD_UNKNOWN"),
            Refused::NoCertificate { .. } | Refused::NoOperator { .. } => {
                (Code::Unauthenticated, "CERTIFICATE_MISSING")
            }
            Refused::NoRole { .. } => (Code::PermissionDenied, "CERTIFICATE_WITHOUT_ROLE"),
            Refused::OtherRole { .. } => (Code::PermissionDenied, "ROLE_NOT_ADMITTED"),
        };
        errors::refusal(code, reason, refused.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    /// The paths of all methods that descriptors name.
    fn described(descriptors: &[u8]) -> Vec<String> {
        let set = FileDescriptorSet::decode(descriptors).unwrap();
        let services = set.file.into_iter().flat_map(|file| {
            let package = file.package().to_owned();
            file.service.into_iter().map(move |service| (package.clone(), service))
        });
        services
            .flat_map(|(package, service)| {
                let name = service.name().to_owned();
                service.method.into_iter().map(move |method| format!("/{package}.{name}/{}", method.name()))
            })
            .collect()
    }

    #[test]
    fn the_table_names_every_method_served_and_no_other() {
        let served: BTreeSet<String> = [
            keyward_proto::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        ]
        .iter()
        .flat_map(|descriptors| described(descriptors))
        .collect();
        let named: BTreeSet<String> = METHODS.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(named, served);
        assert_eq!(named.len(), METHODS.len(), "a method has two rows");
    }

    #[test]
    fn what_the_table_does_not_name_is_open_to_nobody() {
        for path in ["", "/", "/keyward.v1.Cache", "/keyward.v1.Cache/status", "/keyward.v1.Cache/Status/", "/a/b"] {
            assert_eq!(admit(path, None, "example.org"), Err(Refused::UnknownMethod), "{path}");
        }
    }

    #[test]
    fn no_certificate_opens_exactly_what_needs_no_role() {
        for (path, access) in METHODS {
            let admitted = admit(path, None, "example.org");
            match access {
                Access::Anyone | Access::PodToken => assert_eq!(admitted, Ok(Admitted::Open), "{path}"),
                Access::Operator(verb) => assert_eq!(admitted, Ok(Admitted::IfTokenMay(verb)), "{path}"),
                Access::Role(needed) => assert_eq!(admitted, Err(Refused::NoCertificate { needed }), "{path}"),
            }
        }
    }

    #[test]
    fn bytes_that_prove_no_role_open_nothing_that_needs_one() {
        for (path, needed) in
            [("/keyward.v1.Sync/Fetch", Role::Controller), ("/keyward.v1.Cache/Status", Role::Operator)]
        {
            let refused = admit(path, Some(b"nonsense"), "example.org");
            assert_eq!(refused, Err(Refused::NoRole { needed, source: RoleError::Malformed }));
        }
    }
}

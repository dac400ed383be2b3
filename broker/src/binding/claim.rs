//! What a request says of itself: which container it comes from, and which process it is. Pure.

use keyward_proto::{NONCE_BYTES, v1::ResolveRequest};
use keyward_types::reference::is_dns_subdomain;

use super::nonce::Nonce;

/// The longest DNS label.
const MAX_LABEL: usize = 63;

/// A claim: nothing of it is proven, and the pod decides what it is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// A process of a container.
    Process {
        /// The container's name.
        container: String,
        /// What it drew.
        nonce: Nonce,
    },
    /// A launcher that was not told its container's name.
    Unnamed,
}

/// Why it is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClaim {
    /// No container has such a name.
    #[error("`container` is not the name of a container: a DNS label")]
    Container,
    /// There is no telling one process from another.
    #[error("`nonce` has {0} bytes; it is {least} to {most} bytes", least = NONCE_BYTES.start(), most = NONCE_BYTES.end())]
    Nonce(usize),
}

impl Claim {
    /// That of `request`.
    pub fn of(request: &ResolveRequest) -> Result<Self, InvalidClaim> {
        let ResolveRequest { container, nonce, .. } = request;
        let drawn = Nonce::new(nonce).ok_or(InvalidClaim::Nonce(nonce.len()));
        match (container.as_str(), nonce.len()) {
            ("", 0) => Ok(Self::Unnamed),
            ("", _) => drawn.map(|_| Self::Unnamed),
            (name, _) if !is_container(name) => Err(InvalidClaim::Container),
            (name, _) => Ok(Self::Process { container: name.to_owned(), nonce: drawn? }),
        }
    }

    /// The container, where one is named.
    pub fn container(&self) -> Option<&str> {
        match self {
            Self::Process { container, .. } => Some(container),
            Self::Unnamed => None,
        }
    }
}

/// A DNS label, as names of containers are.
pub(super) fn is_container(name: &str) -> bool {
    name.len() <= MAX_LABEL && !name.contains('.') && is_dns_subdomain(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_names_a_container_and_a_process_or_neither() {
        let claim = |container: &str, nonce: usize| {
            let request = ResolveRequest { container: container.into(), nonce: vec![7; nonce], references: Vec::new() };
            Claim::of(&request).map(|claim| claim.container().map(str::to_owned))
        };
        let named = |name: &str| Ok(Some(name.to_owned()));
        let longest = "a".repeat(63);
        for (container, nonce, expected) in [
            ("app", 16, named("app")),
            (&longest, 64, named(&longest)),
            ("", 0, Ok(None)),
            ("", 16, Ok(None)),
            ("app", 0, Err(InvalidClaim::Nonce(0))),
            ("app", 15, Err(InvalidClaim::Nonce(15))),
            ("app", 65, Err(InvalidClaim::Nonce(65))),
            ("", 65, Err(InvalidClaim::Nonce(65))),
            ("App", 16, Err(InvalidClaim::Container)),
            ("a.b", 16, Err(InvalidClaim::Container)),
            ("-a", 16, Err(InvalidClaim::Container)),
            ("a/b", 16, Err(InvalidClaim::Container)),
            (&format!("{longest}a"), 16, Err(InvalidClaim::Container)),
        ] {
            assert_eq!(claim(container, nonce), expected, "{container} {nonce}");
        }
    }

    #[test]
    fn a_nonce_is_not_shown() {
        let claim = Claim::Process { container: "app".into(), nonce: Nonce::new(&[0xab; 16]).unwrap() };
        assert_eq!(format!("{claim:?}"), r#"Process { container: "app", nonce: Nonce(..) }"#);
    }
}

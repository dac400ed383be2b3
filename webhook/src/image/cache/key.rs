//! Keys are hashes: fixed in size, whatever strangers write.

use ring::digest::{Context, SHA256};

use super::super::{Wanted, digest::Digest, reference::Target};

/// A SHA-256 over parts, each with its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    /// Who asks for what. The service account counts where the pod names no pull secrets.
    pub(super) fn question(wanted: &Wanted, target: &Target, architecture: &str) -> Self {
        let mut parts = vec!["question", &target.registry, &target.repository, target.version.as_str(), architecture];
        parts.push(&wanted.namespace);
        if wanted.pull_secrets.is_empty() {
            parts.extend(["of", &wanted.service_account]);
        } else {
            parts.push("own");
            parts.extend(wanted.pull_secrets.iter().map(String::as_str));
        }
        Self::of(&parts)
    }

    /// What is remembered. The registry is part of it, because its word is all there is for who may read what: a foreign
    /// one that claims a digest must not be told what has it elsewhere.
    pub(super) fn config(target: &Target, digest: &Digest, architecture: &str) -> Self {
        Self::of(&["config", &target.registry, &target.repository, digest.as_str(), architecture])
    }

    fn of(parts: &[&str]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut key = [0; 32];
        key.copy_from_slice(context.finish().as_ref());
        Self(key)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::reference::parse_reference, *};

    fn question(image: &str, namespace: &str, pull_secrets: &[&str], service_account: &str) -> Key {
        let wanted = Wanted {
            image: image.into(),
            architecture: None,
            namespace: namespace.into(),
            pull_secrets: pull_secrets.iter().map(ToString::to_string).collect(),
            service_account: service_account.into(),
        };
        Key::question(&wanted, &parse_reference(image).unwrap(), "amd64")
    }

    #[test]
    fn questions_are_the_same_where_rights_and_image_are() {
        let same = question("nginx", "a", &["x", "y"], "default");
        assert_eq!(same, question("docker.io/library/nginx:latest", "a", &["x", "y"], "other"));
        for other in [
            question("nginx:1", "a", &["x", "y"], "default"),
            question("nginx", "b", &["x", "y"], "default"),
            question("nginx", "a", &["y", "x"], "default"),
            question("nginx", "a", &["xy"], "default"),
            question("nginx", "a", &["x"], "default"),
            question("nginx", "a", &[], "default"),
        ] {
            assert_ne!(same, other);
        }
        assert_ne!(question("nginx", "a", &[], "default"), question("nginx", "a", &[], "other"));
        assert_ne!(question("nginx", "a", &[], "x"), question("nginx", "a", &["x"], ""));
    }
}

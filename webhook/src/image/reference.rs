//! The image's name: which registry, which repository there, and what of it.

use oci_spec::distribution::{ParseError, Reference};

use super::digest::{Digest, DigestError};

/// Docker Hub, as images name it.
pub(super) const DOCKER_HUB: &str = "docker.io";
/// Where its API is.
const DOCKER_HUB_API: &str = "registry-1.docker.io";
/// A repository has at most 255 characters, a tag 128, a digest 135; hosts add 253.
const MAX_LENGTH: usize = 800;

/// Why an image's name cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReferenceError {
    /// It does not parse.
    #[error("its name is no image reference: {0}")]
    Parse(String),
    /// A registry, a repository, a tag and a digest cannot be as long as that.
    #[error("its name is longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// Its digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

/// An image's name, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `HOST` or `HOST:PORT`, lower case; `docker.io` for Docker Hub.
    pub registry: String,
    /// For example `library/nginx`.
    pub repository: String,
    /// What of it.
    pub version: Version,
}

/// What a name points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// A tag, `latest` where none is given.
    Tag(String),
    /// A digest; it wins over a tag.
    Digest(Digest),
}

/// Takes a name apart as container engines do: `nginx` is `docker.io/library/nginx:latest`.
pub fn parse_reference(image: &str) -> Result<Target, ReferenceError> {
    if image.len() > MAX_LENGTH {
        return Err(ReferenceError::TooLong);
    }
    if !image.is_ascii() {
        return Err(ReferenceError::Parse("it has characters beyond ASCII".to_owned()));
    }
    let reference = image.parse::<Reference>().map_err(|error: ParseError| ReferenceError::Parse(error.to_string()))?;
    let version = match reference.digest() {
        Some(digest) => Version::Digest(Digest::parse(digest)?),
        None => Version::Tag(reference.tag().unwrap_or("latest").to_owned()),
    };
    let registry = reference.registry().to_ascii_lowercase();
    Ok(Target { registry, repository: reference.repository().to_owned(), version })
}

impl Target {
    /// Where the registry's API is.
    pub(super) fn authority(&self) -> &str {
        if self.registry == DOCKER_HUB { DOCKER_HUB_API } else { &self.registry }
    }
}

impl Version {
    /// As it stands in a URL.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Tag(tag) => tag,
            Self::Digest(digest) => digest.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn names_are_taken_apart_as_container_engines_do() {
        let pinned = format!("registry.example:5000/app:1.2@{SHA}");
        for (image, registry, repository, version) in [
            ("nginx", "docker.io", "library/nginx", "latest"),
            ("nginx:1.27-alpine", "docker.io", "library/nginx", "1.27-alpine"),
            ("team/app", "docker.io", "team/app", "latest"),
            ("docker.io/nginx", "docker.io", "library/nginx", "latest"),
            ("index.docker.io/team/app:2", "docker.io", "team/app", "2"),
            ("localhost/app", "localhost", "app", "latest"),
            ("localhost:5000/app", "localhost:5000", "app", "latest"),
            ("registry:5000/app", "registry:5000", "app", "latest"),
            ("Team.azurecr.io/a/b/c:V1", "team.azurecr.io", "a/b/c", "V1"),
            ("127.0.0.1:5000/app", "127.0.0.1:5000", "app", "latest"),
            (&pinned, "registry.example:5000", "app", SHA),
        ] {
            let target = parse_reference(image).unwrap();
            assert_eq!((target.registry.as_str(), target.repository.as_str()), (registry, repository), "{image}");
            assert_eq!(target.version.as_str(), version, "{image}");
        }
        assert_eq!(parse_reference("nginx").unwrap().authority(), "registry-1.docker.io");
        assert_eq!(parse_reference("quay.io/nginx").unwrap().authority(), "quay.io");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let short = "nginx@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f2001";
        let other = format!("nginx@sha384:{}", "a".repeat(96));
        let upper = format!("nginx@sha256:{}", "A".repeat(64));
        let long = format!("nginx:{}", "a".repeat(MAX_LENGTH));
        for image in [
            "",
            " ",
            "Nginx",
            "nginx:",
            "nginx@",
            "a//b",
            "../etc",
            "https://registry.example/app",
            "registry.example/",
            "user@registry.example/app",
            "registry.example/../app",
            "nginx?x",
            "nginx:ü",
            short,
            &other,
            &upper,
            &long,
        ] {
            assert!(parse_reference(image).is_err(), "{image}");
        }
    }
}

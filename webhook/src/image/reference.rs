//! The image's name: which registry, which repository there, and what of it.
//!
//! The grammar is that of [distribution](https://github.com/distribution/reference), without its IPv6 addresses. It is
//! read by hand: the usual regular expression takes 14 MB of memory, which is half of what the webhook may have.

use super::digest::{Digest, DigestError};

/// Docker Hub, as images name it.
pub(super) const DOCKER_HUB: &str = "docker.io";
/// Where its API is.
const DOCKER_HUB_API: &str = "registry-1.docker.io";
/// As Docker has it, where a name does not say.
const DEFAULT_TAG: &str = "latest";
/// Of host and repository.
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// Why an image's name cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReferenceError {
    /// A part of it is not as that part must be.
    #[error("its name is no image reference: {0}")]
    Part(&'static str),
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
    let (rest, digest) = image.split_once('@').map_or((image, None), |(rest, digest)| (rest, Some(digest)));
    // A colon before the last slash is a port's.
    let last = rest.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match rest[last..].find(':') {
        Some(colon) => (&rest[..last + colon], Some(&rest[last + colon + 1..])),
        None => (rest, None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err(ReferenceError::Part("its tag"));
    }
    let (registry, repository) = split(name);
    if !is_authority(registry) {
        return Err(ReferenceError::Part("its registry's host"));
    }
    if !repository.split('/').all(is_component) || name.len() > MAX_NAME {
        return Err(ReferenceError::Part("its repository (lower-case letters, digits and single separators)"));
    }
    let version = match digest {
        Some(digest) => Version::Digest(Digest::parse(digest)?),
        None => Version::Tag(tag.unwrap_or(DEFAULT_TAG).to_owned()),
    };
    let hub = registry == DOCKER_HUB;
    let official = hub && !repository.contains('/');
    let repository = if official { format!("library/{repository}") } else { repository.to_owned() };
    Ok(Target { registry: registry.to_ascii_lowercase(), repository, version })
}

/// Registry and repository. The first part is a registry where it could be nothing else.
fn split(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some(("index.docker.io", repository)) => (DOCKER_HUB, repository),
        Some((first, repository))
            if first == "localhost"
                || first.contains(['.', ':'])
                || first.contains(|c: char| c.is_ascii_uppercase()) =>
        {
            (first, repository)
        }
        _ => (DOCKER_HUB, name),
    }
}

fn is_authority(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "443"));
    port.parse::<u16>().is_ok() && port.bytes().all(|c| c.is_ascii_digit()) && host.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let fits = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    !label.is_empty() && label.bytes().all(fits) && !label.starts_with('-') && !label.ends_with('-')
}

/// Letters and digits, with `.`, `_`, `__` or any number of `-` between them.
fn is_component(component: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separator = |text: &str| matches!(text, "." | "_" | "__") || text.bytes().all(|c| c == b'-');
    component.starts_with(word) && component.ends_with(word) && component.split(word).all(separator)
}

fn is_tag(tag: &str) -> bool {
    let word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    let fits = |c: u8| word(c) || c == b'.' || c == b'-';
    (1..=MAX_TAG).contains(&tag.len()) && tag.bytes().next().is_some_and(word) && tag.bytes().all(fits)
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
        let (long, long_tag) = ("a".repeat(MAX_NAME + 1), format!("nginx:{}", "a".repeat(MAX_TAG + 1)));
        for image in [
            "",
            " ",
            "/",
            ":",
            "@",
            "Nginx",
            "nginx:",
            "nginx@",
            ":tag",
            "nginx:-tag",
            "nginx:.tag",
            "nginx:a:b",
            "a//b",
            "/a",
            "a/",
            "../etc",
            "a/../b",
            "a/./b",
            "a..b",
            "a___b",
            "a._b",
            "-a",
            "a-",
            "https://registry.example/app",
            "registry.example/",
            "user@registry.example/app",
            "registry.example/../app",
            "nginx?x",
            "nginx:ü",
            "ü/a.b",
            "-a.example/app",
            "a-.example/app",
            "a..example/app",
            "a.example:/app",
            "a.example:+1/app",
            "a.example:99999/app",
            "a:1:2/app",
            "a.example/Upper",
            "a b.example/app",
            "[::1]:5000/app",
            "nginx\n",
            short,
            &other,
            &upper,
            &long,
            &long_tag,
        ] {
            assert!(parse_reference(image).is_err(), "{image}");
        }
    }

    /// The regular expression that others use, for an oracle. It takes `Upper/app` for a repository, which Docker no
    /// longer does, `a_b.c/app` for one of the host `a_b.c`, which cannot be, and any number for a port.
    #[test]
    fn names_are_read_as_others_read_them() {
        let parts =
            ["", "a", "Z", "9", ".", "-", "_", "__", "/", ":", "@", "a.b", "localhost", "sha256:", &SHA[7..], "latest"];
        let (mut state, mut same) = (1_u64, 0);
        for _ in 0..4_000 {
            let mut image = String::new();
            for _ in 0..6 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                image.push_str(parts[(state >> 33) as usize % parts.len()]);
            }
            let theirs = image.parse::<oci_spec::distribution::Reference>().ok();
            let theirs = theirs.filter(|it| !it.registry().contains('_'));
            let ours = parse_reference(&image).ok();
            let upper = image.split_once('/').is_some_and(|(first, _)| first.contains('Z'));
            let big = image.split(['/', ':']).any(|part| part.len() > 4 && part.bytes().all(|c| c.is_ascii_digit()));
            if upper || big {
                continue;
            }
            let theirs = theirs.map(|it| (it.registry().to_ascii_lowercase(), it.repository().to_owned()));
            same += usize::from(theirs.is_some());
            assert_eq!(ours.map(|it| (it.registry, it.repository)), theirs, "{image}");
        }
        assert!(same > 60, "{same} names were valid");
    }
}

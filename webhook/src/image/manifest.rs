//! Manifests: of one image, or an index of several by platform. Docker's and OCI's look alike where it matters here.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{
    digest::{Digest, DigestError},
    error::line,
};

/// The media types that are asked for.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// Platforms that a message lists.
const MAX_NAMED: usize = 8;

/// A manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manifest {
    /// Of one image: where its configuration is.
    Image(Digest),
    /// Of an image for several platforms.
    Index(Vec<Entry>),
}

/// One platform's image in an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its manifest.
    pub digest: String,
    /// The operating system; empty where the index does not say.
    pub os: String,
    /// The architecture, as Go names it.
    pub architecture: String,
}

/// Why a manifest leads to no configuration.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ManifestError {
    /// It does not parse.
    #[error("its manifest is no OCI or Docker manifest: {0}")]
    Json(String),
    /// Docker's first format.
    #[error("its manifest is of Docker's schema 1, which says too little; push it with a current tool")]
    Schema1,
    /// Neither an image nor an index, or both: two readers would see two images.
    #[error("its manifest is neither that of an image nor an index")]
    Ambiguous,
    /// An index in an index.
    #[error("its index leads to another index")]
    Nested,
    /// A digest in it.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// No entry fits.
    #[error("it has no image for linux/{wanted}; it has {has}")]
    Platform {
        /// The architecture that was asked for.
        wanted: String,
        /// The platforms there are.
        has: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    schema_version: Option<u64>,
    config: Option<Descriptor>,
    manifests: Option<Vec<Descriptor>>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: Option<String>,
    architecture: Option<String>,
}

/// Reads a manifest or an index. Unknown fields and nulls are passed over.
pub fn parse_manifest(bytes: &[u8]) -> Result<Manifest, ManifestError> {
    let file: File =
        serde_json::from_slice(bytes).map_err(|error| ManifestError::Json(line(&error.to_string(), 120)))?;
    match (file.schema_version, file.config, file.manifests) {
        (Some(1), ..) => Err(ManifestError::Schema1),
        (_, Some(config), None) => Ok(Manifest::Image(Digest::parse(&config.digest)?)),
        (_, None, Some(entries)) => Ok(Manifest::Index(entries.into_iter().map(Entry::from).collect())),
        _ => Err(ManifestError::Ambiguous),
    }
}

impl From<Descriptor> for Entry {
    fn from(descriptor: Descriptor) -> Self {
        let (os, architecture) = descriptor.platform.map_or((None, None), |it| (it.os, it.architecture));
        Self { digest: descriptor.digest, os: os.unwrap_or_default(), architecture: architecture.unwrap_or_default() }
    }
}

/// The entry for `architecture`; else the only one there is for Linux, because it is what a node would have to run.
/// Attestations are none: their platform is `unknown/unknown`.
pub fn pick<'a>(entries: &'a [Entry], architecture: &str) -> Result<&'a Entry, ManifestError> {
    let wanted = canonical(architecture);
    let linux = || entries.iter().filter(|entry| entry.os == "linux");
    if let Some(entry) = linux().find(|entry| canonical(&entry.architecture) == wanted) {
        return Ok(entry);
    }
    let architectures: BTreeSet<&str> = linux().map(|entry| canonical(&entry.architecture)).collect();
    if let (1, Some(entry)) = (architectures.len(), linux().next()) {
        return Ok(entry);
    }
    // Some tools make an index of one and leave the platform out.
    match entries {
        [entry] if entry.os.is_empty() => Ok(entry),
        _ => Err(ManifestError::Platform { wanted: line(wanted, 30), has: platforms(entries) }),
    }
}

/// As Go names it: nodes, pods and indexes do, people sometimes not.
fn canonical(architecture: &str) -> &str {
    match architecture {
        "x86_64" | "x86-64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn platforms(entries: &[Entry]) -> String {
    let all: BTreeSet<String> = entries
        .iter()
        .filter(|entry| !entry.os.is_empty() && entry.os != "unknown")
        .map(|entry| line(&format!("{}/{}", entry.os, entry.architecture), 30))
        .collect();
    if all.is_empty() {
        return "none".to_owned();
    }
    let more = if all.len() > MAX_NAMED { " and more" } else { "" };
    all.into_iter().take(MAX_NAMED).collect::<Vec<_>>().join(", ") + more
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn digest(text: &str) -> String {
        Digest::of(text.as_bytes()).to_string()
    }

    fn parse(value: &Value) -> Result<Manifest, ManifestError> {
        parse_manifest(value.to_string().as_bytes())
    }

    fn index(platforms: &[(&str, &str)]) -> Vec<Entry> {
        let entry = |(os, architecture): &(&str, &str)| {
            let name = format!("{os}/{architecture}");
            json!({"digest": digest(&name), "platform": {"os": os, "architecture": architecture, "variant": "v8"}})
        };
        let entries: Vec<Value> = platforms.iter().map(entry).collect();
        match parse(&json!({"schemaVersion": 2, "manifests": entries})).unwrap() {
            Manifest::Index(entries) => entries,
            Manifest::Image(_) => panic!("an index"),
        }
    }

    #[test]
    fn manifests_of_both_kinds_are_read() {
        let config = digest("config");
        for value in [
            json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {"digest": config, "size": 1}, "layers": [], "annotations": null, "manifests": null}),
            json!({"config": {"digest": config, "platform": null}, "unknown": {"deep": [1]}}),
        ] {
            assert_eq!(parse(&value).unwrap(), Manifest::Image(Digest::parse(&config).unwrap()));
        }
        let entry = Entry { digest: "x".into(), os: String::new(), architecture: String::new() };
        assert_eq!(parse(&json!({"manifests": [{"digest": "x"}]})).unwrap(), Manifest::Index(vec![entry]));
    }

    #[test]
    fn what_is_no_image_is_refused_with_the_reason() {
        let said = |value| parse(&value).unwrap_err().to_string();
        assert!(said(json!({"schemaVersion": 1, "fsLayers": []})).contains("schema 1"));
        assert!(said(json!({})).contains("neither"));
        let both = json!({"config": {"digest": digest("c")}, "manifests": []});
        assert!(said(both).contains("neither"), "two readers would see two images");
        assert!(said(json!({"config": {"digest": "md5:1"}})).contains("`md5:1` is no digest"));
        assert!(said(json!("text")).contains("no OCI or Docker manifest"));
        assert!(parse_manifest(b"{\"config\":{\"digest\":\"a\"},\"config\":{\"digest\":\"b\"}}").is_err());
    }

    #[test]
    fn the_platform_decides_which_entry_counts() {
        let attested = [("linux", "amd64"), ("unknown", "unknown"), ("linux", "arm64"), ("unknown", "unknown")];
        let windows = [("windows", "amd64"), ("linux", "arm64")];
        for (platforms, wanted, expected) in [
            (&attested[..], "arm64", "linux/arm64"),
            (&attested[..], "amd64", "linux/amd64"),
            (&attested[..], "aarch64", "linux/arm64"),
            (&windows[..], "arm64", "linux/arm64"),
            (&windows[..], "amd64", "linux/arm64"),
            (&[("linux", "x86_64"), ("linux", "s390x")][..], "amd64", "linux/x86_64"),
            (&[("linux", "arm"), ("linux", "arm")][..], "arm", "linux/arm"),
            (&[("", "")][..], "amd64", "/"),
        ] {
            let entries = index(platforms);
            assert_eq!(pick(&entries, wanted).unwrap().digest, digest(expected), "{wanted} of {platforms:?}");
        }
    }

    #[test]
    fn an_index_without_the_platform_says_what_it_has() {
        for (platforms, expected) in [
            (&[("linux", "arm64"), ("linux", "s390x"), ("unknown", "unknown")][..], "it has linux/arm64, linux/s390x"),
            (&[("windows", "amd64")][..], "it has windows/amd64"),
            (&[("unknown", "unknown")][..], "it has none"),
            (&[][..], "it has none"),
        ] {
            let said = pick(&index(platforms), "amd64").unwrap_err().to_string();
            assert!(said.contains("no image for linux/amd64") && said.ends_with(expected), "{said}");
        }
        let names: Vec<String> = (0..40).map(|number| format!("a{number}")).collect();
        let many: Vec<_> = names.iter().map(|name| ("linux", name.as_str())).collect();
        assert!(pick(&index(&many), "amd64").unwrap_err().to_string().ends_with("and more"));
    }
}

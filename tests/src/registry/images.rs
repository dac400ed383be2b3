//! Images as registries hold them: a configuration and a manifest, or an index of manifests.

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

/// What an image starts.
#[derive(Clone, Debug)]
pub struct FakeImage {
    entrypoint: Vec<String>,
    cmd: Vec<String>,
    env: Vec<String>,
    os: String,
}

/// A manifest.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) media_type: String,
    pub(super) bytes: Vec<u8>,
}

impl FakeImage {
    /// For Linux, without an environment.
    pub fn new(entrypoint: &[&str], cmd: &[&str]) -> Self {
        Self { entrypoint: owned(entrypoint), cmd: owned(cmd), env: Vec::new(), os: "linux".to_owned() }
    }

    /// With an environment of `NAME=VALUE`s.
    #[must_use]
    pub fn env(mut self, env: &[&str]) -> Self {
        self.env = owned(env);
        self
    }

    /// For another operating system.
    #[must_use]
    pub fn os(mut self, os: &str) -> Self {
        os.clone_into(&mut self.os);
        self
    }

    /// The configuration, with what real ones have besides.
    pub(super) fn config(&self) -> Vec<u8> {
        json!({
            "created": "2026-01-01T00:00:00Z", "architecture": "amd64", "os": self.os,
            "config": {
                "Entrypoint": some(&self.entrypoint), "Cmd": some(&self.cmd), "Env": some(&self.env),
                "WorkingDir": "/", "Labels": {"org.opencontainers.image.source": "https://example.test"}, "Volumes": null,
            },
            "rootfs": {"type": "layers", "diff_ids": [digest_of(b"layer")]},
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "COPY . . # buildkit", "empty_layer": true}],
        })
        .to_string()
        .into_bytes()
    }
}

impl Document {
    pub(super) fn new(media_type: &str, bytes: Vec<u8>) -> Self {
        Self { media_type: media_type.to_owned(), bytes }
    }

    pub(super) fn image(config: &str) -> Self {
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let layer = "application/vnd.oci.image.layer.v1.tar+gzip";
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 1},
            "layers": [{"mediaType": layer, "digest": digest_of(b"layer"), "size": 5}],
        });
        Self::new(media_type, manifest.to_string().into_bytes())
    }

    pub(super) fn index(images: &[(String, String)]) -> Self {
        let media_type = "application/vnd.oci.image.index.v1+json";
        let entry = |(platform, digest): &(String, String)| {
            let (os, architecture) = platform.split_once('/').unwrap_or((platform, ""));
            json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 1,
                "platform": {"os": os, "architecture": architecture},
            })
        };
        let entries: Vec<Value> = images.iter().map(entry).collect();
        let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": entries});
        Self::new(media_type, index.to_string().into_bytes())
    }
}

/// `sha256:…` of bytes.
pub fn digest_of(bytes: &[u8]) -> String {
    let hash = digest(&SHA256, bytes);
    hash.as_ref().iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

/// Builders write null for what is not set.
fn some(words: &[String]) -> Value {
    if words.is_empty() { Value::Null } else { json!(words) }
}

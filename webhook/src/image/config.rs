//! The image configuration, as far as it decides what is started.

use serde::Deserialize;

use super::{ImageConfig, error::line};

/// What is kept of a configuration may be this long; the kernel starts no program with more.
const MAX_KEPT: usize = 256 * 1024;

/// Why an image configuration cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConfigError {
    /// It does not parse.
    #[error("its configuration is no OCI image configuration: {0}")]
    Json(String),
    /// It is for an operating system that the launcher does not run on.
    #[error("it is an image for {0}; only Linux containers can be injected")]
    NotLinux(String),
    /// Nothing could be started like this.
    #[error("its entrypoint, command and environment are longer than 256 KiB")]
    TooLong,
}

#[derive(Deserialize)]
struct File {
    os: Option<String>,
    config: Option<Started>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Started {
    entrypoint: Option<Words>,
    cmd: Option<Words>,
    env: Option<Vec<String>>,
}

/// Docker wrote a single word as a string once, and still reads it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    Many(Vec<String>),
    One(String),
}

/// Reads an OCI image configuration, or Docker's. Unknown fields and nulls are passed over.
pub fn parse_image_config(bytes: &[u8]) -> Result<ImageConfig, ConfigError> {
    let file: File = serde_json::from_slice(bytes).map_err(|error| ConfigError::Json(line(&error.to_string(), 120)))?;
    if let Some(os) = file.os.filter(|os| !os.is_empty() && os != "linux") {
        return Err(ConfigError::NotLinux(line(&os, 30)));
    }
    let Some(started) = file.config else { return Ok(ImageConfig::default()) };
    let config = ImageConfig {
        entrypoint: words(started.entrypoint),
        cmd: words(started.cmd),
        env: shrunk(started.env.unwrap_or_default()),
    };
    if length(&config) > MAX_KEPT { Err(ConfigError::TooLong) } else { Ok(config) }
}

/// Bytes of text, and what its strings take besides.
pub(super) fn length(config: &ImageConfig) -> usize {
    let strings = config.entrypoint.iter().chain(&config.cmd).chain(&config.env);
    strings.map(|text| text.len() + size_of::<String>()).sum()
}

fn words(words: Option<Words>) -> Vec<String> {
    shrunk(match words {
        None => Vec::new(),
        Some(Words::Many(words)) => words,
        Some(Words::One(word)) => vec![word],
    })
}

/// Kept for long: without the room that parsing left.
fn shrunk(mut words: Vec<String>) -> Vec<String> {
    words.iter_mut().for_each(String::shrink_to_fit);
    words.shrink_to_fit();
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(value: &serde_json::Value) -> Result<ImageConfig, ConfigError> {
        parse_image_config(value.to_string().as_bytes())
    }

    #[test]
    fn entrypoint_command_and_environment_are_kept() {
        let config = parse(&json!({
            "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}, "history": [{}],
            "config": {"Entrypoint": ["/entry", "-x"], "Cmd": ["serve"], "Env": ["PATH=/bin", "A=b=c"], "Labels": {}}
        }))
        .unwrap();
        assert_eq!(config.entrypoint, ["/entry", "-x"]);
        assert_eq!(config.cmd, ["serve"]);
        assert_eq!(config.env, ["PATH=/bin", "A=b=c"]);
    }

    #[test]
    fn what_is_missing_or_null_is_empty() {
        for value in [
            json!({}),
            json!({"os": null, "config": null}),
            json!({"os": "", "config": {}}),
            json!({"config": {"Entrypoint": null, "Cmd": null, "Env": null}}),
        ] {
            assert_eq!(parse(&value).unwrap(), ImageConfig::default());
        }
    }

    #[test]
    fn a_single_word_may_be_a_string() {
        assert_eq!(parse(&json!({"config": {"Cmd": "/bin/sh"}})).unwrap().cmd, ["/bin/sh"]);
    }

    #[test]
    fn other_systems_foreign_documents_and_excess_are_refused() {
        let said = |value| parse(&value).unwrap_err().to_string();
        assert!(said(json!({"os": "windows"})).contains("image for windows; only Linux"));
        assert!(said(json!([])).contains("no OCI image configuration"));
        assert!(said(json!({"config": {"Env": [1]}})).contains("no OCI image configuration"));
        assert!(said(json!({"config": {"Env": ["x".repeat(MAX_KEPT)]}})).contains("256 KiB"));
        assert!(parse_image_config(b"").is_err());
    }
}

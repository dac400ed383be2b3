//! What registries answer, and what pods call images.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::core::v1::Pod;
use keyward_types::Reference;
use keyward_webhook::{
    image::{ImageConfig, Manifest, Target, Version, parse_image_config, parse_manifest, parse_reference, pick},
    mutate::Facts,
    names::LAUNCHER,
};
use serde_json::{Value, json};

use crate::{assert_is_shown_well, reference::expanded, review::admit};

/// What is kept of a configuration, in bytes.
const MAX_KEPT: usize = 256 * 1024;

/// An image's configuration.
///
/// # Panics
///
/// Where more is kept than may be, or where a pod with that image would not start what the image says.
pub fn image_config(bytes: &[u8]) {
    match parse_image_config(bytes) {
        Ok(config) => {
            let words = config.entrypoint.iter().chain(&config.cmd).chain(&config.env);
            assert!(words.map(String::len).sum::<usize>() <= MAX_KEPT);
            assert_starts(&config);
        }
        Err(error) => assert_is_shown_well(&error.to_string()),
    }
}

fn assert_starts(config: &ImageConfig) {
    let before = json!({"spec": {"containers": [
        {"name": "app", "image": "app:1", "env": [{"name": "DB", "value": "db@azurekeyvault"}]},
    ]}});
    let known = Facts { images: BTreeMap::from([("app:1".to_owned(), Arc::new(config.clone()))]), ..Facts::default() };
    let pod: Result<Pod, _> = serde_json::from_value(before.clone());
    let Some(after) = pod.ok().and_then(|pod| admit(&pod, &before, "shop", |_| known)) else { return };
    let container = &after["spec"]["containers"][0];
    let command = words(&container["command"]);
    assert_eq!(command.get(..3), Some(&[LAUNCHER, "exec", "--"].map(str::to_owned)[..]));
    assert_eq!(unescaped(&command[3..]), config.entrypoint);
    assert_eq!(unescaped(&words(&container["args"])), config.cmd);
    let listed = container["env"].as_array().into_iter().flatten().find(|one| one["name"] == "KEYWARD_REFERENCES");
    for entry in listed.and_then(|one| one["value"].as_str()).unwrap_or_default().split(',') {
        let (name, query) = entry.split_once('?').map_or((entry, None), |(name, query)| (name, Some(query)));
        assert!(Reference::new(name, query).is_ok(), "{entry} is listed");
    }
}

fn words(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

/// As the kubelet leaves them, where every variable has a value.
fn unescaped(words: &[String]) -> Vec<String> {
    words.iter().map(|word| expanded(word, |_| Some("expanded"))).collect()
}

/// A manifest, or an index of several.
///
/// # Panics
///
/// Where one is picked that is not there, or a message is unfit for people.
pub fn image_manifest(bytes: &[u8]) {
    match parse_manifest(bytes) {
        Ok(Manifest::Index(entries)) => {
            for architecture in ["amd64", "arm64", "aarch64", "", "\n"] {
                match pick(&entries, architecture) {
                    Ok(picked) => assert!(entries.contains(picked)),
                    Err(error) => assert_is_shown_well(&error.to_string()),
                }
            }
        }
        Ok(Manifest::Image(digest)) => assert!(digest.to_string().starts_with("sha256:")),
        Err(error) => assert_is_shown_well(&error.to_string()),
    }
}

/// An image's name, as a pod writes it.
///
/// # Panics
///
/// Where its parts could lead a request elsewhere, or do not make the same name again.
pub fn image_name(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match parse_reference(text) {
        Ok(target) => {
            assert_stays_in_its_place(&target);
            let version = match &target.version {
                Version::Tag(tag) => format!(":{tag}"),
                Version::Digest(digest) => format!("@{digest}"),
            };
            let whole = format!("{}/{}{version}", target.registry, target.repository);
            assert_eq!(parse_reference(&whole).ok(), Some(target), "{text:?}");
        }
        Err(error) => assert_is_shown_well(&error.to_string()),
    }
}

/// Each part becomes a part of a URL.
fn assert_stays_in_its_place(target: &Target) {
    let Target { registry, repository, version } = target;
    let is_plain = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || more.contains(letter))
    };
    assert!(is_plain(registry, ".:-[]") && *registry == registry.to_ascii_lowercase(), "registry {registry:?}");
    assert!(is_plain(repository, "._-/"), "repository {repository:?}");
    let is_step = |step: &str| step.is_empty() || step == "." || step == "..";
    assert!(!repository.split('/').any(is_step), "repository {repository:?}");
    if let Version::Tag(tag) = version {
        assert!(is_plain(tag, "._-") && tag.len() <= 128 && !is_step(tag), "tag {tag:?}");
    }
}

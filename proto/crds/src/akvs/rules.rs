//! What the API server refuses of an `AzureKeyVaultSecret`: what akv2k8s, and rendering here, fail on at run time.
//! What works there is not refused: a field that is given where nothing uses it is not looked at.

use kube::core::Rule;

use crate::rules::{required, rule, rule_of};

/// More steps than make sense, and few enough to bound the cost of looking at each.
pub(super) const MAX_TRANSFORMS: u32 = 32;

const NAMES_KEY: &str = "name the key to write under; only a multi-key-value-secret, or a Secret whose type has fixed \
                         keys, does without";
const DATA_KEY: &str = "a data key has at most 253 letters, digits, `-`, `_` and `.`, and is neither `.` nor begins with \
                        `..`; correct dataKey";

pub(super) fn object_name() -> [Rule; 1] {
    [rule(
        "self.matches('^[0-9a-zA-Z-]{1,127}$')",
        "an object's name has 1 to 127 letters, digits and `-`; write the name alone, a version goes into `version`",
    )]
}

pub(super) fn object_version() -> [Rule; 1] {
    [rule(
        "self == '' || self.matches('^[0-9a-fA-F]{32}$')",
        "a version has 32 hexadecimal digits; correct it, or leave it out for the current version",
    )]
}

pub(super) fn object() -> [Rule; 1] {
    [required(
        ".contentType",
        "self.type != 'multi-key-value-secret' || has(self.contentType)",
        "a multi-key-value-secret needs application/x-json or application/x-yaml",
    )]
}

pub(super) fn output() -> [Rule; 1] {
    [rule(
        "!has(self.transform) || !has(self.transforms)",
        "`transform` and `transforms` are two names of one list; keep `transform`",
    )]
}

pub(super) fn transforms() -> [Rule; 1] {
    [rule(
        "self.all(step, step in ['trim', 'base64encode', 'base64decode'])",
        "the steps are trim, base64encode and base64decode; remove what is none of them",
    )]
}

/// A DNS subdomain, as Secrets and `ConfigMap`s are named.
pub(super) fn output_name() -> [Rule; 1] {
    [rule(
        "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$') && self.size() <= 253",
        "a Secret's or ConfigMap's name has at most 253 lower-case letters, digits, `-` and `.`, each part beginning and \
         ending with a letter or digit; correct it",
    )]
}

/// What depends on both the object and the output.
pub(super) fn spec() -> Vec<Rule> {
    secret().into_iter().chain(config_map()).collect()
}

fn secret() -> [Rule; 4] {
    let absent = "!has(self.output) || !has(self.output.secret)";
    let key = "self.output.secret.dataKey";
    let (own_keys, never) = (own_keys(), never());
    [
        rule_of(
            ".output.secret.type",
            format!("{absent} || !({never})"),
            "neither a key nor a certificate can fill a Secret of this type; choose another type, or leave it out",
        ),
        required(".output.secret.dataKey", format!("{absent} || {own_keys} || {never} || {}", given(key)), NAMES_KEY),
        rule_of(
            ".output.secret.dataKey",
            format!("{absent} || {own_keys} || {never} || !({}) || {}", given(key), valid(key)),
            DATA_KEY,
        ),
        rule_of(
            ".output.secret.dataKey",
            format!(
                "{absent} || {own_keys} || !has(self.output.secret.type) || !({}) || \
                 (self.output.secret.type == 'kubernetes.io/basic-auth' ? {key} in ['username', 'password'] : \
                 self.output.secret.type == 'kubernetes.io/ssh-auth' ? {key} == 'ssh-privatekey' : true)",
                given(key)
            ),
            "a Secret of type kubernetes.io/basic-auth has `username` and `password`, one of type kubernetes.io/ssh-auth \
             has `ssh-privatekey`; correct dataKey, or choose another type",
        ),
    ]
}

fn config_map() -> [Rule; 3] {
    let absent = "!has(self.output) || !has(self.output.configMap)";
    let key = "self.output.configMap.dataKey";
    let map = "self.vault.object.type == 'multi-key-value-secret'";
    [
        required(
            ".output.configMap.dataKey",
            format!("{absent} || {map} || {}", given(key)),
            "name the key to write under; only a multi-key-value-secret does without",
        ),
        rule_of(
            ".output.configMap.dataKey",
            format!("{absent} || {map} || !({}) || {}", given(key), valid(key)),
            DATA_KEY,
        ),
        rule_of(
            ".output.configMap.dataKey",
            format!("{absent} || self.vault.object.type != 'certificate' || !has({key}) || {key} != 'tls.key'"),
            "a private key is never written to a ConfigMap; use output.secret, or another dataKey for the public \
             certificate",
        ),
    ]
}

/// Whether the Secret's keys follow from the object, or from its type.
fn own_keys() -> String {
    "self.vault.object.type == 'multi-key-value-secret' || has(self.output.secret.type) && \
     (self.vault.object.type == 'secret' && self.output.secret.type in ['kubernetes.io/tls', 'kubernetes.io/basic-auth', \
     'kubernetes.io/dockerconfigjson', 'kubernetes.io/dockercfg', 'kubernetes.io/ssh-auth'] || \
     self.vault.object.type == 'certificate' && self.output.secret.type == 'kubernetes.io/tls')"
        .to_owned()
}

/// Whether the API server would refuse the Secret whatever the object holds: one key is no TLS pair, PEM is no JSON.
fn never() -> String {
    "has(self.output.secret.type) && (self.vault.object.type in ['key', 'certificate'] && self.output.secret.type in \
     ['kubernetes.io/dockerconfigjson', 'kubernetes.io/dockercfg'] || self.vault.object.type == 'key' && \
     self.output.secret.type == 'kubernetes.io/tls')"
        .to_owned()
}

fn given(key: &str) -> String {
    format!("has({key}) && {key} != ''")
}

fn valid(key: &str) -> String {
    format!("{key}.matches('^[-._a-zA-Z0-9]{{1,253}}$') && {key} != '.' && !{key}.startsWith('..')")
}

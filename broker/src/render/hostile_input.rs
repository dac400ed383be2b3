//! Foreign bytes never make rendering panic, and no error shows a piece of them.

use keyward_types::SecretBytes;
use proptest::prelude::*;
use serde_json::json;

use super::{RenderError, Rendering, fixtures, output, parse, view};
use crate::object::{Object, RawBody, RawSecret};

const CANARY: &str = "kwcanary";

fn specs() -> Vec<Rendering> {
    let types =
        ["tls", "basic-auth", "dockerconfigjson", "dockercfg", "ssh-auth"].map(|name| format!("kubernetes.io/{name}"));
    let mut specs = Vec::new();
    for (object_type, more) in [
        ("secret", ""),
        ("multi-key-value-secret", ", contentType: application/x-json"),
        ("multi-key-value-secret", ", contentType: application/x-yaml"),
    ] {
        for secret_type in types.iter().map(String::as_str).chain(["Opaque"]) {
            for transform in ["", "trim", "base64decode, trim"] {
                let secret = format!("secret: {{name: s, dataKey: k, type: {secret_type}}}");
                let output =
                    format!("output: {{{secret}, configMap: {{name: c, dataKey: k}}, transform: [{transform}]}}");
                specs.push(fixtures::spec(object_type, more, &output));
            }
        }
    }
    specs
}

/// Everything that can be made of a secret; the errors only.
fn errors_of_secret(value: &[u8]) -> Vec<RenderError> {
    let object = Object::Secret(SecretBytes::new(value));
    let mut errors = Vec::new();
    for spec in specs() {
        errors.extend(
            [None, Some("username"), Some("password"), Some("other")].map(|query| view(&object, &spec, query).err()),
        );
        errors.push(output(&object, &spec).err());
    }
    errors.into_iter().flatten().collect()
}

fn errors_of_certificate(leaf: &[u8], value: &[u8]) -> Vec<RenderError> {
    ["application/x-pkcs12", "application/x-pem-file", CANARY]
        .map(|media_type| {
            let twin = RawSecret { value: SecretBytes::new(value), content_type: Some(media_type.to_owned()) };
            parse(&RawBody::Certificate { leaf: leaf.to_vec(), twin }).err()
        })
        .into_iter()
        .flatten()
        .collect()
}

fn assert_silent(errors: &[RenderError]) {
    for error in errors {
        // Not shown when it fails: a test's output must not leak either.
        assert!(!format!("{error} {error:?} {error:#?}").contains(CANARY), "an error shows a piece of the value");
    }
}

/// Text around a canary that stands where a value would. Without colons after it, it never becomes a key, and keys
/// may be named.
fn around_a_canary() -> impl Strategy<Value = String> {
    let before = prop_oneof![
        Just("k: "),
        Just("k: '"),
        Just("k: \""),
        Just("k: {a: "),
        Just("k: [*"),
        Just("k: &"),
        Just("k: !"),
        Just("- "),
        Just("{\"k\":\""),
        Just("{\"k\":"),
        Just("[\""),
        Just("{\"auths\":{\"h\":\""),
        Just("u:"),
        Just("%TAG "),
        Just("-----BEGIN CERTIFICATE-----\n"),
        Just("-----BEGIN "),
        Just("-----BEGIN RSA PRIVATE KEY-----\n"),
        Just(""),
    ];
    (before, "[^:]{0,12}").prop_map(|(before, after)| format!("{before}{CANARY}{after}"))
}

#[test]
fn altered_fixtures_are_refused_or_read_but_never_panic() {
    use fixtures::{der, fixture, pfx_twin};
    let leaf = der(fixture!("ec.crt"));
    for file in [fixture!("plain.pfx"), fixture!("no-mac.pfx")] {
        for position in (0..file.len()).step_by(17) {
            let mut altered = file.to_vec();
            altered[position] ^= 0x55;
            errors_of_certificate(&leaf, pfx_twin(&altered).value.expose());
            errors_of_certificate(&leaf, pfx_twin(&file[..position]).value.expose());
        }
    }
    for position in (0..leaf.len()).step_by(5) {
        let mut altered = leaf.clone();
        altered[position] ^= 0x55;
        errors_of_certificate(&altered, b"");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(value in prop::collection::vec(any::<u8>(), 0..200), leaf in prop::collection::vec(any::<u8>(), 0..200)) {
        errors_of_secret(&value);
        errors_of_certificate(&leaf, &value);
    }

    #[test]
    fn no_error_shows_a_value(value in around_a_canary()) {
        assert_silent(&errors_of_secret(value.as_bytes()));
        assert_silent(&errors_of_certificate(CANARY.as_bytes(), value.as_bytes()));
    }

    #[test]
    fn no_error_shows_a_member_of_a_key(
        kty in prop_oneof![Just("RSA"), Just("EC"), Just("oct"), Just(CANARY)],
        crv in prop_oneof![Just("P-256"), Just(CANARY)],
        number in "[A-Za-z0-9_=+/-]{0,60}",
    ) {
        let jwk = json!({"kty": kty, "crv": crv, "n": number, "e": CANARY, "x": number, "y": CANARY, "d": CANARY});
        let serde_json::Value::Object(jwk) = jwk else { unreachable!() };
        assert_silent(&parse(&RawBody::Key(jwk)).err().into_iter().collect::<Vec<_>>());
    }
}

use super::*;
use crate::{
    object::{PublicKey, RawBody},
    render::{
        CertificateError,
        fixtures::{der, fixture, pfx_twin, secret, spec, text},
        parse,
    },
};

type Plain = BTreeMap<String, String>;

fn plain(data: &DataByKey) -> Plain {
    data.iter().map(|(key, value)| (key.clone(), value.expose_str().unwrap().to_owned())).collect()
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Plain {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// The type and data of the Secret.
fn to_secret(object: &Object, of: &str, secret: &str) -> Result<(String, Plain), RenderError> {
    let (object_type, more) = of.split_once(';').unwrap_or((of, ""));
    let written = output(object, &spec(object_type, more, &format!("output: {{secret: {{name: s{secret}}}}}")))?;
    assert!(written.config_map.is_none());
    let secret = written.secret.unwrap();
    Ok((secret.secret_type, plain(&secret.data)))
}

/// The data of the `ConfigMap`.
fn to_config_map(object: &Object, of: &str, config_map: &str) -> Result<Plain, RenderError> {
    let (object_type, more) = of.split_once(';').unwrap_or((of, ""));
    let written = output(object, &spec(object_type, more, &format!("output: {{configMap: {{name: c{config_map}}}}}")))?;
    assert!(written.secret.is_none());
    Ok(plain(&written.config_map.unwrap()))
}

const YAML: &str = "multi-key-value-secret;, contentType: application/x-yaml";

fn certificate() -> Object {
    parse(&RawBody::Certificate { leaf: der(fixture!("rsa.crt")), twin: pfx_twin(fixture!("modern.pfx")) }).unwrap()
}

fn certificate_without_key() -> Object {
    parse(&RawBody::Certificate { leaf: der(fixture!("rsa.crt")), twin: pfx_twin(fixture!("no-key.pfx")) }).unwrap()
}

fn chain() -> String {
    [fixture!("rsa.crt"), fixture!("intermediate.crt"), fixture!("root.crt")].map(text).concat()
}

fn key() -> Object {
    Object::Key(Box::new(PublicKey { pem: "pem".to_owned(), jwk: "jwk".to_owned() }))
}

#[test]
fn a_secret_goes_under_its_data_key_or_the_keys_of_its_type() {
    let docker = r#" {"auths": {"acr.test": {"auth": "kwcanary"}}, "credsStore": "x"}"#;
    let legacy = r#"{"acr.test": {"auth": "kwcanary"}}"#;
    let ssh = "-----BEGIN OPENSSH PRIVATE KEY-----\nkwcanary\n-----END OPENSSH PRIVATE KEY-----\n";
    for (value, more, secret_type, expected) in [
        ("kwcanary", ", dataKey: k", "Opaque", pairs([("k", "kwcanary")])),
        ("kwcanary", ", type: '', dataKey: k", "Opaque", pairs([("k", "kwcanary")])),
        ("kwcanary", ", type: Opaque, dataKey: a.b_C-1", "Opaque", pairs([("a.b_C-1", "kwcanary")])),
        ("kwcanary", ", type: acme.test/own, dataKey: k", "acme.test/own", pairs([("k", "kwcanary")])),
        (
            "kw:can:ary",
            ", type: kubernetes.io/basic-auth",
            "kubernetes.io/basic-auth",
            pairs([("username", "kw"), ("password", "can:ary")]),
        ),
        (
            docker,
            ", type: kubernetes.io/dockerconfigjson",
            "kubernetes.io/dockerconfigjson",
            pairs([(".dockerconfigjson", docker)]),
        ),
        (legacy, ", type: kubernetes.io/dockercfg", "kubernetes.io/dockercfg", pairs([(".dockercfg", legacy)])),
        (ssh, ", type: kubernetes.io/ssh-auth", "kubernetes.io/ssh-auth", pairs([("ssh-privatekey", ssh)])),
    ] {
        assert_eq!(to_secret(&secret(value), "secret", more), Ok((secret_type.to_owned(), expected)), "{more}");
    }
}

#[test]
fn a_tls_secret_comes_from_a_certificate_or_from_a_secret_with_pfx_or_pem() {
    let pfx = Object::Secret(pfx_twin(fixture!("legacy-rc2.pfx")).value);
    let pem = secret(text(fixture!("rsa-pkcs8.pem")));
    let expected =
        pairs([("tls.crt", &chain()), ("tls.key", text(fixture!("rsa.key"))), ("ca.crt", text(fixture!("root.crt")))]);
    for (name, object, of) in
        [("certificate", certificate(), "certificate"), ("PFX", pfx, "secret"), ("PEM", pem, "secret")]
    {
        let more = ", type: kubernetes.io/tls, chainOrder: ensureserverfirst";
        let (secret_type, data) = to_secret(&object, of, more).unwrap();
        assert_eq!(secret_type, "kubernetes.io/tls", "{name}");
        assert!(data == expected, "{name}: {:?}", data.keys());
    }
}

#[test]
fn a_certificate_gives_its_private_key_only_where_that_is_asked_for() {
    for more in [", dataKey: k", ", type: Opaque, dataKey: k", ", type: acme.test/own, dataKey: k"] {
        let (_, data) = to_secret(&certificate(), "certificate", more).unwrap();
        assert!(data == pairs([("k", &chain())]), "{more}");
    }
    let (_, data) = to_secret(&certificate(), "certificate", ", dataKey: tls.key").unwrap();
    assert!(data == pairs([("tls.key", text(fixture!("rsa.key")))]));
    for more in [", type: kubernetes.io/tls", ", dataKey: tls.key"] {
        let refused = to_secret(&certificate_without_key(), "certificate", more);
        assert_eq!(refused.unwrap_err(), RenderError::NoPrivateKey, "{more}");
    }
}

#[test]
fn keys_and_maps_are_written() {
    assert_eq!(to_secret(&key(), "key", ", dataKey: k"), Ok(("Opaque".to_owned(), pairs([("k", "pem")]))));
    let map = secret("a: kwcanary\nb-1: ''\n");
    assert_eq!(to_secret(&map, YAML, ""), Ok(("Opaque".to_owned(), pairs([("a", "kwcanary"), ("b-1", "")]))));
    let typed = to_secret(&secret("username: kwcanary"), YAML, ", type: kubernetes.io/basic-auth").unwrap();
    assert_eq!(typed.1, pairs([("username", "kwcanary")]));
}

#[test]
fn config_maps_take_text_and_never_a_private_key() {
    assert_eq!(to_config_map(&secret("kwcanary"), "secret", ", dataKey: k"), Ok(pairs([("k", "kwcanary")])));
    assert_eq!(to_config_map(&key(), "key", ", dataKey: k"), Ok(pairs([("k", "pem")])));
    assert_eq!(to_config_map(&secret("a: kwcanary"), YAML, ""), Ok(pairs([("a", "kwcanary")])));
    assert_eq!(to_config_map(&certificate(), "certificate", ", dataKey: k"), Ok(pairs([("k", &chain())])));
    let refused = to_config_map(&certificate(), "certificate", ", dataKey: tls.key");
    assert_eq!(refused, Err(RenderError::PrivateKeyInConfigMap));
    let binary = Object::Secret(SecretBytes::new([0xff]));
    assert!(matches!(to_config_map(&binary, "secret", ", dataKey: k"), Err(RenderError::NotText(_))));
}

#[test]
fn both_outputs_are_written_at_once_and_transformed() {
    let both = "output: {secret: {name: s, dataKey: a}, configMap: {name: c, dataKey: b}, transform: [trim]}";
    let written = output(&secret(" kwcanary "), &spec("secret", "", both)).unwrap();
    assert_eq!(plain(&written.secret.unwrap().data), pairs([("a", "kwcanary")]));
    assert_eq!(plain(&written.config_map.unwrap()), pairs([("b", "kwcanary")]));
}

#[test]
fn what_is_missing_is_named() {
    for yaml in ["", "output: {}", "output: {transform: [trim]}"] {
        assert_eq!(output(&secret("kwcanary"), &spec("secret", "", yaml)), Err(RenderError::NoOutput), "{yaml}");
    }
    for more in ["", ", dataKey: ''"] {
        let refused = to_secret(&secret("kwcanary"), "secret", more);
        assert_eq!(refused, Err(RenderError::NoDataKey("output.secret.dataKey")), "{more}");
        let refused = to_config_map(&secret("kwcanary"), "secret", more);
        assert_eq!(refused, Err(RenderError::NoDataKey("output.configMap.dataKey")), "{more}");
    }
    assert_eq!(to_secret(&secret("a: b"), "multi-key-value-secret", ""), Err(RenderError::NoContentType));
}

#[test]
fn a_typed_secret_of_another_shape_is_refused() {
    let shape = |name: &str| match to_secret(&secret("kwcanary"), "secret", &format!(", type: kubernetes.io/{name}")) {
        Err(RenderError::WrongShape { secret_type, .. }) => secret_type.ends_with(name),
        _ => false,
    };
    assert!(shape("dockerconfigjson") && shape("dockercfg"));
    for (name, value) in [
        ("dockerconfigjson", r#"[{"acr.test":{}}]"#),
        ("dockerconfigjson", r#"{"auths":{}} kwcanary"#),
        ("dockercfg", r#"["kwcanary"]"#),
    ] {
        let refused = to_secret(&secret(value), "secret", &format!(", type: kubernetes.io/{name}"));
        assert!(matches!(refused, Err(RenderError::WrongShape { .. })), "{name}: {value}");
    }
    let refused = to_secret(&secret("kwcanary"), "secret", ", type: kubernetes.io/tls");
    assert_eq!(refused, Err(RenderError::Certificate(CertificateError::NotPfx)));
    let refused = to_secret(&secret("kwcanary"), "secret", ", type: kubernetes.io/basic-auth");
    assert_eq!(refused, Err(RenderError::NoColon));
}

#[test]
fn an_object_that_cannot_fill_a_type_is_refused_by_the_missing_key() {
    for (object, of, more, missing) in [
        (key(), "key", ", type: kubernetes.io/tls, dataKey: tls.crt", "tls.key"),
        (secret("tls.crt: kwcanary"), YAML, ", type: kubernetes.io/tls", "tls.key"),
        (secret("user: kwcanary"), YAML, ", type: kubernetes.io/basic-auth", "username"),
        (certificate(), "certificate", ", type: kubernetes.io/ssh-auth, dataKey: k", "ssh-privatekey"),
    ] {
        match to_secret(&object, of, more) {
            Err(RenderError::FixedKeyMissing { key, .. }) => assert_eq!(key, missing, "{more}"),
            other => panic!("{more}: {:?}", other.err()),
        }
    }
}

#[test]
fn data_keys_follow_kubernetes() {
    for key in ["a", ".a", "A-b_c.9", &"k".repeat(253)] {
        assert!(is_data_key(key), "{key}");
    }
    for key in ["", ".", "..", "..a", "a b", "a/b", "ä", &"k".repeat(254)] {
        assert!(!is_data_key(key), "{key}");
    }
    let refused = to_secret(&secret("kwcanary"), "secret", ", dataKey: a/b");
    assert_eq!(refused, Err(RenderError::InvalidDataKey("output.secret.dataKey")));
    let refused = to_secret(&secret("a b: kwcanary"), YAML, "");
    assert_eq!(refused, Err(RenderError::InvalidDataKey("a key of the multi-key-value-secret")));
}

use super::*;
use crate::{
    object::RawBody,
    render::{
        fixtures::{der, fixture, pfx_twin, secret, spec, text},
        map::MapError,
        parse,
    },
};

fn shown(object: &Object, spec: &AzureKeyVaultSecretSpec, query: Option<&str>) -> Result<String, RenderError> {
    view(object, spec, query).map(|value| value.expose_str().unwrap().to_owned())
}

#[test]
fn a_secret_is_given_whole_or_split_after_its_transforms() {
    let plain = spec("secret", "", "");
    let trimmed = spec("secret", "", "output: {transform: [trim]}");
    let decoded = spec("secret", "", "output: {transforms: [trim, base64decode]}");
    for (value, spec, query, expected) in [
        (" kwcanary\n", &plain, None, " kwcanary\n"),
        (" kwcanary\n", &trimmed, None, "kwcanary"),
        (" a3c6Y2FuYXJ5\n", &decoded, None, "kw:canary"),
        (" a3c6Y2FuYXJ5\n", &decoded, Some("username"), "kw"),
        ("kw:can:ary", &plain, Some("username"), "kw"),
        ("kw:can:ary", &plain, Some("password"), "can:ary"),
    ] {
        assert_eq!(shown(&secret(value), spec, query).as_deref(), Ok(expected), "{query:?}");
    }
}

#[test]
fn a_secret_that_does_not_give_what_is_asked_is_refused() {
    let plain = spec("secret", "", "");
    let trimmed = spec("secret", "", "output: {transform: [trim]}");
    assert_eq!(shown(&secret("kwcanary"), &plain, Some("username")), Err(RenderError::NoColon));
    assert_eq!(shown(&secret("kwcanary:"), &plain, Some("password")), Err(RenderError::Empty));
    assert_eq!(shown(&secret(" \n"), &trimmed, None), Err(RenderError::Empty));
    let error = shown(&secret("kwcanary"), &plain, Some("user")).unwrap_err().to_string();
    assert_eq!(error, "a secret has no such part; ask for the whole, `?username` or `?password`");
}

#[test]
fn a_certificate_is_given_in_its_parts() {
    let leaf = der(fixture!("rsa.crt"));
    let object = parse(&RawBody::Certificate { leaf, twin: pfx_twin(fixture!("modern.pfx")) }).unwrap();
    let spec = spec("certificate", "", "output: {transform: [base64decode]}");
    let chain = ["rsa.crt", "intermediate.crt", "root.crt"];
    let chain = chain.map(|name| match name {
        "rsa.crt" => text(fixture!("rsa.crt")),
        "root.crt" => text(fixture!("root.crt")),
        _ => text(fixture!("intermediate.crt")),
    });
    assert_eq!(shown(&object, &spec, None), Ok(chain.concat()));
    assert_eq!(shown(&object, &spec, Some("tls.crt")), Ok(chain.concat()));
    assert_eq!(shown(&object, &spec, Some("ca.crt")).as_deref(), Ok(text(fixture!("root.crt"))));
    assert!(shown(&object, &spec, Some("tls.key")).as_deref() == Ok(text(fixture!("rsa.key"))), "another key");
    assert!(matches!(shown(&object, &spec, Some("raw")), Err(RenderError::NoSuchPart { object: "certificate", .. })));
}

#[test]
fn a_certificate_lacks_what_the_vault_does_not_hold() {
    let object = Object::Certificate(Box::new(Certificate { chain: "chain".to_owned(), root: None, key: None }));
    let spec = spec("certificate", "", "");
    assert_eq!(shown(&object, &spec, Some("ca.crt")), Err(RenderError::NoRoot));
    assert_eq!(shown(&object, &spec, Some("tls.key")), Err(RenderError::NoPrivateKey));
}

#[test]
fn a_key_is_given_as_pem_or_jwk() {
    let object = Object::Key(Box::new(PublicKey { pem: "pem".to_owned(), jwk: "jwk".to_owned() }));
    let spec = spec("key", "", "");
    assert_eq!(shown(&object, &spec, None).as_deref(), Ok("pem"));
    assert_eq!(shown(&object, &spec, Some("jwk")).as_deref(), Ok("jwk"));
    assert!(matches!(shown(&object, &spec, Some("n")), Err(RenderError::NoSuchPart { object: "key", .. })));
}

#[test]
fn a_map_is_given_by_key_after_transforms_of_the_whole() {
    let json =
        spec("multi-key-value-secret", ", contentType: application/x-json", "output: {transform: [base64decode]}");
    let yaml = spec("multi-key-value-secret", ", contentType: application/x-yaml", "");
    let object = secret("eyJhLWIiOiAia3djYW5hcnkifQ==");
    assert_eq!(shown(&object, &json, Some("a-b")).as_deref(), Ok("kwcanary"));
    assert_eq!(shown(&secret("user: kwcanary\npin: 0042\n"), &yaml, Some("pin")).as_deref(), Ok("0042"));
}

#[test]
fn a_map_without_the_key_is_refused_naming_those_it_has() {
    let yaml = spec("multi-key-value-secret", ", contentType: application/x-yaml", "");
    let object = secret("user: kwcanary\npass: kwcanary\nempty: ''\n");
    for (query, expected) in [
        (
            None,
            "a multi-key-value-secret is read one key at a time; append `?KEY` to the reference; it has: empty, pass, user",
        ),
        (Some("usr"), "the multi-key-value-secret has no such key; it has: empty, pass, user"),
        (Some("empty"), "the value is empty; store one in the vault"),
    ] {
        assert_eq!(shown(&object, &yaml, query).unwrap_err().to_string(), expected);
    }
    assert_eq!(shown(&secret("kwcanary"), &yaml, Some("a")), Err(RenderError::Map(MapError::NotMap("YAML"))));
    let without = spec("multi-key-value-secret", "", "");
    assert_eq!(shown(&object, &without, Some("user")), Err(RenderError::NoContentType));
}

#[test]
fn an_object_of_another_type_is_refused() {
    let error = shown(&secret("kwcanary"), &spec("certificate", "", ""), None).unwrap_err();
    assert_eq!(error, RenderError::OtherType { expected: "certificate", found: "secret" });
}

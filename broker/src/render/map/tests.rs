use ContentType::{Json, Yaml};

use super::*;

fn map(text: &str, format: ContentType) -> Result<Vec<(String, String)>, RenderError> {
    let map = parse(&text.into(), format)?;
    Ok(map.into_iter().map(|(key, value)| (key, value.expose_str().unwrap().to_owned())).collect())
}

fn refused(text: &str, format: ContentType) -> MapError {
    match map(text, format) {
        Err(RenderError::Map(error)) => error,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn flat_maps_are_read_and_scalars_keep_their_text() {
    for (format, text) in [
        (
            Json,
            r#"{"user":"kw","pass":"can\u0061ry \"\n","n":1.10,"big":12345678901234567890.00,"e":1E5,"t":true,"empty":""}"#,
        ),
        (
            Yaml,
            "user: kw\npass: \"canary \\\"\\n\"\nn: 1.10\nbig: 12345678901234567890.00\ne: 1E5\nt: true\nempty: ''\n",
        ),
    ] {
        let expected = [
            ("big", "12345678901234567890.00"),
            ("e", "1E5"),
            ("empty", ""),
            ("n", "1.10"),
            ("pass", "canary \"\n"),
            ("t", "true"),
            ("user", "kw"),
        ];
        let expected: Vec<_> = expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        assert_eq!(map(text, format).unwrap(), expected, "{format:?}");
    }
}

#[test]
fn yaml_gives_text_and_not_what_it_could_stand_for() {
    for (text, expected) in [
        ("k: 010", "010"),
        ("k: 0x1F", "0x1F"),
        ("k: yes", "yes"),
        ("k: 2026-11-23", "2026-11-23"),
        ("k: 'null'", "null"),
        ("k: \"~\"", "~"),
        ("k: |\n  a\n  b\n", "a\nb\n"),
        ("k: >-\n  a\n  b\n", "a b"),
        ("{k: v}", "v"),
        ("1: v", "v"),
        ("---\nk: v\n", "v"),
        ("k: v # comment", "v"),
        ("k: pass#word", "pass#word"),
    ] {
        assert_eq!(map(text, Yaml).unwrap()[0].1, expected, "{text}");
    }
}

#[test]
fn an_alias_is_replaced() {
    assert_eq!(map("a: &x kwcanary\nb: *x\n", Yaml).unwrap()[1], ("b".to_owned(), "kwcanary".to_owned()));
}

#[test]
fn what_is_not_a_map_is_refused() {
    for text in [r#""kwcanary""#, r#"["kwcanary"]"#, "1", "null", "true"] {
        assert_eq!(refused(text, Json), MapError::NotMap("JSON"), "{text}");
    }
    for text in ["kwcanary", "- kwcanary", "1", "null", "'a: b'"] {
        assert_eq!(refused(text, Yaml), MapError::NotMap("YAML"), "{text}");
    }
}

#[test]
fn nested_null_and_repeated_entries_are_refused_by_their_position() {
    for (format, text, expected) in [
        (Json, r#"{"a":"1","b":{"c":"kwcanary"}}"#, MapError::Nested(2)),
        (Json, r#"{"a":["kwcanary"]}"#, MapError::Nested(1)),
        (Json, r#"{"a":"1","b":"2","c":null}"#, MapError::Null(3)),
        (Json, r#"{"a":"1","\u0061":"kwcanary"}"#, MapError::Duplicate(2)),
        (Json, "{}", MapError::NoEntry),
        (Yaml, "a: 1\nb:\n  c: kwcanary\n", MapError::Nested(2)),
        (Yaml, "a: [kwcanary]\n", MapError::Nested(1)),
        (Yaml, "a: 1\nb: 2\nc:\n", MapError::Null(3)),
        (Yaml, "a: ~\n", MapError::Null(1)),
        (Yaml, "a: 1\na: kwcanary\n", MapError::Duplicate(2)),
        (Yaml, "{}", MapError::NoEntry),
        (Yaml, "# nothing\n", MapError::NoEntry),
    ] {
        assert_eq!(refused(text, format), expected, "{text}");
    }
}

#[test]
fn broken_syntax_is_refused_by_its_place() {
    for (format, text, line, column) in [
        (Json, "{\n\"a\":\"kwcanary", 2, 13),
        (Json, "{\"a\":\"1\"} kwcanary", 1, 11),
        (Json, "{kwcanary:1}", 1, 2),
        (Yaml, "a: 1\nb: ]kwcanary\n", 2, 4),
    ] {
        match refused(text, format) {
            MapError::Syntax { line: found_line, column: found_column, .. } => {
                assert_eq!((found_line, found_column), (line, column), "{text}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    for text in [
        "a: 1\n---\nb: 2\n",
        "a: *kwcanary\n",
        "<<: {a: 1}\n",
        "a: 'kwcanary",
        "? [kwcanary]\n: x\n",
        "a: !!binary x\n",
    ] {
        assert!(matches!(refused(text, Yaml), MapError::Syntax { format: "YAML", .. }), "{text}");
    }
}

#[test]
fn depth_and_aliases_are_bounded() {
    let deep = "[".repeat(100_000);
    assert!(map(&format!(r#"{{"a":{deep}"#), Json).is_err());
    assert!(map(&format!("a: {deep}"), Yaml).is_err());
    let mut laughs = format!("a: &x {}\n", "y".repeat(10_000));
    for index in 0..500 {
        use std::fmt::Write as _;
        writeln!(laughs, "k{index}: *x").unwrap();
    }
    assert!(map(&laughs, Yaml).is_err());
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    assert!(matches!(parse(&SecretBytes::new([b'{', 0xff, b'}']), Json), Err(RenderError::NotText(_))));
}

#[test]
fn an_error_names_ten_keys_at_most_and_only_what_a_reference_could_name() {
    let value = SecretBytes::from("x");
    let map: DataByKey = (0..30).map(|index| (format!("key{index:02}"), value.clone())).collect();
    let names = KeyNames::of(&map).to_string();
    assert!(names.starts_with("; it has: key00, key01") && names.ends_with("key09"), "{names}");
    let odd = DataByKey::from([("kw canary".to_owned(), value.clone()), ("k".repeat(65), value)]);
    assert_eq!(KeyNames::of(&odd).to_string(), "");
}

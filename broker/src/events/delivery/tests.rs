//! Bodies of both schemas, as Microsoft documents them, and others.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const TOPIC: &str = "/subscriptions/1/resourceGroups/g/providers/Microsoft.KeyVault/vaults/acme";

fn data() -> Value {
    json!({"Id": "https://acme.vault.azure.net/secrets/db/1", "VaultName": "acme", "ObjectType": "Secret",
        "ObjectName": "db", "Version": "1", "NBF": null, "EXP": null})
}

fn of_event_grid(kind: &str) -> Value {
    json!({"id": "e-1", "topic": TOPIC, "subject": "db", "eventType": kind, "eventTime": "2026-11-27T12:00:00Z",
        "data": data(), "dataVersion": "1", "metadataVersion": "1"})
}

fn of_cloud_events(kind: &str) -> Value {
    json!({"id": "e-1", "source": TOPIC, "subject": "db", "type": kind, "time": "2026-11-27T12:00:00Z",
        "specversion": "1.0", "data": data()})
}

const CREATED: &str = "Microsoft.KeyVault.SecretNewVersionCreated";

fn items(body: &Value) -> Vec<Item> {
    match parse(body.to_string().as_bytes()) {
        Ok(Delivery::Events(items)) => items,
        other => panic!("{other:?}"),
    }
}

fn notice(about: About) -> Item {
    let named = Named {
        origin: crate::vault::origin::Origin::parse("https://acme.vault.azure.net").ok(),
        name: keyward_types::VaultName::new("acme").ok(),
    };
    Item::Notice(Notice { id: (TOPIC.to_owned(), "e-1".to_owned()), named, about })
}

fn db() -> About {
    About::Object(ObjectName::new("db").unwrap())
}

#[test]
fn both_schemas_say_the_same_single_and_batched() {
    let (old, new) = (of_event_grid(CREATED), of_cloud_events(CREATED));
    for body in [json!([old]), old.clone(), new.clone(), json!([new]), json!([old, new])] {
        let items = items(&body);
        assert!(!items.is_empty() && items.iter().all(|item| *item == notice(db())), "{body}: {items:?}");
    }
    assert_eq!(items(&json!([])), []);
}

#[test]
fn only_versions_and_access_policies_are_of_interest() {
    for object in ["Secret", "Certificate", "Key"] {
        for happened in ["NewVersionCreated", "NearExpiry", "Expired"] {
            let kind = format!("Microsoft.KeyVault.{object}{happened}");
            assert_eq!(items(&of_cloud_events(&kind)), [notice(db())], "{kind}");
        }
    }
    let mut policies = of_event_grid("Microsoft.KeyVault.VaultAccessPolicyChanged");
    policies["data"]["ObjectName"] = Value::Null;
    assert_eq!(items(&policies), [notice(About::Vault)]);
    for kind in [
        "Microsoft.KeyVault.SecretDeleted",
        "Microsoft.KeyVault.KeyVaultNewVersionCreated",
        "Microsoft.KeyVault.",
        "microsoft.keyvault.SecretExpired",
        "Microsoft.Storage.BlobCreated",
        "",
    ] {
        assert_eq!(items(&of_event_grid(kind)), [Item::Other], "{kind}");
    }
}

#[test]
fn the_subject_and_the_topic_stand_in_for_what_data_does_not_say() {
    let mut event = of_event_grid(CREATED);
    event["data"] = Value::Null;
    let Item::Notice(found) = items(&event).remove(0) else { panic!("no notice") };
    assert_eq!((found.about, found.named.origin), (db(), None));
    assert_eq!(found.named.name.unwrap().as_str(), "acme");
}

#[test]
fn one_that_makes_no_sense_takes_no_other_with_it() {
    let broken = |change: fn(&mut Value)| {
        let mut event = of_cloud_events(CREATED);
        change(&mut event);
        event
    };
    let all = json!([
        3,
        null,
        [],
        {},
        ["e-2", CREATED, TOPIC, "db", "1.0", {"ObjectName": "db"}],
        broken(|event| event["id"] = json!("")),
        broken(|event| event["id"] = json!(7)),
        broken(|event| event["specversion"] = json!("0.3")),
        broken(|event| event["data"]["ObjectName"] = json!("../secrets")),
        broken(|event| event["data"]["ObjectName"] = json!("a".repeat(128))),
        broken(|event| (event["data"], event["source"]) = (json!({"ObjectName": "db"}), json!("a"))),
        of_cloud_events(CREATED),
    ]);
    let found = items(&all);
    assert_eq!(found.len(), 12);
    assert_eq!(found.iter().filter(|item| **item == Item::Malformed).count(), 11, "{found:?}");
    assert_eq!(found[11], notice(db()));
}

#[test]
fn a_handshake_s_code_is_read_and_nothing_of_its_url() {
    let event = |data: Value| json!([{"id": "v-1", "topic": TOPIC, "subject": "", "eventType": VALIDATION, "data": data, "dataVersion": "2"}]);
    let parsed = |data| parse(event(data).to_string().as_bytes());
    let code = "512d38b6-c7b8-40c8-89fe-f46f9e9622b6".to_owned();
    let asked = json!({"validationCode": code, "validationUrl": "https://rp-eastus.eventgrid.azure.net/validate?id=1"});
    assert_eq!(parsed(asked), Ok(Delivery::Validation { code }));
    for data in [
        json!({}),
        json!({"validationCode": ""}),
        json!({"validationCode": "a b"}),
        json!({"validationCode": "x".repeat(129)}),
    ] {
        assert_eq!(parsed(data.clone()), Err(BadDelivery::Code), "{data}");
    }
}

#[test]
fn a_body_that_is_no_delivery_is_refused_as_a_whole() {
    for body in ["", " ", "null", "3", "\"a\"", "[", "[{]", "{\"id\": ", "[] []", "\u{feff}[]"] {
        assert_eq!(parse(body.as_bytes()), Err(BadDelivery::NoEvents), "{body}");
    }
    assert_eq!(parse(b"[\"\xff\"]"), Err(BadDelivery::NoEvents), "no UTF-8");
    let many = |count: usize| format!("[{}]", vec!["0"; count].join(","));
    assert_eq!(parse(many(MAX_EVENTS + 1).as_bytes()), Err(BadDelivery::TooMany));
    assert!(matches!(parse(many(MAX_EVENTS).as_bytes()), Ok(Delivery::Events(items)) if items.len() == MAX_EVENTS));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(parse(deep.as_bytes()), Ok(Delivery::Events(vec![Item::Malformed])), "nothing follows it down");
}

/// Something like JSON, of the names that events have.
fn anything() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[a-zA-Z0-9 ./:_-]{0,12}",
        Just(CREATED.to_owned()),
        Just(TOPIC.to_owned()),
        Just(VALIDATION.to_owned())
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from)
    ];
    let name = prop::sample::select(vec![
        "id",
        "topic",
        "source",
        "subject",
        "eventType",
        "type",
        "specversion",
        "data",
        "VaultName",
        "ObjectName",
        "Id",
        "validationCode",
    ]);
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..8)
                .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_delivered_each_event_of_it_is_told_of_once(body in anything()) {
        match parse(body.to_string().as_bytes()) {
            Ok(Delivery::Events(items)) => {
                let expected = body.as_array().map_or(1, Vec::len);
                prop_assert_eq!(items.len(), expected);
                for item in items {
                    if let Item::Notice(Notice { id, named, .. }) = item {
                        prop_assert!(!id.1.is_empty() && named != Named::default());
                    }
                }
            }
            Ok(Delivery::Validation { code }) => prop_assert!(is_code(&code)),
            Err(BadDelivery::Code) => {}
            Err(_) => prop_assert!(!body.is_array() && !body.is_object()),
        }
    }

    #[test]
    fn no_bytes_are_too_strange(body in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = parse(&body);
    }
}

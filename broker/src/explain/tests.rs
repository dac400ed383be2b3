use std::{sync::Arc, time::SystemTime};

use super::*;
use crate::{
    policy::Current,
    testing::{self, ACME, Memory},
};

fn snapshot() -> Snapshot {
    let pinned = "a".repeat(32);
    testing::snapshot(&format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: shop, labels: {{team: shop}}}}\n{}{}{}{}{}{}",
        ACME.replace("[shop]}", "[shop]}, objects: [{names: [db]}]"),
        testing::secret("shop", "db", "acme", "db"),
        testing::secret("shop", "mail", "acme", "mail"),
        testing::secret("shop", "stray", "nowhere", "db"),
        testing::secret("bank", "db", "acme", "db"),
        testing::secret("shop", "pinned", "acme", "db")
            .replace("type: secret", &format!("type: secret, version: {pinned}")),
    ))
}

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap().unwrap()
}

fn caller(namespace: &str) -> Caller {
    Caller {
        namespace: namespace.into(),
        service_account: "checkout".into(),
        pod_name: "checkout-1".into(),
        pod_uid: "u-1".into(),
        node: None,
        expires: SystemTime::UNIX_EPOCH,
    }
}

#[test]
fn the_first_closed_gate_says_who_can_open_it_and_none_after_it_is_looked_at() {
    for (asker, name, closed, detail) in [
        (Asker::Token(Err(AuthnError::BadSignature)), "db", "token", "signature does not verify"),
        (Asker::Namespace(String::new()), "db", "namespace", "no namespace"),
        (Asker::Namespace("shop".into()), "no", "secret", "create it in that namespace"),
        (Asker::Namespace("bank".into()), "db", "policy", "an administrator can add it to spec.namespaces"),
        (Asker::Token(Ok(caller("bank").into())), "db", "policy", "an administrator can add it to spec.namespaces"),
        (Asker::Namespace("shop".into()), "stray", "policy", "an administrator can add one"),
        (Asker::Namespace("shop".into()), "mail", "object", "an administrator can add it to spec.objects"),
    ] {
        let (gates, grant) = by_manifests(&snapshot(), &asker, &reference(&format!("{name}@azurekeyvault")));
        assert!(grant.is_none());
        let names: Vec<_> = gates.iter().map(|gate| gate.name).collect();
        assert_eq!(names, BY_MANIFESTS);
        let at = gates.iter().position(|gate| gate.state == State::Closed).unwrap();
        assert_eq!(gates[at].name, closed, "{gates:?}");
        assert!(gates[at].detail.contains(detail), "{gates:?}");
        assert!(gates[..at].iter().all(|gate| gate.state == State::Open || gate.name == "token"), "{gates:?}");
        assert!(gates[at + 1..].iter().all(|gate| gate.state == State::Skipped), "{gates:?}");
    }
}

#[test]
fn what_is_explained_as_open_is_what_is_granted() {
    let snapshot = snapshot();
    for namespace in ["shop", "bank", "other"] {
        for name in ["db", "mail", "stray", "pinned", "no"] {
            let reference = reference(&format!("{name}@azurekeyvault"));
            let (gates, grant) = by_manifests(&snapshot, &Asker::Namespace(namespace.into()), &reference);
            let decided = authz::decide(&snapshot, namespace, &reference);
            let open = gates.iter().all(|gate| gate.state != State::Closed);
            assert_eq!((open, grant.is_some()), (decided.is_ok(), decided.is_ok()), "{namespace}/{name}");
        }
    }
}

#[test]
fn open_gates_say_what_was_found() {
    let (gates, _) =
        by_manifests(&snapshot(), &Asker::Token(Ok(caller("shop").into())), &reference("pinned@azurekeyvault"));
    let shown: Vec<_> = gates.iter().map(|gate| gate.detail.as_str()).collect();
    assert_eq!(shown[0], "pod shop/checkout-1, service account checkout");
    assert_eq!(shown[1], "shop: team=shop");
    assert_eq!(shown[2], "AzureKeyVaultSecret shop/pinned names secret `db` of vault `acme`");
    assert!(shown[3].contains("https://acme.vault.azure.net") && shown[3].contains("namespaces.names `shop`"));
    assert!(shown[4].contains("objects `db`"));
    assert!(shown[5].starts_with("always aaaa"));
}

#[tokio::test]
async fn the_cache_is_looked_at_without_a_read_and_never_for_a_value() {
    let snapshot = Arc::new(Current::new(snapshot()));
    let vault = Memory::new(1);
    let resolver = testing::resolver(&snapshot, &vault);
    let whole = reference("db@azurekeyvault");
    let (_, grant) = by_manifests(&snapshot.load(), &Asker::Namespace("shop".into()), &whole);
    let grant = grant.unwrap();
    let gate = by_cache(&grant, &whole, resolver.peek(&grant).await.as_ref());
    assert_eq!((gate.state, gate.detail.starts_with("not held")), (State::Open, true), "{gate:?}");

    let served = resolver.read(&grant).await.unwrap();
    let gate = by_cache(&grant, &whole, Some(&served));
    assert_eq!((gate.state, gate.detail.starts_with("held: version aaaa")), (State::Open, true), "{gate:?}");
    let stale = Served { stale: Some(std::time::Duration::from_secs(90)), ..served.clone() };
    assert!(by_cache(&grant, &whole, Some(&stale)).detail.contains("not confirmed by the vault for 1m 30s"));

    let gate = by_cache(&grant, &reference("db@azurekeyvault?username"), Some(&served));
    assert_eq!(gate.state, State::Closed, "{gate:?}");
    assert!(!gate.detail.contains("kwcanary"), "{gate:?}");
}

#[test]
fn a_bound_pod_s_gate_names_who_carries_the_reference() {
    let db = Reference::new("db", None).unwrap();
    let gate = |carriers| {
        let Gate { name, state, detail } = by_pod(carriers, &db);
        assert_eq!(name, "pod");
        (state, detail)
    };
    assert_eq!(gate(None).0, State::Skipped);
    let (state, detail) = gate(Some(Ok(Vec::new())));
    assert_eq!(state, State::Closed);
    assert!(detail.starts_with("no container carries db@azurekeyvault"), "{detail}");
    let (state, detail) = gate(Some(Ok(vec!["app".into(), "sidecar".into()])));
    assert_eq!(state, State::Open);
    assert!(detail.starts_with("carried by app, sidecar"), "{detail}");
}

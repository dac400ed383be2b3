//! What a reply or a refusal must say during an outage.

use keyward_tests::resilience::shop::{Asker, Shop, reference};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Such a refusal tells when to ask again, in both ways.
pub(crate) fn asks_again(refused: &Status) {
    assert_eq!(refused.code(), Code::Unavailable, "{}", refused.message());
    let wait = refused.get_details_retry_info().and_then(|info| info.retry_delay);
    assert!(wait.is_some_and(|wait| !wait.is_zero()), "{}", refused.message());
    assert!(refused.metadata().contains_key(keyward_proto::RETRY_AFTER_METADATA), "{}", refused.message());
}

/// The first object of the vault comes from memory, and the reply and its audit line say that it is stale.
pub(crate) async fn is_served_and_marked_stale(shop: &Shop, asker: &Asker, vault: &str) {
    let name = reference(vault, 0);
    let reply = asker.ask(std::slice::from_ref(&name)).await.unwrap();
    let stale = reply.metadata().get(keyward_proto::STALE_METADATA).unwrap().to_str().unwrap();
    assert!(stale.parse::<u64>().unwrap() > 0, "{vault}: {stale}");
    assert!(reply.get_ref()[0].starts_with(b"kwcanary-00000"), "{vault}");
    let marked = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let object = &line["objects"][0];
        let is_it = object["reference"] == format!("{name}@azurekeyvault") && object["stale"] == true;
        is_it.then(|| line["code"].to_string())
    };
    assert_eq!(shop.stand.broker.line("an audit line with `stale`", marked).await.unwrap(), "\"OK\"", "{vault}");
}

//! How much one caller may ask, and that whoever keeps within it is not disturbed.

use futures::future::join_all;
use keyward_proto::v1::{ResolveRequest, secrets_client::SecretsClient};
use keyward_tests::{
    stand::Stand,
    vault::{Fault, Rule},
};
use tonic::{Code, Request};

use super::support::{audited, channel, plan, resolve, secret, shop, token};

fn objects() -> String {
    [secret("db", "db", "", ""), secret("big", "big", "", ""), secret("gone", "gone", "", "")].concat()
}

#[tokio::test]
async fn a_pod_that_asks_too_often_waits_and_its_neighbour_does_not() {
    let mut plan = plan(&objects());
    plan.broker_environment.insert("KEYWARD_REQUESTS_PER_POD".into(), "1".into());
    let stand = Stand::start(plan).await.unwrap();
    let mut client = SecretsClient::new(channel(&stand, None).await);
    let (loud, quiet) = (token(&stand, "loud"), token(&stand, "quiet"));
    let refused = loop {
        if let Err(refused) = client.resolve(resolve(&loud, &["db"])).await {
            break refused;
        }
    };
    assert_eq!(refused.code(), Code::ResourceExhausted, "{}", refused.message());
    let wait: u64 =
        refused.metadata().get(keyward_proto::RETRY_AFTER_METADATA).unwrap().to_str().unwrap().parse().unwrap();
    assert!((1..=1_000).contains(&wait), "{wait}");
    client.resolve(resolve(&quiet, &["db"])).await.unwrap();
    let is_it = |line: &str| line.contains("RESOURCE_EXHAUSTED").then(|| line.to_owned());
    let line = stand.broker.line("the refusal's audit line", is_it).await.unwrap();
    assert!(line.contains(r#""pod":"loud""#), "{line}");
}

#[tokio::test]
async fn a_reference_asked_a_thousand_times_fails_once() {
    let stand = shop(&objects()).await;
    let mut client = SecretsClient::new(channel(&stand, None).await);
    let token = token(&stand, "checkout-1");
    let refused = client.resolve(resolve(&token, &vec!["gone"; 1_000])).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    let reads = stand.emulator.calls().matching(|call| call.operation == "SecretGet" && call.status == 404);
    assert_eq!(reads, 1);
    let line = audited(&stand, 1, "resolve").await;
    assert_eq!(line["objects"].as_array().unwrap().len(), 1);

    let mixed = ["db", "big", "db"];
    let values = client.resolve(resolve(&token, &mixed)).await.unwrap().into_inner().values;
    assert!(values.len() == 3 && values[0] == b"kwcanary-db-1" && values[2] == values[0] && values[1].len() > 20_000);
}

#[tokio::test]
async fn a_reply_that_is_too_large_is_refused_with_its_size_and_audited_so() {
    let stand = shop(&objects()).await;
    let mut client = SecretsClient::new(channel(&stand, None).await);
    let token = token(&stand, "checkout-1");
    let refused = client.resolve(resolve(&token, &vec!["big"; 1_000])).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{}", refused.message());
    assert!(refused.message().contains("a reply has at most 4194304"), "{}", refused.message());
    let line = audited(&stand, 1, "resolve").await;
    assert_eq!(line["code"], "FAILED_PRECONDITION", "{line}");
    assert_eq!(line["error"], refused.message());
    client.resolve(resolve(&token, &vec!["big"; 100])).await.unwrap();
}

#[tokio::test]
async fn a_header_larger_than_any_token_is_refused_and_the_next_request_served() {
    let stand = shop(&objects()).await;
    let mut client = SecretsClient::new(channel(&stand, None).await);
    let mut request = Request::new(ResolveRequest::default());
    request.metadata_mut().insert("authorization", format!("Bearer {}", "a".repeat(40_000)).parse().unwrap());
    assert!(client.resolve(request).await.is_err());
    client.resolve(resolve(&token(&stand, "checkout-1"), &["db"])).await.unwrap();
    assert!(!stand.broker.printed().contains("aaaaaaaaaaaaaaaaaaaaaaaa"), "it did not get as far as a service");
}

#[tokio::test]
async fn more_requests_than_streams_wait_on_one_connection_and_all_succeed() {
    let mut plan = plan(&objects());
    plan.broker_environment.insert("KEYWARD_REQUESTS_PER_POD".into(), "1000".into());
    let stand = Stand::start(plan).await.unwrap();
    let client = SecretsClient::new(channel(&stand, None).await);
    let gate = stand.emulator.faults().gate("held");
    stand.emulator.faults().arm(Rule::next(1, Fault::Hold { gate: "held".into() }).vault("acme")).unwrap();
    let token = token(&stand, "checkout-1");
    let all = join_all((0..600).map(|_| {
        let mut client = client.clone();
        let request = resolve(&token, &["db"]);
        async move { client.resolve(request).await }
    }));
    let released = async {
        gate.arrived(1).await;
        gate.release();
    };
    let (answers, ()) = tokio::join!(all, released);
    assert_eq!(answers.into_iter().flatten().count(), 600);
}

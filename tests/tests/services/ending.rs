//! Nobody's stream holds up the broker's end.

use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};

use super::support::{channel, shop};

#[tokio::test]
async fn streams_that_anyone_may_open_end_when_the_broker_stops() {
    let stand = shop("").await;
    let channel = channel(&stand, None).await;
    let health = HealthClient::new(channel.clone()).watch(HealthCheckRequest::default()).await.unwrap();
    let mut health = health.into_inner();
    assert_eq!(health.message().await.unwrap().unwrap().status, 1);

    // A client that asks once and keeps its side open.
    let (asking, asked) = tokio::sync::mpsc::channel(1);
    let message_request = Some(MessageRequest::ListServices(String::new()));
    asking.send(ServerReflectionRequest { host: String::new(), message_request }).await.unwrap();
    let questions = tokio_stream::wrappers::ReceiverStream::new(asked);
    let mut answers =
        ServerReflectionClient::new(channel).server_reflection_info(questions).await.unwrap().into_inner();
    answers.message().await.unwrap().unwrap();

    let ended = stand.broker.stop().await.unwrap();
    assert!(ended.status.success(), "{}", ended.stderr.lines().last().unwrap_or_default());
    assert!(!ended.stderr.contains("aborted"));
    // Its own side being open, the server resets the stream behind the status, and this client may hear of the reset alone.
    match answers.message().await {
        Err(status) => assert_eq!(status.code(), Code::Unavailable),
        Ok(answer) => assert!(answer.is_none(), "the stream goes on"),
    }
    let last = loop {
        match health.message().await {
            Ok(Some(_)) => {}
            ended => break ended,
        }
    };
    assert_eq!(last.unwrap_err().code(), Code::Unavailable);
    drop(asking);
}

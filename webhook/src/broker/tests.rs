//! Against a small broker with mTLS.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Mutex};

use keyward_proto::v1::{
    CheckResponse,
    references_server::{References, ReferencesServer},
};
use keyward_tests::ca::{Issued, TestCa};
use prometheus_client::registry::Registry;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinSet};
use tonic::{
    Response,
    transport::{Certificate, Identity, Server, ServerTlsConfig, server::TcpIncoming},
};

use super::*;

const LONG: Duration = Duration::from_secs(30);

/// Answers by the references' names.
#[derive(Default)]
struct Script {
    asked: Arc<Mutex<Vec<CheckRequest>>>,
}

#[tonic::async_trait]
impl References for Script {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        assert!(request.peer_certs().is_some_and(|certs| !certs.is_empty()), "no client certificate");
        let request = request.into_inner();
        self.asked.lock().unwrap().push(request.clone());
        let by_name = BTreeMap::from([
            ("known", v1::Verdict::Known),
            ("unknown", v1::Verdict::Unknown),
            ("forbidden", v1::Verdict::Forbidden),
            ("invalid", v1::Verdict::Invalid),
        ]);
        let mut references = Vec::new();
        for reference in &request.references {
            let name = reference.split('@').next().unwrap_or_default();
            match name {
                "never" => std::future::pending().await,
                "refused" => return Err(Status::unavailable("not\nsynced")),
                "lost" => {}
                _ => {
                    let verdict = by_name.get(name).copied().unwrap_or_default().into();
                    references.push(CheckedReference { verdict, reason: format!("about {name}") });
                }
            }
        }
        Ok(Response::new(CheckResponse { references }))
    }
}

/// A broker at work, and a webhook's way to it.
struct Stand {
    broker: Broker,
    registry: Registry,
    asked: Arc<Mutex<Vec<CheckRequest>>>,
    _dir: TempDir,
    _serving: JoinSet<()>,
}

fn identity(issued: &Issued) -> Identity {
    Identity::from_pem(&issued.cert_pem, &issued.key_pem)
}

async fn serve(ca: &TestCa, script: Script) -> (SocketAddr, JoinSet<()>) {
    let tls = ServerTlsConfig::new()
        .identity(identity(&ca.issue_server(&["localhost"]).unwrap()))
        .client_ca_root(Certificate::from_pem(ca.cert_pem()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = Server::builder().tls_config(tls).unwrap().add_service(ReferencesServer::new(script));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { serving.serve_with_incoming(TcpIncoming::from(listener)).await.unwrap() });
    (address, tasks)
}

fn connection(port: u16, directory: &Path) -> Connection {
    Connection::new(&format!("https://localhost:{port}"), directory.to_owned()).unwrap()
}

async fn stand(deadline: Duration) -> Stand {
    let ca = TestCa::new("test").unwrap();
    let script = Script::default();
    let asked = Arc::clone(&script.asked);
    let (address, serving) = serve(&ca, script).await;
    let dir = tempfile::tempdir().unwrap();
    ca.issue_role("webhook", "cluster.local").unwrap().write_dir(dir.path()).unwrap();
    let mut registry = Registry::default();
    let metrics = Metrics::new(&mut registry);
    let broker = Broker::new(connection(address.port(), dir.path()), deadline, metrics);
    Stand { broker, registry, asked, _dir: dir, _serving: serving }
}

fn references(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("{name}@azurekeyvault")).collect()
}

fn scraped(registry: &Registry) -> String {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    text
}

#[tokio::test]
async fn each_reference_has_its_verdict_and_reason_in_the_order_asked() {
    let stand = stand(LONG).await;
    let names = ["known", "forbidden", "unknown", "invalid", "known"];
    let checked = stand.broker.check("shop", &references(&names)).await.unwrap();
    let verdicts = checked.iter().map(|checked| checked.verdict.as_str());
    assert!(verdicts.eq(names), "{checked:?}");
    assert_eq!(checked[2].reason, "about unknown");
    let asked = stand.asked.lock().unwrap().clone();
    assert_eq!(asked, [CheckRequest { namespace: "shop".into(), references: references(&names) }]);
    let text = scraped(&stand.registry);
    for line in [
        "admission_references_total{verdict=\"known\"} 2",
        "admission_references_total{verdict=\"invalid\"} 1",
        "admission_reference_checks_total{outcome=\"ok\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn nothing_is_asked_about_nothing_or_about_too_much() {
    let stand = stand(LONG).await;
    assert_eq!(stand.broker.check("shop", &[]).await, Ok(Vec::new()));
    let many = references(&["known"; MAX_REFERENCES + 1]);
    assert_eq!(stand.broker.check("shop", &many).await, Err(CheckError::TooMany(MAX_REFERENCES + 1)));
    assert!(stand.asked.lock().unwrap().is_empty());
    assert_eq!(stand.broker.check("shop", &many[1..]).await.unwrap().len(), MAX_REFERENCES);
}

#[tokio::test]
async fn an_answer_of_another_length_or_without_a_verdict_is_none() {
    let stand = stand(LONG).await;
    for odd in [["known", "lost"], ["known", "strange"]] {
        assert_eq!(stand.broker.check("shop", &references(&odd)).await, Err(CheckError::Malformed));
    }
    assert!(scraped(&stand.registry).contains("admission_reference_checks_total{outcome=\"failed\"} 2"));
}

#[tokio::test]
async fn a_refusal_is_told_in_one_line() {
    let stand = stand(LONG).await;
    let error = stand.broker.check("shop", &references(&["refused"])).await.unwrap_err();
    assert_eq!(error.to_string(), r"the broker does not check references (Unavailable): not\nsynced");
}

#[tokio::test]
async fn a_broker_that_keeps_silent_is_given_up_at_the_deadline() {
    let deadline = Duration::from_millis(200);
    let stand = stand(deadline).await;
    let silent = stand.broker.check("shop", &references(&["never"])).await.unwrap_err();
    let told = matches!(
        silent,
        CheckError::Late(_) | CheckError::Refused { code: Code::Cancelled | Code::DeadlineExceeded, .. }
    );
    assert!(told, "{silent}");
}

#[tokio::test]
async fn a_broker_that_is_away_and_certificates_that_are_not_there_are_told_at_once() {
    let ca = TestCa::new("test").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let metrics = Metrics::new(&mut Registry::default());
    // Bound and closed again: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let without = Broker::new(connection(port, dir.path()), LONG, Arc::clone(&metrics));
    let error = without.check("shop", &references(&["known"])).await.unwrap_err();
    assert!(matches!(error, CheckError::Refused { code: Code::Unavailable, .. }), "{error}");
    ca.issue_role("webhook", "cluster.local").unwrap().write_dir(dir.path()).unwrap();
    let away = Broker::new(connection(port, dir.path()), LONG, metrics);
    let error = away.check("shop", &references(&["known"])).await.unwrap_err();
    assert!(matches!(error, CheckError::Refused { code: Code::Unavailable, .. }), "{error}");
}

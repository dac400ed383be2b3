//! The election with an API server of one lease, which can be made to hang, in paused time.

use std::{
    convert::Infallible,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

const LEASE: Duration = Duration::from_secs(15);

/// Holds one lease and checks revisions, as the API server does.
#[derive(Default)]
struct Server {
    lease: Mutex<Option<Value>>,
    revision: AtomicU32,
    hangs: AtomicBool,
    requests: AtomicU32,
}

impl Server {
    fn client(self: &Arc<Self>) -> Client {
        let server = Arc::clone(self);
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = Arc::clone(&server);
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        Client::new(service, "keyward")
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let is_get = request.method() == http::Method::GET;
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let mut held = self.lease.lock().unwrap();
        let refused = |code: u16| {
            let reason = if code == 404 { "NotFound" } else { "Conflict" };
            let status = json!({"kind": "Status", "status": "Failure", "message": "", "reason": reason, "code": code});
            Response::builder()
                .status(StatusCode::from_u16(code).unwrap())
                .body(Body::from(status.to_string().into_bytes()))
                .unwrap()
        };
        if !is_get {
            let mut new: Value = serde_json::from_slice(&body).unwrap();
            let expected = held.as_ref().map_or(&Value::Null, |lease| &lease["metadata"]["resourceVersion"]);
            if new["metadata"]["resourceVersion"] != *expected {
                return refused(409);
            }
            let revision = self.revision.fetch_add(1, Ordering::Relaxed) + 1;
            new["metadata"]["resourceVersion"] = json!(revision.to_string());
            *held = Some(new);
        }
        match &*held {
            None => refused(404),
            Some(lease) => Response::new(Body::from(lease.to_string().into_bytes())),
        }
    }

    fn holder(&self) -> Option<String> {
        self.lease.lock().unwrap().as_ref()?["spec"]["holderIdentity"].as_str().map(str::to_owned)
    }
}

struct Replica {
    leads: watch::Receiver<bool>,
    shutdown: CancellationToken,
    stopped: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

fn replica(server: &Arc<Server>, identity: &str) -> Replica {
    let config = LeaseConfig {
        namespace: "keyward".into(),
        name: "keyward-controller".into(),
        identity: identity.into(),
        duration: LEASE,
    };
    let (election, leads) = Election::new(server.client(), config);
    let (shutdown, stopped) = (CancellationToken::new(), CancellationToken::new());
    let running = tokio::spawn(election.run(shutdown.clone(), stopped.clone()));
    Replica { leads, shutdown, stopped, running }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_stops_before_anybody_else_may_begin() {
    let server = Arc::new(Server::default());
    let mut first = replica(&server, "a");
    first.leads.wait_for(|leads| *leads).await.unwrap();
    let renewed = Instant::now();
    server.hangs.store(true, Ordering::Relaxed);
    first.leads.wait_for(|leads| !leads).await.unwrap();
    assert!(renewed.elapsed() <= LEASE.mul_f64(2.0 / 3.0), "{:?}", renewed.elapsed());

    // It goes on trying, and not in a loop without rest.
    let before = server.requests.load(Ordering::Relaxed);
    tokio::time::sleep(LEASE * 4).await;
    let tried = server.requests.load(Ordering::Relaxed) - before;
    assert!((5..100).contains(&tried), "{tried} requests");
    server.hangs.store(false, Ordering::Relaxed);
    first.leads.wait_for(|leads| *leads).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn another_takes_over_once_the_lease_has_been_unchanged_for_its_time() {
    let server = Arc::new(Server::default());
    let mut first = replica(&server, "a");
    first.leads.wait_for(|leads| *leads).await.unwrap();
    let mut second = replica(&server, "b");
    tokio::time::sleep(LEASE * 4).await;
    assert!(*first.leads.borrow() && !*second.leads.borrow(), "two lead, or the wrong one");
    // As a crash: nothing is given back.
    first.running.abort();
    let since = Instant::now();
    second.leads.wait_for(|leads| *leads).await.unwrap();
    let took = since.elapsed();
    assert!(took > LEASE.mul_f64(0.8) && took < LEASE.mul_f64(1.4), "{took:?}");
    assert_eq!(server.holder().as_deref(), Some("b"));
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_given_back_once_the_work_has_ended() {
    let server = Arc::new(Server::default());
    let mut first = replica(&server, "a");
    first.leads.wait_for(|leads| *leads).await.unwrap();
    first.shutdown.cancel();
    first.leads.wait_for(|leads| !leads).await.unwrap();
    assert_eq!(server.holder().as_deref(), Some("a"), "its work may still be under way");
    first.stopped.cancel();
    first.running.await.unwrap();
    assert_eq!(server.holder(), None);
}

//! Binding against an API server that plays a part.

use keyward_tests::api::{ApiServer, Resource};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::*;
use crate::{
    binding::{nonce::Nonce, redemptions::Own, refusal::Reason},
    cluster::{testing::cluster, turns::Bounds},
    rate::Rate,
};

const BOUNDS: Bounds = Bounds { rate: Rate { per_second: 1_000, burst: 1_000 }, at_a_time: 8 };

struct World {
    api: ApiServer,
    binding: Binding,
}

impl World {
    async fn start() -> Self {
        Self::bounded(BOUNDS).await
    }

    async fn bounded(bounds: Bounds) -> Self {
        let api = ApiServer::start().await.unwrap();
        let pods = Arc::new(Pods::new(cluster(&api).client, bounds));
        Self { api, binding: Binding::new(pods, Arc::new(Own::new())) }
    }

    /// With the pod `web-1`, whose container `app` was told its name and carries `db`.
    async fn with_pod() -> Self {
        let world = Self::start().await;
        world.put(&json!([{"name": "KEYWARD_CONTAINER", "value": "app"}, {"name": "DB", "value": "db@azurekeyvault"}]));
        world
    }

    fn put(&self, env: &Value) {
        let metadata = json!({"namespace": "shop", "name": "web-1", "uid": "u-1"});
        let spec = json!({"containers": [{"name": "app", "env": env}, {"name": "other"}]});
        self.api.put(Resource::PODS, json!({"metadata": metadata, "spec": spec}));
    }

    /// Shows `app` running, started so often and then.
    fn show(&self, restarts: u32, began: &str) {
        let state = json!({"running": {"startedAt": began}});
        self.status(json!({"containerStatuses": [{"name": "app", "restartCount": restarts, "state": state}]}));
    }

    fn status(&self, status: Value) {
        assert!(self.api.edit(Resource::PODS, "shop", "web-1", |pod| pod["status"] = status));
    }

    async fn asks(&self, claim: Claim, name: &str) -> Result<Redeemed, Refusal> {
        let asked = [Reference::new(name, None).unwrap()];
        let bound = self.binding.check(&caller("u-1"), claim, &asked).await?;
        self.binding.redeem(&caller("u-1"), bound).await
    }

    /// The same as container `app`.
    async fn process(&self, nonce: u8) -> Result<Grant, Reason> {
        match self.asks(claim("app", nonce), "db").await {
            Ok(Redeemed::Process(grant)) => Ok(grant),
            Ok(Redeemed::Unnamed) => panic!("it has a name"),
            Err(refusal) => Err(refusal.reason()),
        }
    }

    fn reads(&self) -> usize {
        self.api.requests().len()
    }
}

fn caller(uid: &str) -> Caller {
    Caller {
        namespace: "shop".into(),
        service_account: "web".into(),
        pod_name: "web-1".into(),
        pod_uid: uid.into(),
        node: None,
        expires: SystemTime::UNIX_EPOCH,
    }
}

fn claim(container: &str, nonce: u8) -> Claim {
    Claim::Process { container: container.into(), nonce: Nonce::new(&[nonce; 16]).unwrap() }
}

/// An RFC 3339 time so long ago.
fn ago(seconds: i64) -> String {
    let at = time::OffsetDateTime::now_utc() - time::Duration::seconds(seconds);
    at.format(&time::format_description::well_known::Rfc3339).unwrap()
}

#[tokio::test]
async fn a_launch_costs_one_read_by_name() {
    let world = World::with_pod().await;
    assert_eq!(world.process(1).await, Ok(Grant::First));
    let asked = world.api.requests();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (asked[0].method.as_str(), asked[0].uri.trim_end_matches('?')),
        ("GET", "/api/v1/namespaces/shop/pods/web-1")
    );
    assert_eq!(world.process(1).await, Ok(Grant::Repeated));
    assert_eq!(world.reads(), 2);
}

#[tokio::test]
async fn what_the_pod_does_not_say_is_refused_and_says_what_to_do() {
    let world = World::with_pod().await;
    for (claim, name, reason, says) in [
        (
            claim("app", 1),
            "mail",
            Reason::NotCarried,
            "container app of pod shop/web-1 does not carry mail@azurekeyvault: ",
        ),
        (
            claim("other", 1),
            "db",
            Reason::NotCarried,
            "container other of pod shop/web-1 does not carry db@azurekeyvault: ",
        ),
        (
            claim("none", 1),
            "db",
            Reason::NoContainer,
            "container none of pod shop/web-1: the pod has no such container",
        ),
        (Claim::Unnamed, "db", Reason::NoName, "pod shop/web-1: the pod's launchers are told their container's name"),
    ] {
        let refusal = world.asks(claim, name).await.unwrap_err();
        assert_eq!(refusal.reason(), reason);
        assert!(refusal.to_string().starts_with(says), "{refusal}");
        assert!(world.binding.counts().refusals(reason) > 0);
    }
    let refusal = world.asks(claim("app", 1), "mail").await.unwrap_err();
    assert!(refusal.to_string().ends_with("a ConfigMap that was edited or created later needs a new pod"), "{refusal}");
    assert_eq!(world.process(1).await, Ok(Grant::First), "no refusal uses anything up");
}

#[tokio::test]
async fn a_pod_that_is_gone_is_another_or_has_ended_gives_nothing() {
    let world = World::with_pod().await;
    let reason = async |uid: &str| {
        let asked = [Reference::new("db", None).unwrap()];
        world.binding.check(&caller(uid), claim("app", 1), &asked).await.unwrap_err().reason()
    };
    assert_eq!(reason("u-2").await, Reason::Gone, "another pod of this name");
    for phase in ["Succeeded", "Failed"] {
        world.status(json!({"phase": phase}));
        assert_eq!(reason("u-1").await, Reason::Ended, "{phase}");
    }
    world.api.delete(Resource::PODS, "shop", "web-1");
    assert_eq!(reason("u-1").await, Reason::Gone);
}

#[tokio::test]
async fn a_restart_is_waited_for_until_it_shows() {
    let world = World::with_pod().await;
    assert_eq!(world.process(1).await, Ok(Grant::First));
    world.show(0, &ago(0));
    let shows = async {
        // The second look: the first was before it had to wait.
        let seen = world.reads() + 2;
        world.api.until(|api| api.requests().len() >= seen).await;
        world.show(1, &ago(0));
    };
    let (granted, ()) = tokio::join!(world.process(2), shows);
    assert_eq!(granted, Ok(Grant::Restarted));
    assert_eq!(world.process(1).await, Err(Reason::RestartUnseen), "the process before it is not given them again");
}

#[tokio::test]
async fn a_restart_that_does_not_show_is_worth_another_try_and_no_denial() {
    let world = World::with_pod().await;
    world.process(1).await.unwrap();
    world.show(0, &ago(0));
    let began = Instant::now();
    assert_eq!(world.process(2).await, Err(Reason::RestartUnseen));
    let waited = began.elapsed();
    assert!(waited < PATIENCE + Duration::from_secs(2) && waited + EVERY > PATIENCE, "{waited:?}");
    assert!(world.reads() < 15, "{}", world.reads());
    assert_eq!(world.binding.counts().refusals(Reason::RestartUnseen), 1);
}

#[tokio::test]
async fn one_process_of_a_container_waits_and_others_are_sent_away() {
    let world = World::with_pod().await;
    world.process(1).await.unwrap();
    let soon = async |nonce| timeout(Duration::from_secs(1), world.process(nonce)).await.ok();
    let answers = tokio::join!(soon(2), soon(3));
    let sent_away = Some(Err(Reason::RestartUnseen));
    assert!(answers == (None, sent_away) || answers == (sent_away, None), "{answers:?}");
}

#[tokio::test]
async fn an_api_server_that_is_gone_refuses_nobody_and_grants_what_was_seen_a_moment_ago() {
    let world = World::with_pod().await;
    world.api.down();
    let refusal = world.asks(claim("app", 1), "db").await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::Unreadable);
    assert!(refusal.to_string().starts_with("pod shop/web-1 cannot be looked at now: the API server"), "{refusal}");
    world.api.up();
    assert_eq!(world.process(1).await, Ok(Grant::First));
    world.api.down();
    assert_eq!(world.process(1).await, Ok(Grant::Repeated), "a lost reply");
    assert_eq!(world.process(2).await, Err(Reason::Unreadable), "a restart cannot be seen");
    let refusal = world.asks(claim("app", 3), "mail").await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::NotCarried, "what a pod carries cannot change");
    world.api.up();
    world.show(1, &ago(0));
    assert_eq!(world.process(2).await, Ok(Grant::Restarted));
}

#[tokio::test]
async fn an_api_server_that_hangs_holds_up_for_half_a_second_who_was_seen_a_moment_ago() {
    let world = World::with_pod().await;
    assert_eq!(world.process(1).await, Ok(Grant::First));
    world.api.hold(Resource::PODS);
    let began = Instant::now();
    assert_eq!(world.process(1).await, Ok(Grant::Repeated));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    world.api.release();
    world.api.delete(Resource::PODS, "shop", "web-1");
    assert_eq!(world.process(1).await, Err(Reason::Gone));
    world.api.down();
    assert_eq!(world.process(1).await, Err(Reason::Unreadable), "what is gone is not kept");
}

#[tokio::test]
async fn a_broker_that_may_not_read_pods_says_so() {
    let world = World::with_pod().await;
    world.api.forbid(Resource::PODS);
    let refusal = world.asks(claim("app", 1), "db").await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::Unreadable);
    assert!(refusal.to_string().contains("the API server answers 403"), "{refusal}");
}

#[tokio::test]
async fn what_is_no_pod_is_no_answer() {
    let world = World::with_pod().await;
    world.api.put(
        Resource::PODS,
        json!({"metadata": {"namespace": "shop", "name": "web-1"}, "spec": {"containers": "many"}}),
    );
    let refusal = world.asks(claim("app", 1), "db").await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::Unreadable);
    assert!(refusal.to_string().contains("the API server's answer makes no sense"), "{refusal}");
}

#[tokio::test]
async fn reads_are_bounded_and_what_was_read_a_moment_ago_needs_none() {
    let world = World::bounded(Bounds { rate: Rate { per_second: 1, burst: 2 }, at_a_time: 2 }).await;
    world.put(&json!([{"name": "DB", "value": "db@azurekeyvault"}]));
    assert_eq!(world.process(1).await, Ok(Grant::First));
    for _ in 0..10 {
        assert_eq!(world.process(1).await, Ok(Grant::Repeated));
    }
    world.binding.kept.forget("u-1").await;
    let refusal = world.asks(claim("app", 1), "db").await.unwrap_err();
    assert!(refusal.to_string().contains("too many pods are read at once"), "{refusal}");
    assert!(world.reads() <= 3, "{}", world.reads());
}

#[tokio::test]
async fn a_pod_without_names_is_admitted_as_a_whole_while_it_may_be_launching() {
    let world = World::start().await;
    world.put(&json!([{"name": "DB", "value": "db@azurekeyvault"}]));
    let unnamed = async |name: &str| world.asks(Claim::Unnamed, name).await.map_err(|refusal| refusal.reason());
    assert_eq!(unnamed("db").await, Ok(Redeemed::Unnamed));
    assert_eq!(unnamed("mail").await, Err(Reason::NotCarried));
    world.show(0, &ago(60));
    assert_eq!(unnamed("db").await, Ok(Redeemed::Unnamed), "a launcher may try for so long");
    assert_eq!(world.binding.counts().unnamed(), 2);
    assert_eq!(world.process(1).await, Ok(Grant::Unrecorded), "whoever knows its container may say so");
    world.show(0, &ago(66 * 60));
    assert_eq!(unnamed("db").await, Err(Reason::RestartUnseen));
    world.show(1, &ago(0));
    assert_eq!(unnamed("db").await, Ok(Redeemed::Unnamed));
}

#[tokio::test]
async fn a_container_that_has_long_been_running_is_given_nothing_also_where_no_record_is_left() {
    let world = World::with_pod().await;
    world.show(2, &ago(66 * 60));
    assert_eq!(world.process(1).await, Err(Reason::RestartUnseen));
    world.show(3, &ago(0));
    assert_eq!(world.process(2).await, Ok(Grant::Restarted));
    assert_eq!(world.binding.counts().unrecorded(), 0);
}

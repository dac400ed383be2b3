//! Several replicas: a start is served once, whichever of them is asked.

use futures::future::join_all;
use keyward_proto::v1::{Reference, ResolveRequest, secrets_client::SecretsClient};
use keyward_tests::{
    api::{ApiServer, Resource},
    fleet::{Fleet, until},
    stand::Plan,
    vault::ProjectedToken,
};
use serde_json::json;
use tempfile::NamedTempFile;
use tonic::{Code, Request, Status};

use super::world::{OBJECTS, declare};

/// Enough of them for each replica to own some.
const PODS: usize = 12;

struct Replicas {
    api: ApiServer,
    fleet: Fleet,
    /// Read whenever a replica starts.
    _kubeconfig: NamedTempFile,
}

impl Replicas {
    async fn start(count: usize) -> Self {
        let api = ApiServer::start().await.unwrap();
        let config = NamedTempFile::new().unwrap();
        std::fs::write(config.path(), api.kubeconfig("keyward")).unwrap();
        let mut plan = Plan { objects: OBJECTS.to_owned(), ..Plan::default() };
        let own = [
            ("KEYWARD_SOURCE", "kubernetes"),
            ("KEYWARD_AUTHN", "jwks"),
            ("KUBECONFIG", config.path().to_str().unwrap()),
        ];
        plan.broker_environment.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let mut fleet = Fleet::prepare(plan, count).await.unwrap();
        declare(&api, &fleet.emulator);
        for number in 0..count {
            fleet.launch(number).await.unwrap();
        }
        for number in 0..count {
            fleet.until_ready(number).await.unwrap();
        }
        fleet.until_all_see(count - 1).await.unwrap();
        let replicas = Self { api, fleet, _kubeconfig: config };
        for pod in 0..PODS {
            replicas.inject(pod);
        }
        replicas
    }

    fn inject(&self, pod: usize) {
        let name = format!("web-{pod}");
        let metadata = json!({"namespace": "shop", "name": name, "uid": format!("uid-{name}")});
        let env = json!([{"name": "KEYWARD_CONTAINER", "value": "app"}, {"name": "DB", "value": "db@azurekeyvault"}]);
        let spec = json!({"containers": [{"name": "app", "env": env}]});
        self.api.put(Resource::PODS, json!({"metadata": metadata, "spec": spec}));
    }

    fn token(&self, pod: usize) -> String {
        let name = format!("web-{pod}");
        let token = ProjectedToken::for_pod("shop", "web", &name);
        let token = ProjectedToken { pod_uid: Some(format!("uid-{name}")), ..token };
        self.fleet.emulator.projected_token(&token).unwrap()
    }

    /// What one replica answers to a process of a pod.
    async fn ask(&self, number: usize, pod: usize, nonce: u8) -> Result<(), Status> {
        let mut request = Request::new(ResolveRequest {
            references: vec![Reference { name: "db".to_owned(), query: None }],
            container: "app".to_owned(),
            nonce: vec![nonce; 16],
        });
        let token = format!("Bearer {}", self.token(pod)).parse().unwrap();
        request.metadata_mut().insert("authorization", token);
        let mut client = SecretsClient::new(self.fleet.channel(number, None).await.unwrap());
        let values = client.resolve(request).await?.into_inner().values;
        assert!(values == [b"kwcanary-db"], "another value");
        Ok(())
    }

    /// The codes of all pods' processes, each asked of another replica.
    async fn codes(&self, nonce: u8, replica: impl Fn(usize) -> usize) -> Vec<Code> {
        let asked = (0..PODS).map(async |pod| self.ask(replica(pod), pod, nonce).await);
        join_all(asked)
            .await
            .into_iter()
            .map(|answer| answer.map_or_else(|status| status.code(), |()| Code::Ok))
            .collect()
    }

    fn reads(&self) -> usize {
        self.api.requests().iter().filter(|asked| asked.uri.contains("/pods/")).count()
    }
}

#[tokio::test]
async fn a_start_is_served_once_whichever_replica_is_asked_and_costs_one_read() {
    let replicas = Replicas::start(3).await;
    assert_eq!(replicas.codes(1, |pod| pod % 3).await, [Code::Ok; PODS]);
    assert_eq!(replicas.reads(), PODS);
    assert_eq!(replicas.codes(1, |pod| (pod + 1) % 3).await, [Code::Ok; PODS], "a lost reply, asked of another");
    assert_eq!(replicas.reads(), 2 * PODS);
    assert_eq!(replicas.codes(2, |pod| (pod + 2) % 3).await, [Code::Unavailable; PODS]);
}

#[tokio::test]
async fn records_outlive_a_replica_that_is_stopped_and_come_to_one_that_is_new() {
    let mut replicas = Replicas::start(2).await;
    assert_eq!(replicas.codes(1, |pod| pod % 2).await, [Code::Ok; PODS]);
    replicas.fleet.stop(0).await.unwrap();
    assert_eq!(replicas.codes(2, |_| 1).await, [Code::Unavailable; PODS], "the other one has them");
    replicas.fleet.launch(0).await.unwrap();
    replicas.fleet.until_ready(0).await.unwrap();
    replicas.fleet.until_all_see(1).await.unwrap();
    let told = async || {
        let records = replicas.fleet.metric(0, "keyward_binding_records", "").await?;
        Ok(records.is_some_and(|records| records > 0.0))
    };
    until("records at the new replica", told).await.unwrap();
    assert_eq!(replicas.codes(3, |_| 0).await, [Code::Unavailable; PODS], "and the new one is told");
}

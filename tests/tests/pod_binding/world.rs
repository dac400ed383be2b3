//! A shop on a cluster: its pods, their launchers, and somebody who has a pod's token.

use keyward_proto::v1::{Reference, ResolveRequest, secrets_client::SecretsClient};
use keyward_tests::{
    api::{ApiServer, Resource, SECRETS, TokenStatus, VAULTS},
    process::{Finished, Process},
    stand::{Plan, Stand},
    vault::{Emulator, ProjectedToken},
};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use tonic::{
    Request, Status,
    transport::{Certificate, ClientTlsConfig, Endpoint},
};

/// A vault with two objects.
pub(crate) const OBJECTS: &str = r"
vaults:
  acme:
    secrets:
      db: {value: kwcanary-db}
      mail: {value: kwcanary-mail}
identities:
  - clientId: 22222222-2222-2222-2222-222222222222
    federatedSubjects: ['system:serviceaccount:keyward:keyward-broker']
";

/// The pod of most tests.
pub(crate) const POD: &str = "web-1";

/// Both objects for namespace `shop`.
pub(crate) fn declare(api: &ApiServer, emulator: &Emulator) {
    for name in ["db", "mail"] {
        let object = format!("{{name: {name}, type: secret}}");
        let metadata = format!("metadata: {{name: {name}, namespace: shop}}");
        api.apply(SECRETS, &format!("{metadata}\nspec: {{vault: {{name: acme, object: {object}}}}}\n"));
    }
    let url = emulator.vault_url("acme");
    let spec = format!("{{vaultName: acme, url: {url}, namespaces: {{names: [shop]}}}}");
    api.apply(VAULTS, &format!("metadata: {{name: acme}}\nspec: {spec}\n"));
}

/// A broker that watches an API server, and has read all of it.
pub(crate) struct World {
    pub(crate) api: ApiServer,
    pub(crate) stand: Stand,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With these variables of the broker's.
    pub(crate) async fn with(environment: &[(&str, &str)]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let api = ApiServer::start().await.unwrap();
        let config = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(config.path(), api.kubeconfig("keyward")).unwrap();
        let mut plan = Plan { objects: OBJECTS.to_owned(), ..Plan::default() };
        plan.without.extend(["KEYWARD_JWKS_ISSUER", "KEYWARD_JWKS_CA_FILE"].map(str::to_owned));
        let own = [("KEYWARD_SOURCE", "kubernetes"), ("KUBECONFIG", config.path().to_str().unwrap())];
        let all = own.iter().chain(environment).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        plan.broker_environment.extend(all);
        for resource in [SECRETS, VAULTS, Resource::NAMESPACES] {
            api.hold(resource);
        }
        let stand = Stand::start(plan).await.unwrap();
        declare(&api, &stand.emulator);
        api.release();
        let heard = |line: &str| line.contains("objects of the cluster read").then_some(());
        stand.broker.line("that all was read", heard).await.unwrap();
        Self { api, stand }
    }

    /// Puts [`POD`] in, whose container `app` the webhook has injected with these references, and that has others.
    pub(crate) fn inject(&self, references: &str) {
        self.put(&json!([
            {"name": "app", "env": [
                {"name": "KEYWARD_CONTAINER", "value": "app"},
                {"name": "KEYWARD_REFERENCES", "value": references},
            ]},
            {"name": "sidecar", "env": [{"name": "KEYWARD_CONTAINER", "value": "sidecar"}]},
        ]));
    }

    /// Puts [`POD`] in, with these containers.
    pub(crate) fn put(&self, containers: &Value) {
        let metadata = json!({"namespace": "shop", "name": POD, "uid": format!("uid-{POD}")});
        self.api.put(Resource::PODS, json!({"metadata": metadata, "spec": {"containers": containers}}));
    }

    /// Has the pod show that `app` runs, was started again so often, and began so many seconds ago.
    pub(crate) fn show(&self, restarts: u32, ago: i64) {
        let began = (OffsetDateTime::now_utc() - Duration::seconds(ago)).format(&Rfc3339).unwrap();
        let app = json!({"name": "app", "restartCount": restarts, "state": {"running": {"startedAt": began}}});
        let status = json!({"phase": "Running", "containerStatuses": [app]});
        assert!(self.api.edit(Resource::PODS, "shop", POD, |pod| pod["status"] = status));
    }

    /// The token that the kubelet brought to [`POD`].
    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(self.token_file()).unwrap()
    }

    fn token_file(&self) -> std::path::PathBuf {
        let uid = format!("uid-{POD}");
        let token = ProjectedToken { pod_uid: Some(uid.clone()), ..ProjectedToken::for_pod("shop", "web", POD) };
        let file = self.stand.directory().join(format!("token-{POD}"));
        if !file.exists() {
            assert_eq!(self.stand.write_token(&token).unwrap(), file);
            let text = std::fs::read_to_string(&file).unwrap();
            self.api.review(text.trim(), TokenStatus::of_pod("shop", "web", POD, &uid));
        }
        file
    }

    /// Starts the launcher of a container as the webhook would have it, on a program that prints `$VALUE`.
    pub(crate) fn start_launcher(&self, container: Option<&str>, environment: &[(&str, &str)]) -> Process {
        let told = container.map(|container| ("KEYWARD_CONTAINER", container));
        let all: Vec<_> = told.into_iter().chain(environment.iter().copied()).collect();
        let mut launcher =
            self.stand.launcher(&self.token_file(), &all, &["sh", "-c", "printf %s \"$VALUE\""]).unwrap();
        Process::spawn_launcher("keyward-launcher", &mut launcher).unwrap()
    }

    /// The same, to its end, with a reference as `$VALUE`.
    pub(crate) async fn launch(&self, container: &str, reference: &str) -> Finished {
        self.start_launcher(Some(container), &[("VALUE", reference)]).finish().await.unwrap()
    }

    /// What somebody with the pod's token is answered who says to be a process of `app`.
    pub(crate) async fn ask(&self, nonce: u8, name: &str) -> Result<Vec<Vec<u8>>, Status> {
        self.claim("app", &[nonce; 16], name).await
    }

    /// The same, who says anything.
    pub(crate) async fn claim(&self, container: &str, nonce: &[u8], name: &str) -> Result<Vec<Vec<u8>>, Status> {
        let references = vec![Reference { name: name.to_owned(), query: None }];
        let mut request =
            Request::new(ResolveRequest { references, container: container.to_owned(), nonce: nonce.to_vec() });
        let token = format!("Bearer {}", self.token().trim()).parse().unwrap();
        request.metadata_mut().insert("authorization", token);
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.stand.ca.cert_pem()));
        let endpoint = Endpoint::from_shared(self.stand.broker_url()).unwrap().tls_config(tls).unwrap();
        let mut client = SecretsClient::new(endpoint.connect().await.unwrap());
        client.resolve(request).await.map(|reply| reply.into_inner().values)
    }

    /// Reads of pods so far.
    pub(crate) fn reads(&self) -> usize {
        self.api.requests().iter().filter(|asked| asked.uri.contains("/pods/")).count()
    }

    /// What the admin port says, line by line.
    pub(crate) async fn metrics(&self) -> Vec<String> {
        let metrics = reqwest::get(format!("http://{}/metrics", self.stand.admin)).await.unwrap();
        metrics.text().await.unwrap().lines().map(str::to_owned).collect()
    }

    /// The `nth` audit line's code and verdict on the pod, from 1.
    pub(crate) async fn audited(&self, nth: usize) -> (String, Value) {
        let is_it = |line: &str| {
            let line: Value = serde_json::from_str(line).ok()?;
            (line["audit"] == "resolve").then(|| (line["code"].as_str().unwrap().to_owned(), line["binding"].clone()))
        };
        self.stand.broker.nth_line(nth, "an audit line", is_it).await.unwrap()
    }
}

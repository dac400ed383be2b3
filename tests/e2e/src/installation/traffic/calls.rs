//! `Resolve`, once over each connection, and no second try.

use std::{
    error::Error as _,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Pod;
use keyward_proto::v1::{Reference, ResolveRequest, secrets_client::SecretsClient};
use kube::ResourceExt as _;
use tonic::{
    Request,
    transport::{Certificate, ClientTlsConfig, Endpoint},
};

use super::{Going, NAME, Seen, VALUE};

/// The broker's Service.
const BROKER: &str = "https://keyward-broker.keyward.svc:8443";

/// The longest that a connection, and then an answer, is waited for. It bounds a hang: a busy machine is no failure.
const DEADLINE: Duration = Duration::from_secs(30);

/// Between two calls of one caller.
const PAUSE: Duration = Duration::from_millis(50);

/// Who calls in a pod's name.
pub(super) struct Caller {
    /// Where the kubelet keeps the volume with token and authority, which change.
    identity: PathBuf,
    began: Instant,
}

impl Caller {
    /// In the name of a pod that runs on this node.
    pub(super) fn of(pod: &Pod, began: Instant) -> anyhow::Result<Self> {
        let uid = pod.uid().context("a pod without UID")?;
        let volumes = PathBuf::from(format!("/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~projected"));
        let identity = volumes.join("keyward-identity");
        anyhow::ensure!(identity.is_dir(), "there is no {}", identity.display());
        Ok(Self { identity, began })
    }

    pub(super) async fn run(self, going: Going) -> Seen {
        let mut seen = Seen::default();
        while going.on() {
            let when = Instant::now();
            let outcome = self.call().await;
            seen.calls.note(outcome, when.elapsed(), when - self.began);
            tokio::time::sleep(PAUSE).await;
        }
        seen
    }

    async fn call(&self) -> Result<(), String> {
        let file =
            |name: &str| fs::read_to_string(self.identity.join(name)).map_err(|error| format!("{name}: {error}"));
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(file("ca.crt")?));
        let endpoint = Endpoint::from_static(BROKER).connect_timeout(DEADLINE).timeout(DEADLINE).tls_config(tls);
        let channel = endpoint.map_err(|error| causes(&error))?.connect().await.map_err(|error| causes(&error))?;
        let references = vec![Reference { name: NAME.to_owned(), query: None }];
        let mut request = Request::new(ResolveRequest { references, ..ResolveRequest::default() });
        let token = format!("Bearer {}", file("token")?.trim()).parse().map_err(|_| "no token for a header")?;
        request.metadata_mut().insert("authorization", token);
        let answer = SecretsClient::new(channel).resolve(request).await;
        let answer = answer.map_err(|status| format!("{:?}: {}", status.code(), status.message()))?.into_inner();
        if answer.values == [VALUE.as_bytes()] { Ok(()) } else { Err("another value".to_owned()) }
    }
}

/// An error and what is behind it: tonic's own says only "transport error".
fn causes(error: &tonic::transport::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.extend([": ", &error.to_string()]);
        source = error.source();
    }
    text
}

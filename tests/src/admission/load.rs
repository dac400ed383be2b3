//! The client: an API server's part, over connections that are kept, each with one review under way.

use std::{
    cell::RefCell,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures::future::try_join_all;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, StatusCode,
    client::conn::http1::{SendRequest, handshake},
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use serde::Deserialize;
use tokio::{net::TcpStream, task::JoinSet, time::timeout};
use tokio_rustls::TlsConnector;

use super::reviews::Review;
use crate::bench::rounds::Sample;

/// The longest one answer is waited for: as an API server waits by default.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks one server.
pub struct Client {
    address: SocketAddr,
    tls: TlsConnector,
}

/// Open connections to one server.
pub struct Connections {
    open: Vec<SendRequest<Full<Bytes>>>,
    _driven: JoinSet<()>,
}

impl Client {
    /// For the server at `address`, whose certificate `ca_pem` vouches for.
    pub fn new(address: SocketAddr, ca_pem: &str) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
            roots.add(certificate?)?;
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { address, tls: Arc::new(config).into() })
    }

    /// Opens connections to be kept.
    pub async fn open(&self, count: usize) -> anyhow::Result<Connections> {
        let (mut open, mut driven) = (Vec::new(), JoinSet::new());
        for _ in 0..count {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            let stream = self.tls.connect(ServerName::IpAddress(self.address.ip().into()), stream).await?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            driven.spawn(async {
                // Its end shows in the next request.
                let _ = connection.await;
            });
            open.push(sender);
        }
        Ok(Connections { open, _driven: driven })
    }
}

impl Connections {
    /// The answer to one review.
    pub async fn ask(&mut self, review: &Review) -> anyhow::Result<Bytes> {
        let connection = self.open.first_mut().context("no connection to ask over")?;
        let answer = post(connection, review).await?;
        check(review, &answer)?;
        Ok(answer)
    }

    /// All of `reviews`. Each connection takes the next one when it has its answer.
    pub async fn ask_all(&mut self, reviews: impl Iterator<Item = Review>) -> anyhow::Result<Sample> {
        let (reviews, latencies) = (RefCell::new(reviews), RefCell::new(Vec::new()));
        let (reviews, latencies_of_all) = (&reviews, &latencies);
        let started = Instant::now();
        let workers = self.open.iter_mut().map(|connection| async move {
            loop {
                let Some(review) = reviews.borrow_mut().next() else { return Ok::<_, anyhow::Error>(()) };
                let sent = Instant::now();
                let answer = post(connection, &review).await?;
                latencies_of_all.borrow_mut().push(sent.elapsed());
                check(&review, &answer)?;
            }
        });
        try_join_all(workers).await?;
        Ok(Sample { wall: started.elapsed(), latencies: latencies.into_inner() })
    }
}

async fn post(connection: &mut SendRequest<Full<Bytes>>, review: &Review) -> anyhow::Result<Bytes> {
    let request = Request::post("/pods?timeout=10s")
        .header(HOST, "keyward-webhook.keyward.svc")
        .header(CONTENT_TYPE, "application/json")
        .header("accept", "application/json, */*")
        .header("user-agent", "kube-apiserver-admission")
        .body(Full::new(review.body.clone()))?;
    let answered = async {
        connection.ready().await?;
        let answer = connection.send_request(request).await?;
        let status = answer.status();
        Ok::<_, hyper::Error>((status, answer.into_body().collect().await?.to_bytes()))
    };
    let (status, body) = timeout(PATIENCE, answered).await.context("no answer in time")??;
    ensure!(status == StatusCode::OK, "{status}: {}", String::from_utf8_lossy(&body));
    Ok(body)
}

/// Let in, changed, and without a warning: so every reference was asked for, and is known.
pub(crate) fn check(review: &Review, answer: &[u8]) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        response: Response<'a>,
    }
    #[derive(Deserialize)]
    struct Response<'a> {
        uid: &'a str,
        allowed: bool,
        patch: Option<&'a str>,
        warnings: Option<Vec<String>>,
        status: Option<serde_json::Value>,
    }
    let Answer { response } = serde_json::from_slice(answer)?;
    ensure!(response.uid == review.uid, "the answer to {} when {} was asked", response.uid, review.uid);
    ensure!(response.allowed, "not let in: {:?}", response.status);
    ensure!(response.warnings.is_none(), "warnings: {:?}", response.warnings);
    ensure!(response.patch.is_some_and(|patch| !patch.is_empty()), "not changed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn checked(response: &Value) -> String {
        let review = Review { uid: "u1".to_owned(), body: Bytes::new() };
        let answer = json!({"kind": "AdmissionReview", "response": response}).to_string();
        check(&review, answer.as_bytes()).err().map_or_else(|| "fine".to_owned(), |error| error.to_string())
    }

    #[test]
    fn only_a_pod_that_is_let_in_changed_and_without_a_warning_counts() {
        for (response, expected) in [
            (json!({"uid": "u1", "allowed": true, "patchType": "JSONPatch", "patch": "W10="}), "fine"),
            (json!({"uid": "u2", "allowed": true, "patch": "W10="}), "the answer to u2 when u1 was asked"),
            (json!({"uid": "u1", "allowed": false, "status": {"code": 403}}), "not let in"),
            (json!({"uid": "u1", "allowed": true}), "not changed"),
            (json!({"uid": "u1", "allowed": true, "patch": "W10=", "warnings": ["not checked"]}), "warnings"),
        ] {
            assert!(checked(&response).starts_with(expected), "{response}: {}", checked(&response));
        }
    }
}

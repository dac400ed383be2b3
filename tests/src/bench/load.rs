//! The client: the same requests for both servers, several under way at a time, each timed.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::ensure;
use keyward_proto::v1::{Reference, ResolveRequest, secrets_client::SecretsClient};
use tokio::task::JoinSet;
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use super::{broker::reference_name, echo::Payload, rounds::Sample};

/// Open connections to one server.
#[derive(Debug)]
pub struct Connections(Vec<SecretsClient<Channel>>);

/// Asks one server.
#[derive(Clone, Debug)]
pub struct Client(Arc<Asker>);

#[derive(Debug)]
struct Asker {
    endpoint: Endpoint,
    authorization: MetadataValue<Ascii>,
    payload: Payload,
    names: Vec<String>,
    /// Where the next request begins in `names`.
    next: AtomicUsize,
}

impl FromIterator<Connections> for Connections {
    /// All of them, as if to one server.
    fn from_iter<I: IntoIterator<Item = Self>>(each: I) -> Self {
        Self(each.into_iter().flat_map(|Self(open)| open).collect())
    }
}

impl Client {
    /// For the server at `address`, whose certificate `ca_pem` vouches for.
    pub fn new(address: SocketAddr, ca_pem: &str, token: &str, payload: Payload) -> anyhow::Result<Self> {
        Self::asking((0..payload.values).map(reference_name).collect(), address, ca_pem, token, payload)
    }

    /// The same, which goes round and round through `names`.
    pub fn asking(
        names: Vec<String>,
        address: SocketAddr,
        ca_pem: &str,
        token: &str,
        payload: Payload,
    ) -> anyhow::Result<Self> {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca_pem));
        let endpoint = Endpoint::from_shared(format!("https://{address}"))?.tls_config(tls)?;
        let authorization = format!("Bearer {token}").parse()?;
        Ok(Self(Arc::new(Asker { endpoint, authorization, payload, names, next: AtomicUsize::new(0) })))
    }

    /// Opens connections to be kept.
    pub async fn open(&self, count: usize) -> anyhow::Result<Connections> {
        let mut open = Vec::new();
        for _ in 0..count {
            open.push(SecretsClient::new(self.0.endpoint.connect().await?));
        }
        Ok(Connections(open))
    }

    /// `requests` over these connections.
    pub async fn ask_over(&self, open: &Connections, requests: usize, in_flight: usize) -> anyhow::Result<Sample> {
        ensure!(!open.0.is_empty(), "no connection to ask over");
        let kept = |worker: usize| Some(open.0[worker % open.0.len()].clone());
        self.ask(requests, in_flight, kept).await
    }

    /// `requests` with a connection for each, whose making counts into its time.
    pub async fn ask_anew(&self, requests: usize, in_flight: usize) -> anyhow::Result<Sample> {
        self.ask(requests, in_flight, |_| None).await
    }

    async fn ask(
        &self,
        requests: usize,
        in_flight: usize,
        connection: impl Fn(usize) -> Option<SecretsClient<Channel>>,
    ) -> anyhow::Result<Sample> {
        let left = Arc::new(AtomicUsize::new(requests));
        let started = Instant::now();
        let mut workers = JoinSet::new();
        for worker in 0..in_flight {
            workers.spawn(work(Arc::clone(&self.0), connection(worker), Arc::clone(&left)));
        }
        let mut latencies = Vec::with_capacity(requests);
        while let Some(worker) = workers.join_next().await {
            latencies.extend(worker??);
        }
        Ok(Sample { wall: started.elapsed(), latencies })
    }
}

/// Asks for as long as there are requests left.
async fn work(
    asker: Arc<Asker>,
    mut kept: Option<SecretsClient<Channel>>,
    left: Arc<AtomicUsize>,
) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
        let started = Instant::now();
        match &mut kept {
            Some(client) => asker.resolve(client).await?,
            None => asker.resolve(&mut SecretsClient::new(asker.endpoint.connect().await?)).await?,
        }
        latencies.push(started.elapsed());
    }
    Ok(latencies)
}

impl Asker {
    async fn resolve(&self, client: &mut SecretsClient<Channel>) -> anyhow::Result<()> {
        let first = self.next.fetch_add(self.payload.values, Ordering::Relaxed);
        let names = (first..first + self.payload.values).filter_map(|n| self.names.get(n % self.names.len()));
        let references = names.map(|name| Reference { name: name.clone(), query: None }).collect();
        let mut request = Request::new(ResolveRequest { references, ..ResolveRequest::default() });
        request.metadata_mut().insert("authorization", self.authorization.clone());
        let values = client.resolve(request).await?.into_inner().values;
        let expected = self.payload;
        ensure!(values.len() == expected.values, "{} values instead of {}", values.len(), expected.values);
        ensure!(values.iter().all(|value| value.len() == expected.bytes), "a value of another size");
        Ok(())
    }
}

//! The gRPC services, made from what they share.

use std::sync::Arc;

use keyward_proto::{
    MAX_REPLY_BYTES, MAX_REQUEST_BYTES,
    v1::{
        cache_server::CacheServer, peers_server::PeersServer, references_server::ReferencesServer,
        secrets_server::SecretsServer, sync_server::SyncServer,
    },
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::{
    pb::health_server::{Health, HealthServer},
    server::HealthReporter,
};

use crate::{
    audit::AuditLog,
    authn::{Authenticator, operators::Operators},
    binding::Binding,
    cache::ObjectCache,
    changes::Changes,
    grpc::{
        bearer::Refusals, cache::CacheService, guard::Guard, peers::PeersService, references::ReferencesService,
        secrets::SecretsService, sync::SyncService,
    },
    metrics::Metrics,
    peers::{MAX_MESSAGE, Peers, checks::Checks, mirror::Copies},
    policy::Current,
    poll::Refresh,
    rate::{Limiter, Rate},
    readers::Readers,
    resolve::Resolver,
    setup::BoundPods,
};

/// What requests and polling share.
#[derive(Clone)]
pub(super) struct Core {
    /// What the manifests say.
    pub(super) snapshot: Arc<Current>,
    /// What is held.
    pub(super) cache: ObjectCache,
    /// Which vaults are open.
    pub(super) readers: Arc<Readers>,
    /// What polling finds out.
    pub(super) changes: Changes,
    /// What is shared with the other replicas.
    pub(super) peers: Arc<Peers>,
}

impl Core {
    /// Where copies of what other replicas hold are kept.
    pub(super) fn copies(&self) -> Copies {
        let Self { snapshot, cache, readers, .. } = self.clone();
        Copies { cache, snapshot, readers }
    }
}

/// What the services are made of.
pub(super) struct Services {
    pub(super) core: Core,
    pub(super) authenticator: Arc<dyn Authenticator>,
    pub(super) bound_pods: Option<BoundPods>,
    pub(super) operators: Option<Arc<dyn Operators>>,
    pub(super) refusals: Arc<Refusals>,
    pub(super) audit: Arc<AuditLog>,
    pub(super) metrics: Arc<Metrics>,
    /// Checks the vaults of this replica.
    pub(super) own_vaults: Arc<dyn Refresh>,
    pub(super) trust_domain: String,
    pub(super) requests_per_pod: u32,
    pub(super) requests_per_role: u32,
}

impl Services {
    /// Every service; streams end when `drain` is cancelled.
    pub(super) fn routes(&self, drain: CancellationToken) -> Routes {
        Routes::new(self.secrets())
            .add_service(self.sync(drain.clone()))
            .add_service(self.references())
            .add_service(self.peers(drain))
            .add_service(self.cache())
    }

    /// What stands before them all.
    pub(super) fn guard(&self) -> Guard {
        let requests = Rate::of_a_role(self.requests_per_role);
        Guard::new(&self.trust_domain, requests, Arc::clone(&self.refusals), self.operators.clone())
    }

    /// The health service, in which they all serve.
    pub(super) async fn health(&self) -> (HealthReporter, HealthServer<impl Health>) {
        let (health, service) = tonic_health::server::health_reporter();
        health.set_serving::<SecretsServer<SecretsService>>().await;
        health.set_serving::<SyncServer<SyncService>>().await;
        health.set_serving::<ReferencesServer<ReferencesService>>().await;
        health.set_serving::<PeersServer<PeersService>>().await;
        health.set_serving::<CacheServer<CacheService>>().await;
        (health, service)
    }

    /// None of them serves any more.
    pub(super) async fn set_not_serving(health: &HealthReporter) {
        health.set_not_serving::<SecretsServer<SecretsService>>().await;
        health.set_not_serving::<SyncServer<SyncService>>().await;
        health.set_not_serving::<ReferencesServer<ReferencesService>>().await;
        health.set_not_serving::<PeersServer<PeersService>>().await;
        health.set_not_serving::<CacheServer<CacheService>>().await;
    }

    fn resolver(&self) -> Resolver {
        let Core { snapshot, cache, readers, .. } = self.core.clone();
        Resolver::new(snapshot, cache, readers)
    }

    fn binding(&self) -> Option<Arc<Binding>> {
        self.bound_pods.as_ref().map(|bound| Arc::clone(&bound.binding))
    }

    fn secrets(&self) -> SecretsServer<SecretsService> {
        SecretsServer::new(SecretsService {
            authenticator: Arc::clone(&self.authenticator),
            binding: self.binding(),
            resolver: self.resolver(),
            audit: Arc::clone(&self.audit),
            requests: Limiter::new(Rate::of_a_pod(self.requests_per_pod)),
            refusals: Arc::clone(&self.refusals),
        })
        .max_decoding_message_size(MAX_REQUEST_BYTES)
        .max_encoding_message_size(MAX_REPLY_BYTES)
    }

    fn sync(&self, drain: CancellationToken) -> SyncServer<SyncService> {
        let Core { snapshot, changes, .. } = self.core.clone();
        SyncServer::new(SyncService::new(snapshot, self.resolver(), Arc::clone(&self.audit), changes, drain))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_REPLY_BYTES)
    }

    fn references(&self) -> ReferencesServer<ReferencesService> {
        ReferencesServer::new(ReferencesService { snapshot: Arc::clone(&self.core.snapshot) })
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_REPLY_BYTES)
    }

    fn peers(&self, drain: CancellationToken) -> PeersServer<PeersService> {
        PeersServer::new(PeersService {
            peers: Arc::clone(&self.core.peers),
            copies: self.core.copies(),
            refresh: Arc::clone(&self.own_vaults),
            records: self.bound_pods.as_ref().map(|bound| Arc::clone(&bound.records) as _),
            drain,
        })
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE)
    }

    fn cache(&self) -> CacheServer<CacheService> {
        let Core { snapshot, cache, readers, peers, .. } = self.core.clone();
        let local = Arc::clone(&self.own_vaults);
        CacheServer::new(CacheService {
            snapshot,
            cache,
            refresh: Arc::new(Checks { peers: Arc::clone(&peers), readers: Arc::clone(&readers), local }),
            readers,
            peers,
            authenticator: Arc::clone(&self.authenticator),
            binding: self.binding(),
            resolver: self.resolver(),
        })
        .max_decoding_message_size(MAX_REQUEST_BYTES)
        .max_encoding_message_size(MAX_REPLY_BYTES)
    }
}

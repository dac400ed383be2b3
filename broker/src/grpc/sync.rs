//! `keyward.v1.Sync`: what the controller asks.

mod describe;
mod fetch;
mod patience;
mod watch;

use std::{pin::Pin, sync::Arc, time::Duration};

use futures::Stream;
use keyward_proto::v1::{
    self, DescribeRequest, DescribeResponse, FetchRequest, FetchResponse, WatchRequest, WatchResponse,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};

use super::errors::{self, Verdict};
use crate::{audit::AuditLog, changes::Changes, policy::Current, resolve::Resolver};

/// `Watch` streams open at once. A controller needs one for each of its replicas.
const MAX_WATCHES: usize = 64;

/// The service.
pub struct SyncService {
    snapshot: Arc<Current>,
    resolver: Resolver,
    audit: Arc<AuditLog>,
    changes: Changes,
    drain: CancellationToken,
    places: Arc<Semaphore>,
}

impl SyncService {
    /// `changes` is what `Watch` listens to; its streams end when `drain` is cancelled.
    pub fn new(
        snapshot: Arc<Current>,
        resolver: Resolver,
        audit: Arc<AuditLog>,
        changes: Changes,
        drain: CancellationToken,
    ) -> Self {
        Self { snapshot, resolver, audit, changes, drain, places: Arc::new(Semaphore::new(MAX_WATCHES)) }
    }
}

#[tonic::async_trait]
impl v1::sync_server::Sync for SyncService {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn fetch(&self, request: Request<FetchRequest>) -> Result<Response<FetchResponse>, Status> {
        fetch::answer(self, &request).await.map(Response::new)
    }

    async fn describe(&self, request: Request<DescribeRequest>) -> Result<Response<DescribeResponse>, Status> {
        describe::answer(self, request).await.map(Response::new)
    }

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| too_many_watches())?;
        let watch = watch::Watch::new(&self.changes, Arc::clone(&self.snapshot), self.drain.clone(), place);
        Ok(Response::new(Box::pin(watch.stream())))
    }
}

fn too_many_watches() -> Status {
    let retry_after = Some(Duration::from_secs(10));
    let verdict = Verdict { code: Code::ResourceExhausted, reason: "TOO_MANY_WATCHES", retry_after };
    errors::status(verdict, format!("{MAX_WATCHES} watches are open already; close one"), &[])
}

#[cfg(test)]
mod tests;

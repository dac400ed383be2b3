//! What the broker tells: which secrets have something new. A lost stream is opened again; the first word on each is that
//! anything may have changed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use keyward_proto::v1::{SecretChanged, WatchResponse, watch_response::Event};
use kube::runtime::reflector::ObjectRef;
use tonic::{Status, Streaming};

use super::{Requests, request_all};
use crate::reconcile::Context;

/// Before the stream is opened again: the first wait, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Whether the broker is heard, for metrics.
#[derive(Debug, Default)]
pub struct BrokerWatch(AtomicBool);

impl BrokerWatch {
    /// Whether a stream is open.
    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Never ends.
pub(super) async fn follow(context: Arc<Context>, watch: Arc<BrokerWatch>, requests: Requests) {
    let mut wait = WAITS.0;
    let mut told = String::new();
    loop {
        let ended = match context.broker.watch().await {
            Ok(stream) => {
                tracing::info!("the broker is heard");
                watch.0.store(true, Ordering::Relaxed);
                (wait, told) = (WAITS.0, String::new());
                let replaced = context.broker.replaced();
                let heard = replaced.run_until_cancelled(hear(&context, stream, &requests)).await;
                heard.unwrap_or_else(|| Status::unavailable("the certificates were replaced"))
            }
            Err(status) => status,
        };
        watch.0.store(false, Ordering::Relaxed);
        if told != ended.message() {
            tracing::warn!(code = ?ended.code(), message = ended.message(), "the broker is not heard; it is tried again");
            ended.message().clone_into(&mut told);
        }
        tokio::time::sleep(wait.mul_f64(0.5 + fastrand::f64())).await;
        wait = (wait * 2).min(WAITS.1);
    }
}

/// Until the stream ends, and with what.
async fn hear(context: &Context, mut stream: Streaming<WatchResponse>, requests: &Requests) -> Status {
    loop {
        match stream.message().await {
            Ok(Some(WatchResponse { event: Some(Event::Changed(SecretChanged { namespace, name })) })) => {
                // The broker knows of all namespaces.
                if !context.scope.admits(&namespace) {
                    continue;
                }
                context.memory.changed(&namespace, &name);
                let _ = requests.send(ObjectRef::new(&name).within(&namespace)).await;
            }
            Ok(Some(WatchResponse { event: Some(Event::Resync(resync)) })) => {
                tracing::debug!(reason = resync.reason, "every secret is looked at");
                context.memory.resync();
                request_all(context, requests).await;
            }
            // From a newer broker: it says something that is not understood, so anything may have changed.
            Ok(Some(WatchResponse { event: None })) => {
                context.memory.resync();
                request_all(context, requests).await;
            }
            Ok(None) => return Status::unavailable("the broker closed the stream"),
            Err(status) => return status,
        }
    }
}

//! The port for Event Grid's deliveries, where there is one.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use keyward_kit::{
    http1::{self, Times},
    tasks::Tasks,
    tls::{Alpn, Limits, ServerTls, incoming},
};

use super::{CERTIFICATES_EVERY, StartError, listen, services::Core};
use crate::{
    args::ServeArgs,
    events::{Receiver, server},
    metrics::Metrics,
    poll::hints::Hinted,
    setup,
};

/// Event Grid, or the few proxies before us. More connections wait in the kernel's backlog.
const LIMITS: Limits = Limits { max_connections: 512, max_per_peer: 256, handshake_timeout: Duration::from_secs(10) };
/// As for the webhook: longer than clients keep idle connections, and an end that is announced.
const TIMES: Times =
    Times { idle: Duration::from_secs(120), age: Duration::from_secs(600), linger: Duration::from_secs(3) };
/// Two small files.
const KEYS_EVERY: Duration = Duration::from_secs(2);

/// Listens, and returns where, if it is asked for. What events say is told to `hinted`.
pub(super) async fn spawn(
    tasks: &mut Tasks,
    args: &ServeArgs,
    core: &Core,
    hinted: Arc<dyn Hinted>,
    metrics: Arc<Metrics>,
) -> Result<Option<SocketAddr>, StartError> {
    let Some(address) = args.events.events_listen else { return Ok(None) };
    let deliveries = setup::deliveries(args)?;
    let tls = ServerTls::load(&args.tls_dir, Alpn::Http11)?;
    let (listener, bound) = listen("--events-listen", address).await?;
    if let Some(entra) = deliveries.entra {
        // Not waited for: whoever resolves does not need them, and a delivery that comes before them is told to come again.
        tasks.spawn("Entra's keys", entra.run(None, tasks.drain()));
    }
    if let Some(keys) = deliveries.proofs.keys.clone() {
        tasks.spawn("keys of events", keys.watch(KEYS_EVERY, tasks.drain()));
    }
    // It ends when the server, which lingers after the signal, drops it.
    let connections = incoming(listener, tls.clone(), LIMITS, tasks.close());
    let receiver = Receiver::new(Arc::clone(&core.snapshot), hinted, metrics);
    let router = server::router(receiver, deliveries.proofs, server::Limits::default());
    tasks.spawn("events", http1::serve(connections, router, TIMES, tasks.drain()));
    tasks.spawn("certificates of events", tls.watch(CERTIFICATES_EVERY, tasks.drain()));
    Ok(Some(bound))
}

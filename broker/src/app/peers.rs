//! The other replicas: what is shared with them, and the tasks that keep it so.

use std::{collections::BTreeSet, convert::Infallible, sync::Arc};

use keyward_kit::{ready::Readiness, tasks::Tasks};
use tokio::sync::watch;

use super::{StartError, services::Core};
use crate::{
    args::{PeersArg, ServeArgs},
    cluster::client::Cluster,
    peers::{
        Peers,
        board::Board,
        member::State,
        members::{Addresses, Members},
        slices,
        warmup::WarmUp,
    },
};

/// What this replica shares with the others, if there may be some.
pub(super) fn new(args: &ServeArgs) -> Arc<Peers> {
    let replicas = args.replicas.get();
    Arc::new(Peers::new(if args.peers.is_some() { Board::among(replicas) } else { Board::alone(replicas) }))
}

/// Follows the others from now on. Not ready before it has what they have.
pub(super) fn spawn(
    tasks: &mut Tasks,
    core: &Core,
    args: &ServeArgs,
    cluster: Option<&Cluster>,
    readiness: &Readiness,
) -> Result<(), StartError> {
    let Some(places) = &args.peers else { return Ok(()) };
    // Both outlive the drain: requests under way ask the others to the end.
    let (peers, readers, close) = (Arc::clone(&core.peers), Arc::clone(&core.readers), tasks.close());
    tasks.spawn_outliving("replicas' view", async move {
        peers.keep(&readers, close).await;
        Ok::<_, Infallible>(())
    });
    let warm_up = WarmUp::default();
    let members = Members {
        peers: Arc::clone(&core.peers),
        copies: core.copies(),
        tls_dir: args.tls_dir.clone(),
        server_name: args.peer_name.clone(),
        warm_up: warm_up.clone(),
    };
    let addresses = addresses(tasks, places, cluster)?;
    tasks.spawn_outliving("replicas", members.run(addresses, tasks.close()));
    let (peers, snapshot, within, drain) =
        (Arc::clone(&core.peers), Arc::clone(&core.snapshot), args.warm_up, tasks.drain());
    let warming = readiness.require("what other replicas hold");
    tasks.spawn("warming up", async move {
        let warm = async {
            let over = warm_up.over(within).await;
            // Who does not know what is declared can own nothing.
            snapshot.until_complete().await;
            over
        };
        if let Some(over) = drain.run_until_cancelled(warm).await {
            match over {
                Ok(took) => tracing::info!(?took, "what other replicas hold is here"),
                Err(missing) => tracing::warn!(missing, "not every replica has told in time what it holds"),
            }
            peers.board.set_state(State::Serving);
            warming.done();
        }
        drain.cancelled().await;
        Ok::<_, Infallible>(())
    });
    Ok(())
}

fn addresses(tasks: &mut Tasks, places: &PeersArg, cluster: Option<&Cluster>) -> Result<Addresses, StartError> {
    match places {
        PeersArg::Addresses(known) => {
            let known: BTreeSet<String> = known.iter().cloned().collect();
            Ok(watch::channel(Some(Arc::new(known))).1)
        }
        PeersArg::Service(service) => {
            let cluster = cluster.ok_or(StartError::NoCluster("--peers kubernetes:"))?;
            let (told, addresses) = watch::channel(None);
            tasks.spawn("replicas' addresses", slices::watch(cluster.clone(), service.clone(), told, tasks.drain()));
            Ok(addresses)
        }
    }
}

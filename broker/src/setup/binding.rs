//! Whether tokens are bound to their pods, as `--pod-binding` says.

use std::sync::Arc;

use super::authentication::OF_PODS;
use crate::{
    args::ServeArgs,
    binding::{Binding, redemptions::Own, shared::Shared},
    cluster::{client::Cluster, pods::Pods},
    peers::Peers,
};

/// What binds tokens to their pods.
#[derive(Clone)]
pub struct BoundPods {
    /// What decides.
    pub binding: Arc<Binding>,
    /// What reads pods.
    pub pods: Arc<Pods>,
    /// The records of this process.
    pub records: Arc<Own>,
    /// Those of all replicas.
    pub shared: Arc<Shared>,
}

/// As `args` say. `cluster` is there where they need it.
pub fn bound_pods(args: &ServeArgs, cluster: Option<&Cluster>, peers: &Arc<Peers>) -> Option<BoundPods> {
    let cluster = cluster.filter(|_| args.binds_pods())?;
    let (pods, records) = (Arc::new(Pods::new(cluster.client.clone(), OF_PODS)), Arc::new(Own::new()));
    let shared = Arc::new(Shared::new(Arc::clone(&records), Arc::clone(peers)));
    let binding = Arc::new(Binding::new(Arc::clone(&pods), Arc::clone(&shared) as _));
    Some(BoundPods { binding, pods, records, shared })
}

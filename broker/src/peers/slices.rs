//! Where other replicas may be, as the API server tells: the addresses behind the Service `SERVICE`, ready or not.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    pin::pin,
    sync::Arc,
};

use futures::StreamExt as _;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{
    Api, ResourceExt as _,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{cluster::client::Cluster, source::kubernetes::Pauses};

/// The port of a slice that is meant; where none has that name, its first.
const PORT: &str = "grpc";

/// Watches until `shutdown`, and tells `addresses` each time they are others. What was heard last holds while the API server
/// is not there: a replica that is there is not given up for its silence.
pub async fn watch(
    cluster: Cluster,
    service: String,
    addresses: watch::Sender<Option<Arc<BTreeSet<String>>>>,
    shutdown: CancellationToken,
) -> Result<(), Infallible> {
    let slices: Api<EndpointSlice> = Api::namespaced(cluster.client, &cluster.namespace);
    let selected = watcher::Config::default().labels(&format!("kubernetes.io/service-name={service}"));
    let mut events = pin!(watcher(slices, selected).backoff(Pauses::default()));
    let (mut known, mut listed) = (BTreeMap::new(), None);
    while let Some(Some(event)) = shutdown.run_until_cancelled(events.next()).await {
        match event {
            Ok(Event::Init) => listed = Some(BTreeMap::new()),
            Ok(Event::InitApply(slice)) => {
                listed.get_or_insert_default().insert(slice.name_any(), behind(&slice));
                continue;
            }
            Ok(Event::InitDone) => known = listed.take().unwrap_or_default(),
            Ok(Event::Apply(slice)) => drop(known.insert(slice.name_any(), behind(&slice))),
            Ok(Event::Delete(slice)) => drop(known.remove(&slice.name_any())),
            Err(error) => {
                tracing::debug!(%error, service, "the addresses of other replicas are not told");
                continue;
            }
        }
        if listed.is_none() {
            tell(&addresses, &known);
        }
    }
    Ok(())
}

fn tell(addresses: &watch::Sender<Option<Arc<BTreeSet<String>>>>, known: &BTreeMap<String, Vec<String>>) {
    let all: Arc<BTreeSet<String>> = Arc::new(known.values().flatten().cloned().collect());
    addresses.send_if_modified(|addresses| {
        let differs = addresses.as_ref() != Some(&all);
        if differs {
            *addresses = Some(all);
        }
        differs
    });
}

/// `HOST:PORT` of every address of a slice.
fn behind(slice: &EndpointSlice) -> Vec<String> {
    let ports = slice.ports.as_deref().unwrap_or_default();
    let named = ports.iter().find(|port| port.name.as_deref() == Some(PORT)).or_else(|| ports.first());
    let Some(port) = named.and_then(|port| port.port) else { return Vec::new() };
    let endpoints = slice.endpoints.iter().flat_map(|endpoint| &endpoint.addresses);
    match slice.address_type.as_str() {
        "IPv4" => endpoints.map(|address| format!("{address}:{port}")).collect(),
        "IPv6" => endpoints.map(|address| format!("[{address}]:{port}")).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn slice(family: &str, addresses: &[&str], ports: &Value) -> Vec<String> {
        let endpoints: Vec<_> = addresses.iter().map(|address| json!({ "addresses": [address] })).collect();
        let slice = json!({ "addressType": family, "endpoints": endpoints, "ports": ports });
        behind(&serde_json::from_value(slice).unwrap())
    }

    #[test]
    fn every_address_counts_with_the_port_that_is_meant() {
        let grpc = json!([{ "name": "admin", "port": 8080 }, { "name": "grpc", "port": 8443 }]);
        assert_eq!(slice("IPv4", &["10.0.0.1", "10.0.0.2"], &grpc), ["10.0.0.1:8443", "10.0.0.2:8443"]);
        assert_eq!(slice("IPv6", &["fd00::1"], &grpc), ["[fd00::1]:8443"]);
        assert_eq!(slice("IPv4", &["10.0.0.1"], &json!([{ "port": 9443 }])), ["10.0.0.1:9443"]);
        for ports in [json!([]), json!([{ "name": "grpc" }]), Value::Null] {
            assert!(slice("IPv4", &["10.0.0.1"], &ports).is_empty(), "{ports}");
        }
        assert!(slice("FQDN", &["broker.example"], &grpc).is_empty());
    }
}

//! A client of a scripted API server.

use keyward_tests::api::ApiServer;
use kube::Config;

use super::client::Cluster;

/// Of a broker in namespace `keyward`.
pub(crate) fn cluster(api: &ApiServer) -> Cluster {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Cluster::new(&Config::new(api.url().parse().unwrap()), Some("keyward")).unwrap()
}

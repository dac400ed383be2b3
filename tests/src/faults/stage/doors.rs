//! How clients reach the brokers, and whom they trust.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::{
    ca::{Issued, TestCa},
    stand::TRUST_DOMAIN,
};

/// As a launcher waits for TCP and TLS together.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// Where each replica is for clients.
pub struct Doors {
    addresses: Vec<SocketAddr>,
    trusted: Mutex<Trusted>,
}

/// Whom clients trust, and what proves the controller.
struct Trusted {
    authority: String,
    controller: Issued,
}

impl Doors {
    pub(super) fn new(addresses: Vec<SocketAddr>, authority: &TestCa) -> anyhow::Result<Self> {
        let controller = authority.issue_role("controller", TRUST_DOMAIN)?;
        Ok(Self { addresses, trusted: Mutex::new(Trusted { authority: authority.cert_pem(), controller }) })
    }

    pub(super) fn trust(&self, bundle: &str) {
        bundle.clone_into(&mut self.trusted().authority);
    }

    pub(super) fn prove(&self, authority: &TestCa) -> anyhow::Result<()> {
        self.trusted().controller = authority.issue_role("controller", TRUST_DOMAIN)?;
        Ok(())
    }

    fn trusted(&self) -> MutexGuard<'_, Trusted> {
        self.trusted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many replicas there are.
    pub fn count(&self) -> usize {
        self.addresses.len()
    }

    /// A pod's way to a replica.
    pub fn pod(&self, replica: usize) -> anyhow::Result<Endpoint> {
        self.endpoint(replica, self.tls())
    }

    /// The same from another address of the machine.
    pub fn pod_from(&self, replica: usize, address: IpAddr) -> anyhow::Result<Endpoint> {
        Ok(self.pod(replica)?.local_address(Some(address)))
    }

    /// The controller's way to a replica.
    pub fn controller(&self, replica: usize) -> anyhow::Result<Endpoint> {
        let identity = {
            let Issued { cert_pem, key_pem, .. } = &self.trusted().controller;
            Identity::from_pem(cert_pem, key_pem)
        };
        self.endpoint(replica, self.tls().identity(identity))
    }

    fn tls(&self) -> ClientTlsConfig {
        let authority = self.trusted().authority.clone();
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority)).domain_name("localhost")
    }

    fn endpoint(&self, replica: usize, tls: ClientTlsConfig) -> anyhow::Result<Endpoint> {
        let address = self.addresses.get(replica).with_context(|| format!("there is no replica {replica}"))?;
        let endpoint = Endpoint::from_shared(format!("https://{address}"))?.connect_timeout(CONNECT_LIMIT);
        Ok(endpoint.tls_config(tls)?)
    }
}

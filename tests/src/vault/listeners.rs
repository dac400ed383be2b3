//! The ports: bound before the world is made, because its URLs name them, and served after.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::endpoints::Bound;
use super::server::serve;
use super::start::EmulatorError;
use super::world::World;
use super::{control, data_plane, identity_port};

/// Where to listen. Port 0 is a free one.
pub(super) struct Ports {
    pub(super) listen: IpAddr,
    pub(super) first_vault: u16,
    pub(super) identity: u16,
    pub(super) http: u16,
    pub(super) imds: Option<SocketAddr>,
}

/// Bound ports that nobody serves yet.
pub(super) struct Listeners {
    vaults: BTreeMap<String, TcpListener>,
    identity: TcpListener,
    http: TcpListener,
    imds: Option<TcpListener>,
    addresses: Bound,
}

impl Listeners {
    /// Binds a port for each vault and those that all share.
    pub(super) async fn bind(ports: &Ports, names: &[&str]) -> Result<Self, EmulatorError> {
        let mut vaults = BTreeMap::new();
        let mut addresses = BTreeMap::new();
        for (name, port) in names.iter().zip(vault_ports(ports.first_vault, names.len())?) {
            let at = SocketAddr::new(ports.listen, port);
            let (listener, address) = listen(&format!("vault {name}"), at).await?;
            vaults.insert((*name).to_owned(), listener);
            addresses.insert((*name).to_owned(), address);
        }
        let at = |port| SocketAddr::new(ports.listen, port);
        let (identity, identity_address) = listen("Entra and the token issuer", at(ports.identity)).await?;
        let (http, http_address) = listen("the control API", at(ports.http)).await?;
        let (imds, imds_address) = match ports.imds {
            Some(at) => listen("IMDS", at).await.map(|(listener, address)| (Some(listener), Some(address)))?,
            None => (None, None),
        };
        let addresses = Bound { vaults: addresses, identity: identity_address, http: http_address, imds: imds_address };
        Ok(Self { vaults, identity, http, imds, addresses })
    }

    /// What was bound.
    pub(super) fn addresses(&self) -> &Bound {
        &self.addresses
    }

    /// Serves each port by a task of its own until `stop`.
    pub(super) fn serve(self, world: &Arc<World>, tls: &TlsAcceptor, stop: &CancellationToken) -> JoinSet<()> {
        let mut servers = JoinSet::new();
        for (name, listener) in self.vaults {
            if let Some(vault) = world.vaults.get(&name) {
                let router = data_plane::router(world.clone(), vault.clone());
                servers.spawn(serve(listener, Some(tls.clone()), router, stop.clone()));
            }
        }
        servers.spawn(serve(self.identity, Some(tls.clone()), identity_port::router(world.clone()), stop.clone()));
        servers.spawn(serve(self.http, None, control::router(world.clone()), stop.clone()));
        if let Some(imds) = self.imds {
            servers.spawn(serve(imds, None, control::imds_router(world.clone()), stop.clone()));
        }
        servers
    }
}

/// `first` and those after it; free ones where `first` is 0.
fn vault_ports(first: u16, vaults: usize) -> Result<Vec<u16>, EmulatorError> {
    if first == 0 {
        return Ok(vec![0; vaults]);
    }
    let ports: Vec<u16> = (first..=u16::MAX).take(vaults).collect();
    if ports.len() == vaults { Ok(ports) } else { Err(EmulatorError::Ports { first, vaults }) }
}

async fn listen(what: &str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), EmulatorError> {
    let failed = |source| EmulatorError::Bind { what: what.to_owned(), address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vaults_get_the_ports_after_the_first_or_free_ones() {
        assert_eq!(vault_ports(9443, 3).unwrap(), [9443, 9444, 9445]);
        assert_eq!(vault_ports(0, 2).unwrap(), [0, 0]);
        assert_eq!(vault_ports(u16::MAX, 1).unwrap(), [u16::MAX]);
        assert!(vault_ports(u16::MAX, 2).is_err());
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_named() {
        let (_held, address) = listen("first", "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let error = listen("second", address).await.unwrap_err().to_string();
        assert!(error.contains("second") && error.contains(&address.to_string()), "{error}");
    }
}

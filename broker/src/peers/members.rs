//! Where other replicas may be, and a link to each of these places.

use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use keyward_kit::tls::channel::Connection;
use tokio::{
    sync::watch,
    task::{self, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{Peers, link::Link, mirror::Copies, warmup::WarmUp};

/// As the server's own, which are the same files.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(2);

/// Addresses at once. There are as many as replicas, and for a moment those that are replaced.
const MAX_ADDRESSES: usize = 128;

/// `HOST:PORT` of each place, once they are known.
pub type Addresses = watch::Receiver<Option<Arc<BTreeSet<String>>>>;

/// Makes links.
pub struct Members {
    /// What all replicas share here.
    pub peers: Arc<Peers>,
    /// Where copies are kept.
    pub copies: Copies,
    /// Directory of the certificates that are shown.
    pub tls_dir: PathBuf,
    /// The name that the others' certificates have, where it is not their address.
    pub server_name: Option<String>,
    /// This replica's warming up.
    pub warm_up: WarmUp,
}

impl Members {
    /// Keeps a link to every address, until `shutdown`. One that is not named any more is not tried again.
    pub async fn run(self, mut addresses: Addresses, shutdown: CancellationToken) -> Result<(), Infallible> {
        let mut links = JoinSet::new();
        let mut running: HashMap<String, task::Id> = HashMap::new();
        loop {
            let known = addresses.borrow_and_update().clone();
            if let Some(known) = known {
                for address in known.iter().take(MAX_ADDRESSES) {
                    if !running.contains_key(address)
                        && let Some(link) = self.link(address, addresses.clone(), shutdown.clone())
                    {
                        running.insert(address.clone(), links.spawn(link).id());
                    }
                }
                self.warm_up.listed();
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                Ok(()) = addresses.changed() => {}
                Some(ended) = links.join_next_with_id() => {
                    let id = match ended {
                        Ok((id, ())) => id,
                        Err(error) => {
                            tracing::error!(%error, "a link to another replica failed");
                            error.id()
                        }
                    };
                    running.retain(|_, link| *link != id);
                }
            }
        }
    }

    fn link(
        &self,
        address: &str,
        addresses: Addresses,
        shutdown: CancellationToken,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let url = format!("https://{address}");
        let connection = Connection::named(&url, self.server_name.as_deref(), self.tls_dir.clone())
            .inspect_err(|error| tracing::warn!(address, %error, "another replica cannot be reached"))
            .ok()?;
        let link = Link {
            peers: Arc::clone(&self.peers),
            copies: self.copies.clone(),
            connection: connection.clone(),
            place: self.warm_up.place(),
        };
        let address = address.to_owned();
        Some(async move {
            let wanted = || addresses.borrow().as_ref().is_some_and(|known| known.contains(&address));
            let certificates = connection.watch(None, CERTIFICATES_EVERY, shutdown);
            tokio::select! {
                () = link.run(wanted) => {}
                Err(error) = certificates => tracing::error!(%error, "certificates are not looked at any more"),
            }
        })
    }
}

//! One channel to the broker. It connects when it is needed, finds out that its peer is gone by pings, and is made anew
//! when the certificates on disk are others.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use keyward_kit::{
    ready::Guard,
    tls::{
        TlsError,
        client::{ClientFiles, Fingerprint},
    },
};
use keyward_proto::{MAX_REPLY_BYTES, v1::sync_client::SyncClient};
use tokio::task::{JoinError, spawn_blocking};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use url::Url;

/// The kubelet takes a minute or more to bring a new certificate; looking is cheap.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A silent broker is noticed after both, also by a stream on which nothing happens.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));
/// Above the broker's own longest message.
const MAX_MESSAGE: usize = MAX_REPLY_BYTES + 64 * 1024;

/// The way to the broker. Clones share it.
#[derive(Clone, Debug)]
pub struct Connection {
    broker: Arc<Url>,
    directory: Arc<Path>,
    current: Arc<ArcSwapOption<Current>>,
    unconnected: Channel,
}

#[derive(Debug)]
struct Current {
    channel: Channel,
    fingerprint: Fingerprint,
    expiry: SystemTime,
    /// Dropped with it: whoever holds a stream of this channel opens another.
    replaced: CancellationToken,
}

impl Drop for Current {
    fn drop(&mut self) {
        self.replaced.cancel();
    }
}

/// Why there is no way to the broker.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The certificates.
    #[error("--tls-dir: {0}")]
    Tls(#[from] TlsError),
    /// The address, or what the certificates say together.
    #[error("--broker {broker}: {reason}")]
    Endpoint {
        /// The address.
        broker: String,
        /// Why.
        reason: String,
    },
}

impl Connection {
    /// Reads the directory. Files that are missing may come later; those that are there must be usable.
    pub fn new(broker: Url, directory: PathBuf) -> Result<Self, ConnectionError> {
        // Whatever is asked before there are certificates fails as unavailable, and is asked again.
        let unconnected = Endpoint::from_static("https://certificates.invalid").connect_lazy();
        let current = Arc::new(ArcSwapOption::empty());
        let connection = Self { broker: Arc::new(broker), directory: directory.into(), current, unconnected };
        match connection.reload() {
            Ok(_) | Err(ConnectionError::Tls(TlsError::Missing { .. })) => Ok(connection),
            Err(error) => Err(error),
        }
    }

    /// Whether there are certificates to connect with.
    pub fn has_certificates(&self) -> bool {
        self.current.load().is_some()
    }

    /// Until when the certificate is valid.
    pub fn expiry(&self) -> Option<SystemTime> {
        self.current.load().as_ref().map(|current| current.expiry)
    }

    /// Cancelled when what is used now is not used for new requests any more.
    pub fn replaced(&self) -> CancellationToken {
        self.current.load().as_ref().map_or_else(CancellationToken::new, |current| current.replaced.clone())
    }

    pub(super) fn client(&self) -> SyncClient<Channel> {
        let channel =
            self.current.load().as_ref().map_or_else(|| self.unconnected.clone(), |current| current.channel.clone());
        SyncClient::new(channel).max_decoding_message_size(MAX_MESSAGE)
    }

    /// Looks at the directory again; true if it holds something else now.
    fn reload(&self) -> Result<bool, ConnectionError> {
        let files = ClientFiles::read(&self.directory)?;
        if self.current.load().as_ref().is_some_and(|current| current.fingerprint == files.fingerprint()) {
            return Ok(false);
        }
        let expiry = files.expiry(&self.directory)?.leaf;
        let channel = self.channel(&files)?;
        let replaced = CancellationToken::new();
        self.current.store(Some(Arc::new(Current { channel, fingerprint: files.fingerprint(), expiry, replaced })));
        Ok(true)
    }

    fn channel(&self, files: &ClientFiles) -> Result<Channel, ConnectionError> {
        let failed = |error: tonic::transport::Error| ConnectionError::Endpoint {
            broker: self.broker.to_string(),
            reason: error.to_string(),
        };
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(files.authorities()))
            .identity(Identity::from_pem(files.certificate(), files.key()));
        let endpoint =
            Endpoint::from_shared(self.broker.to_string()).map_err(failed)?.tls_config(tls).map_err(failed)?;
        Ok(endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE.0)
            .keep_alive_timeout(KEEPALIVE.1)
            .keep_alive_while_idle(true)
            .connect_lazy())
    }

    /// Looks at the directory until `shutdown`: a task. `waiting` is dropped once there are certificates.
    pub async fn watch_certificates(
        self,
        waiting: Option<Guard>,
        shutdown: CancellationToken,
    ) -> Result<(), JoinError> {
        let mut waiting = waiting.filter(|_| !self.has_certificates());
        let mut told = String::new();
        while shutdown.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            let connection = self.clone();
            match spawn_blocking(move || connection.reload()).await? {
                Ok(changed) => {
                    told.clear();
                    if changed {
                        tracing::info!(directory = %self.directory.display(), "certificates loaded");
                    }
                    waiting = waiting.filter(|_| !self.has_certificates());
                }
                Err(error) if told != error.to_string() => {
                    tracing::error!(%error, "certificates are not loaded; those in use stay");
                    told = error.to_string();
                }
                Err(_) => {}
            }
        }
        Ok(())
    }
}

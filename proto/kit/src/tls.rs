//! TLS for servers: certificates from a directory, reloaded while running; roles of the peers.
//!
//! | room | holds |
//! |---|---|
//! | `dir` | reading the directory, all three files of one moment |
//! | `config` | what a rustls server is made of here |
//! | `incoming` | accepted connections with the handshake done, for tonic |
//! | `admitted` | a socket that keeps its place among the connections allowed |
//! | [`role`] | what a peer's certificate says it is |

mod admitted;
mod config;
mod dir;
mod incoming;
pub mod role;
#[cfg(test)]
mod testing;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

pub use admitted::Admitted;
pub use dir::TlsError;
pub use incoming::{Limits, incoming};

/// The server's side of TLS, from a directory with `tls.crt`, `tls.key` and `ca.crt` as Kubernetes mounts a Secret.
/// Clones share it.
///
/// A reload swaps the whole configuration: connections that exist go on with the old one, and nothing of it, no
/// session ticket either, carries over to a new connection. A CA that was removed is therefore refused at once.
#[derive(Clone, Debug)]
pub struct ServerTls {
    directory: Arc<Path>,
    current: Arc<ArcSwap<Loaded>>,
}

#[derive(Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    fingerprint: dir::Fingerprint,
}

impl ServerTls {
    /// Reads the directory.
    pub fn load(directory: impl Into<PathBuf>) -> Result<Self, TlsError> {
        let directory: Arc<Path> = directory.into().into();
        let files = dir::Files::read(&directory)?;
        let loaded = Loaded { config: config::server(&directory, &files)?, fingerprint: files.fingerprint() };
        Ok(Self { directory, current: Arc::new(ArcSwap::from_pointee(loaded)) })
    }

    /// What the next connection is to use.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current.load().config.clone()
    }

    /// Reads the directory again; true if it holds something else now. After an error the old configuration stays.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let files = dir::Files::read(&self.directory)?;
        let fingerprint = files.fingerprint();
        if fingerprint == self.current.load().fingerprint {
            return Ok(false);
        }
        self.current.store(Arc::new(Loaded { config: config::server(&self.directory, &files)?, fingerprint }));
        Ok(true)
    }

    /// Reloads every `period` until `shutdown`: a task for [`crate::tasks::Tasks`]. A directory that does not load is
    /// an error in the log at each attempt; the process goes on with what it has.
    ///
    /// It compares contents and does not wait for file events: the kubelet swaps a symlink above the files, and a watch
    /// on the files themselves goes deaf at the first swap.
    pub async fn watch(self, period: Duration, shutdown: CancellationToken) -> Result<(), JoinError> {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            let tls = self.clone();
            match spawn_blocking(move || tls.reload()).await? {
                Ok(true) => info!(directory = %self.directory.display(), "certificates reloaded"),
                Ok(false) => {}
                Err(error) => error!(%error, "certificates are not reloaded, the old ones stay in use"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{Authority, KubeletDir, handshake};
    use super::*;

    #[test]
    fn a_symlink_swap_is_noticed_and_an_unchanged_directory_is_not() {
        let ca = Authority::new();
        let dir = KubeletDir::new(&ca.server(), &ca);
        let tls = ServerTls::load(dir.path()).unwrap();
        assert!(!tls.reload().unwrap());
        dir.swap(&ca.server(), &ca);
        assert!(tls.reload().unwrap());
        assert!(!tls.reload().unwrap());
    }

    #[tokio::test]
    async fn after_a_reload_only_the_new_authority_is_trusted_and_shown() {
        let (old, new) = (Authority::new(), Authority::new());
        let dir = KubeletDir::new(&old.server(), &old);
        let tls = ServerTls::load(dir.path()).unwrap();
        assert!(handshake(&tls, &old, Some(&old.client("controller"))).await.is_ok());
        assert!(handshake(&tls, &old, Some(&new.client("controller"))).await.is_err());
        dir.swap(&new.server(), &new);
        tls.reload().unwrap();
        assert!(handshake(&tls, &new, Some(&new.client("controller"))).await.is_ok());
        assert!(handshake(&tls, &new, Some(&old.client("controller"))).await.is_err());
        assert!(handshake(&tls, &old, None).await.is_err());
    }

    #[tokio::test]
    async fn a_watched_directory_is_reloaded_without_restart() {
        let (old, new) = (Authority::new(), Authority::new());
        let dir = KubeletDir::new(&old.server(), &old);
        let tls = ServerTls::load(dir.path()).unwrap();
        let stop = CancellationToken::new();
        let watch = tls.clone().watch(Duration::from_millis(5), stop.clone());
        let swap = async {
            dir.swap(&new.server(), &new);
            while handshake(&tls, &new, None).await.is_err() {
                tokio::task::yield_now().await;
            }
            stop.cancel();
        };
        let both = async { tokio::join!(watch, swap) };
        tokio::time::timeout(Duration::from_secs(30), both).await.unwrap().0.unwrap();
    }

    #[test]
    fn a_bad_directory_is_named_and_changes_nothing() {
        let (ca, other) = (Authority::new(), Authority::new());
        let dir = KubeletDir::new(&ca.server(), &ca);
        let tls = ServerTls::load(dir.path()).unwrap();
        let before = tls.current();
        let (mut mixed, mut empty) = (ca.server(), ca.server());
        mixed.key = other.server().key;
        empty.cert = "no PEM here".to_owned();
        for (pair, said) in [(mixed, "tls.key"), (empty, "tls.crt")] {
            dir.swap(&pair, &ca);
            let error = tls.reload().unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(dir.path().to_str().unwrap()), "{error}");
        }
        dir.swap_without_ca(&ca.server());
        assert!(tls.reload().unwrap_err().to_string().contains("ca.crt"));
        assert!(Arc::ptr_eq(&before, &tls.current()));
    }
}

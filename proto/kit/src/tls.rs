//! TLS: certificates from a directory, reloaded while running; roles of the peers.
//!
//! | room | holds |
//! |---|---|
//! | `dir` | reading the directory, all three files of one moment |
//! | `config` | what a rustls server is made of here |
//! | [`client`] | what a client shows and trusts |
//! | [`channel`] | a gRPC channel made anew when they change |
//! | `expiry` | until when they are valid |
//! | `incoming` | accepted connections with the handshake done, for tonic and [`crate::http1`] |
//! | `handshake` | one handshake, with a deadline |
//! | `places` | so many connections in all and for each peer; what became of them |
//! | `admitted` | a socket that keeps its place among the connections allowed |
//! | [`role`] | what a peer's certificate says it is |

mod admitted;
pub mod channel;
pub mod client;
mod config;
mod dir;
mod expiry;
mod handshake;
mod incoming;
mod places;
pub mod role;
#[cfg(test)]
mod rotation;
#[cfg(test)]
pub(crate) mod testing;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::once::Once;
use crate::ready::{Guard, Readiness};

pub use admitted::Admitted;
pub use config::Alpn;
pub use dir::TlsError;
pub use expiry::Expiry;
pub use incoming::{Incoming, Limits, incoming};
pub use places::{ConnectionCounts, Connections};

/// The name of the readiness guard.
const GUARD: &str = "certificates";

/// The server's side of TLS, from a directory with `tls.crt`, `tls.key` and `ca.crt` as Kubernetes mounts a Secret.
/// Clones share it.
///
/// The files may appear later: until then there is no configuration, and [`incoming`] refuses every connection.
///
/// A reload swaps the whole configuration: connections that exist go on with the old one, and nothing of it, no
/// session ticket either, carries over to a new connection. A CA that was removed is therefore refused at once.
#[derive(Clone, Debug)]
pub struct ServerTls {
    directory: Arc<Path>,
    alpn: Alpn,
    current: Arc<ArcSwapOption<Loaded>>,
    waiting: Arc<Mutex<Option<Guard>>>,
}

#[derive(Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    expiry: Expiry,
    fingerprint: dir::Fingerprint,
}

impl ServerTls {
    /// Reads the directory. Files that are missing may come later; those that are there must be usable.
    pub fn load(directory: impl Into<PathBuf>, alpn: Alpn) -> Result<Self, TlsError> {
        let tls = Self {
            directory: directory.into().into(),
            alpn,
            current: Arc::new(ArcSwapOption::empty()),
            waiting: Arc::new(Mutex::new(None)),
        };
        match tls.reload() {
            Ok(_) | Err(TlsError::Missing { .. }) => Ok(tls),
            Err(error) => Err(error),
        }
    }

    /// Keeps `readiness` waiting for "certificates" until there are some.
    pub fn required_by(&self, readiness: &Readiness) {
        let mut waiting = self.waiting();
        if self.current.load().is_none() {
            *waiting = Some(readiness.require(GUARD));
        }
    }

    /// What the next connection is to use, if there is anything.
    pub fn current(&self) -> Option<Arc<ServerConfig>> {
        self.current.load().as_ref().map(|loaded| loaded.config.clone())
    }

    /// Until when what is in use is valid.
    pub fn expiry(&self) -> Option<Expiry> {
        self.current.load().as_ref().map(|loaded| loaded.expiry.clone())
    }

    /// Reads the directory again; true if it holds something else now. After an error the old configuration stays.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let files = dir::Files::read(&self.directory)?;
        let fingerprint = files.fingerprint();
        if self.current.load().as_ref().is_some_and(|loaded| loaded.fingerprint == fingerprint) {
            return Ok(false);
        }
        let config = config::server(&self.directory, &files, self.alpn)?;
        let expiry = Expiry::of(&self.directory, &files)?;
        self.current.store(Some(Arc::new(Loaded { config, expiry, fingerprint })));
        self.waiting().take();
        Ok(true)
    }

    /// Reloads every `period` until `shutdown`: a task for [`crate::tasks::Tasks`]. A directory that does not load is in
    /// the log once for each different reason; the process goes on with what it has.
    ///
    /// It compares contents and does not wait for file events: the kubelet swaps a symlink above the files, and a watch
    /// on the files themselves goes deaf at the first swap.
    pub async fn watch(self, period: Duration, shutdown: CancellationToken) -> Result<(), JoinError> {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut complaints = Once::default();
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let tls = self.clone();
            match spawn_blocking(move || tls.reload()).await? {
                Ok(changed) => {
                    complaints.settled();
                    if changed {
                        info!(directory = %self.directory.display(), "certificates loaded");
                    }
                }
                Err(error) if complaints.is_new(&error.to_string()) => self.complain(&error),
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn complain(&self, error: &TlsError) {
        if self.current.load().is_some() {
            error!(%error, "certificates are not reloaded, the old ones stay in use");
        } else {
            warn!(%error, "no certificates yet, connections are refused until tls.crt, tls.key and ca.crt are there");
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Guard>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{Authority, KubeletDir, Pair, handshake};
    use super::*;
    use crate::ready::Status;

    #[test]
    fn a_symlink_swap_is_noticed_and_an_unchanged_directory_is_not() {
        let ca = Authority::new();
        let dir = KubeletDir::new(&ca.server(), &[&ca]);
        let tls = ServerTls::load(dir.path(), Alpn::Http2).unwrap();
        assert!(!tls.reload().unwrap());
        dir.swap(&ca.server(), &[&ca]);
        assert!(tls.reload().unwrap());
        assert!(!tls.reload().unwrap());
    }

    #[tokio::test]
    async fn after_a_reload_only_the_new_authority_is_trusted_and_shown() {
        let (old, new) = (Authority::new(), Authority::new());
        let dir = KubeletDir::new(&old.server(), &[&old]);
        let tls = ServerTls::load(dir.path(), Alpn::Http2).unwrap();
        assert!(handshake(&tls, &old, Some(&old.client("controller"))).await.is_ok());
        assert!(handshake(&tls, &old, Some(&new.client("controller"))).await.is_err());
        dir.swap(&new.server(), &[&new]);
        tls.reload().unwrap();
        assert!(handshake(&tls, &new, Some(&new.client("controller"))).await.is_ok());
        assert!(handshake(&tls, &new, Some(&old.client("controller"))).await.is_err());
        assert!(handshake(&tls, &old, None).await.is_err());
    }

    #[tokio::test]
    async fn a_watched_directory_is_reloaded_without_restart() {
        let (old, new) = (Authority::new(), Authority::new());
        let dir = KubeletDir::new(&old.server(), &[&old]);
        let tls = ServerTls::load(dir.path(), Alpn::Http2).unwrap();
        let stop = CancellationToken::new();
        let watch = tls.clone().watch(Duration::from_millis(5), stop.clone());
        let swap = async {
            dir.swap(&new.server(), &[&new]);
            while handshake(&tls, &new, None).await.is_err() {
                tokio::task::yield_now().await;
            }
            stop.cancel();
        };
        let both = async { tokio::join!(watch, swap) };
        tokio::time::timeout(Duration::from_secs(30), both).await.unwrap().0.unwrap();
    }

    #[test]
    fn certificates_may_appear_later_and_readiness_waits_for_them() {
        let ca = Authority::new();
        let dir = KubeletDir::empty();
        let readiness = Readiness::new();
        let tls = ServerTls::load(dir.path(), Alpn::Http2).unwrap();
        tls.required_by(&readiness);
        assert!(tls.current().is_none() && tls.expiry().is_none());
        dir.swap_without_ca(&ca.server());
        let error = tls.reload().unwrap_err().to_string();
        assert_eq!(error, format!("{} lacks ca.crt", dir.path().display()));
        assert_eq!(readiness.status(), Status::Pending(vec!["certificates"]));
        dir.swap(&ca.server(), &[&ca]);
        assert!(tls.reload().unwrap());
        assert!(tls.current().is_some() && tls.expiry().is_some());
        assert_eq!(readiness.status(), Status::Ready);
    }

    #[test]
    fn readiness_does_not_wait_for_what_is_there() {
        let ca = Authority::new();
        let dir = KubeletDir::new(&ca.server(), &[&ca]);
        let readiness = Readiness::new();
        ServerTls::load(dir.path(), Alpn::Http2).unwrap().required_by(&readiness);
        assert_eq!(readiness.status(), Status::Ready);
    }

    #[test]
    fn files_that_are_there_and_unusable_at_start_are_an_error() {
        let (ca, other) = (Authority::new(), Authority::new());
        let mixed = Pair { cert: ca.server().cert, key: other.server().key };
        let error = ServerTls::load(KubeletDir::new(&mixed, &[&ca]).path(), Alpn::Http2).unwrap_err();
        assert!(matches!(error, TlsError::Pair { .. }), "{error}");
    }

    #[test]
    fn a_bad_directory_is_named_and_changes_nothing() {
        let (ca, other) = (Authority::new(), Authority::new());
        let dir = KubeletDir::new(&ca.server(), &[&ca]);
        let tls = ServerTls::load(dir.path(), Alpn::Http2).unwrap();
        let before = tls.current();
        let (mut mixed, mut empty) = (ca.server(), ca.server());
        mixed.key = other.server().key;
        empty.cert = "no PEM here".to_owned();
        for (pair, said) in [(mixed, "tls.key"), (empty, "tls.crt")] {
            dir.swap(&pair, &[&ca]);
            let error = tls.reload().unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(dir.path().to_str().unwrap()), "{error}");
        }
        dir.swap_without_ca(&ca.server());
        assert!(tls.reload().unwrap_err().to_string().contains("ca.crt"));
        assert!(Arc::ptr_eq(&before.unwrap(), &tls.current().unwrap()));
    }
}

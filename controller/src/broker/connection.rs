//! The way to the broker, for `Sync`.

use std::time::{Duration, SystemTime};

pub use keyward_kit::tls::channel::ConnectionError;
use keyward_kit::{
    ready::Guard,
    tls::{channel, client::Source},
};
use keyward_proto::{MAX_REPLY_BYTES, v1::sync_client::SyncClient};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use url::Url;

/// The kubelet takes a minute or more to bring a new certificate; looking is cheap.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Above the broker's own longest message.
const MAX_MESSAGE: usize = MAX_REPLY_BYTES + 64 * 1024;

/// The way to the broker. Clones share it.
#[derive(Clone, Debug)]
pub struct Connection(channel::Connection);

impl Connection {
    /// Reads a directory, or takes what is made here. What is missing may come later; what is there must be usable.
    pub fn new(broker: &Url, source: impl Into<Source>) -> Result<Self, ConnectionError> {
        channel::Connection::new(broker.as_str(), source).map(Self)
    }

    /// Whether there are certificates to connect with.
    pub fn has_certificates(&self) -> bool {
        self.0.has_certificates()
    }

    /// Until when the certificate is valid.
    pub fn expiry(&self) -> Option<SystemTime> {
        self.0.expiry()
    }

    /// Cancelled when what is used now is not used for new requests any more.
    pub fn replaced(&self) -> CancellationToken {
        self.0.replaced()
    }

    pub(super) fn client(&self) -> SyncClient<Channel> {
        SyncClient::new(self.0.channel()).max_decoding_message_size(MAX_MESSAGE)
    }

    /// Looks for others until `shutdown`: a task. `waiting` is dropped once there are certificates.
    pub async fn watch_certificates(
        self,
        waiting: Option<Guard>,
        shutdown: CancellationToken,
    ) -> Result<(), JoinError> {
        self.0.watch(waiting, LOOK_EVERY, shutdown).await
    }
}

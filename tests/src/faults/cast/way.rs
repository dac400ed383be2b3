//! A connection to some replica, and which.

use fastrand::Rng;
use keyward_proto::v1::{secrets_client::SecretsClient, sync_client::SyncClient};
use tonic::transport::{Channel, Endpoint};

use super::launch::TryError;
use crate::faults::stage::Doors;

/// Clients of both services.
#[derive(Clone, Debug)]
pub(super) enum Connection {
    /// A pod's.
    Secrets(SecretsClient<Channel>),
    /// The controller's.
    Sync(SyncClient<Channel>),
}

/// Where somebody's calls go: as behind a Service, to any replica, which stays the same while the connection does.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// The replica that was tried last.
    pub(super) replica: usize,
    open: Option<Connection>,
}

impl Way {
    /// Lets the connection go.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// A pod's connection.
    pub(super) async fn resolving(&mut self, doors: &Doors, random: &mut Rng) -> Result<Connection, TryError> {
        let endpoint = |replica| doors.pod(replica);
        self.over(doors.count(), random, endpoint, |channel| Connection::Secrets(SecretsClient::new(channel))).await
    }

    /// The controller's connection.
    pub(super) async fn fetching(&mut self, doors: &Doors, random: &mut Rng) -> Result<Connection, TryError> {
        let endpoint = |replica| doors.controller(replica);
        self.over(doors.count(), random, endpoint, |channel| Connection::Sync(SyncClient::new(channel))).await
    }

    async fn over(
        &mut self,
        replicas: usize,
        random: &mut Rng,
        endpoint: impl Fn(usize) -> anyhow::Result<Endpoint>,
        client: impl Fn(Channel) -> Connection,
    ) -> Result<Connection, TryError> {
        if let Some(open) = &self.open {
            return Ok(open.clone());
        }
        self.replica = random.usize(..replicas);
        let endpoint = endpoint(self.replica).map_err(|error| TryError::Connect(format!("{error:#}")))?;
        let channel = endpoint.connect().await.map_err(|error| TryError::connect(&error))?;
        Ok(self.open.insert(client(channel)).clone())
    }
}

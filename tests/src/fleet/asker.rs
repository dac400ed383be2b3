//! Somebody who asks one replica as one pod.

use keyward_proto::v1::{Reference, ResolveRequest, secrets_client::SecretsClient};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

/// The way to one replica for one pod, whether it runs or not.
#[derive(Clone, Debug)]
pub struct Door {
    endpoint: Endpoint,
    token: String,
}

impl Door {
    pub(super) fn new(endpoint: Endpoint, token: String) -> Self {
        Self { endpoint, token }
    }

    /// A new connection.
    pub async fn enter(&self) -> anyhow::Result<Asker> {
        Asker::new(self.endpoint.connect().await?, &self.token)
    }
}

/// A connection and a pod's token.
#[derive(Clone, Debug)]
pub struct Asker {
    client: SecretsClient<Channel>,
    authorization: MetadataValue<Ascii>,
}

impl Asker {
    pub(super) fn new(channel: Channel, token: &str) -> anyhow::Result<Self> {
        Ok(Self { client: SecretsClient::new(channel), authorization: format!("Bearer {token}").parse()? })
    }

    /// One `Resolve` of whole objects, which are text.
    pub async fn ask(&self, names: &[&str]) -> Result<Vec<String>, Status> {
        let references = names.iter().map(|name| Reference { name: (*name).to_owned(), query: None }).collect();
        let mut request = Request::new(ResolveRequest { references, ..ResolveRequest::default() });
        request.metadata_mut().insert("authorization", self.authorization.clone());
        let values = self.client.clone().resolve(request).await?.into_inner().values;
        Ok(values.into_iter().map(|value| String::from_utf8_lossy(&value).into_owned()).collect())
    }

    /// The value of one object.
    pub async fn value(&self, name: &str) -> Result<String, Status> {
        Ok(self.ask(&[name]).await?.remove(0))
    }
}

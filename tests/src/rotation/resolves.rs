//! A pod's calls: trusting what the projected `keyward-ca` holds when it connects, and nothing else.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::{Context as _, ensure};
use hyper_util::rt::TokioIo;
use keyward_proto::v1::{Reference, ResolveRequest, secrets_client::SecretsClient};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};
use tower::service_fn;

use super::{
    load::Caller,
    scene,
    served::{Served, Server},
};

/// A pod that resolves references.
#[derive(Clone)]
pub(super) struct Pod {
    pub(super) broker: SocketAddr,
    /// The projected file.
    pub(super) authority: PathBuf,
    /// Its token, as a header.
    pub(super) authorization: MetadataValue<Ascii>,
    pub(super) served: Arc<Served>,
}

/// Each time over another connection.
pub(super) struct Anew(Pod);

/// Over one connection. Where a call fails, the next is over another.
pub(super) struct Kept(Pod, Option<SecretsClient<Channel>>);

impl Pod {
    pub(super) fn anew(self) -> Anew {
        Anew(self)
    }

    pub(super) fn kept(self) -> Kept {
        Kept(self, None)
    }

    async fn connect(&self) -> anyhow::Result<SecretsClient<Channel>> {
        let bundle = tokio::fs::read_to_string(&self.authority).await.context("keyward-ca is not projected")?;
        let stream = TcpStream::connect(self.broker).await.context("no connection")?;
        let tls = TlsConnector::from(Arc::new(trusting(&bundle)?));
        let stream = tls.connect(ServerName::try_from(scene::BROKER_NAME)?, stream).await.context("no handshake")?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        self.served.note(Server::Broker, shown.context("the broker showed no certificate")?, &bundle);
        over(stream).await
    }

    async fn resolve(&self, client: &mut SecretsClient<Channel>) -> anyhow::Result<()> {
        let references = (0..scene::SECRETS).map(|n| Reference { name: scene::reference(n), query: None });
        let mut request =
            Request::new(ResolveRequest { references: references.collect(), ..ResolveRequest::default() });
        request.metadata_mut().insert("authorization", self.authorization.clone());
        let values = client.resolve(request).await?.into_inner().values;
        let expected = (0..scene::SECRETS).map(|n| scene::value(n).into_bytes());
        ensure!(expected.eq(values.iter().cloned()), "other values");
        Ok(())
    }
}

/// A client that knows no other connection than `stream`.
async fn over(stream: TlsStream<TcpStream>) -> anyhow::Result<SecretsClient<Channel>> {
    let mut only = Some(TokioIo::new(stream));
    let connector = service_fn(move |_| {
        let stream = only.take().ok_or_else(|| io::Error::other("the connection was closed"));
        async move { stream }
    });
    let channel = Endpoint::from_static("http://localhost").connect_with_connector(connector).await?;
    Ok(SecretsClient::new(channel))
}

fn trusting(bundle: &str) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        roots.add(certificate.context("keyward-ca")?)?;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

impl Caller for Anew {
    async fn call(&mut self, _: usize) -> anyhow::Result<()> {
        self.0.resolve(&mut self.0.connect().await?).await
    }
}

impl Caller for Kept {
    async fn call(&mut self, _: usize) -> anyhow::Result<()> {
        let mut client = match self.1.take() {
            Some(client) => client,
            None => self.0.connect().await?,
        };
        self.0.resolve(&mut client).await?;
        self.1 = Some(client);
        Ok(())
    }
}

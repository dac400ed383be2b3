//! Authorities, certificates, kubelet-style directories and clients for the tests of this room.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{Alpn, Limits, ServerTls};

/// A certificate and its key, PEM.
pub(crate) struct Pair {
    pub(crate) cert: String,
    pub(crate) key: String,
}

/// A CA of its own.
pub(crate) struct Authority {
    cert: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self { cert: params.self_signed(&key).unwrap(), issuer: Issuer::new(params, key) }
    }

    pub(super) fn pem(&self) -> String {
        self.cert.pem()
    }

    /// For `localhost`.
    pub(super) fn server(&self) -> Pair {
        self.issue(SanType::DnsName("localhost".try_into().unwrap()), ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// For a role of trust domain `example.org`.
    pub(super) fn client(&self, role: &str) -> Pair {
        let uri = format!("spiffe://example.org/keyward/{role}");
        self.issue(SanType::URI(uri.try_into().unwrap()), ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(&self, name: SanType, usage: ExtendedKeyUsagePurpose) -> Pair {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![name];
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        Pair { cert: params.signed_by(&key, &self.issuer).unwrap().pem(), key: key.serialize_pem() }
    }
}

/// A directory as the kubelet lays it out: `tls.crt -> ..data/tls.crt`, `..data -> ..N`, and a swap is one rename.
pub(crate) struct KubeletDir {
    root: TempDir,
    moments: AtomicUsize,
}

impl KubeletDir {
    pub(super) fn new(pair: &Pair, trusted: &[&Authority]) -> Self {
        let dir = Self::empty();
        dir.swap(pair, trusted);
        dir
    }

    /// As an optional Secret that does not exist yet.
    pub(super) fn empty() -> Self {
        Self { root: tempfile::tempdir().unwrap(), moments: AtomicUsize::new(0) }
    }

    pub(super) fn path(&self) -> &Path {
        self.root.path()
    }

    pub(super) fn swap(&self, pair: &Pair, trusted: &[&Authority]) {
        let authorities: String = trusted.iter().map(|authority| authority.pem()).collect();
        self.swap_files(&[("tls.crt", &pair.cert), ("tls.key", &pair.key), ("ca.crt", &authorities)]);
    }

    pub(super) fn swap_without_ca(&self, pair: &Pair) {
        self.swap_files(&[("tls.crt", &pair.cert), ("tls.key", &pair.key)]);
    }

    fn swap_files(&self, files: &[(&str, &str)]) {
        let moment = format!("..{}", self.moments.fetch_add(1, Ordering::Relaxed));
        fs::create_dir(self.path().join(&moment)).unwrap();
        for (name, content) in files {
            fs::write(self.path().join(&moment).join(name), content).unwrap();
        }
        symlink(&moment, self.path().join("..data_tmp")).unwrap();
        fs::rename(self.path().join("..data_tmp"), self.path().join("..data")).unwrap();
        for (name, _) in files {
            // There already, unless this is the first moment that has the file.
            let _ = symlink(Path::new("..data").join(name), self.path().join(name));
        }
    }
}

pub(crate) const LIMITS: Limits =
    Limits { max_connections: 16, max_per_peer: 16, handshake_timeout: Duration::from_mins(1) };

/// A server's parts, bound and not yet serving.
pub(crate) struct Fixture {
    pub(crate) ca: Authority,
    pub(crate) tls: ServerTls,
    pub(crate) listener: TcpListener,
    pub(crate) addr: SocketAddr,
    pub(crate) _dir: KubeletDir,
}

pub(super) async fn fixture() -> Fixture {
    fixture_of(Alpn::Http2).await
}

pub(crate) async fn fixture_of(alpn: Alpn) -> Fixture {
    let ca = Authority::new();
    let dir = KubeletDir::new(&ca.server(), &[&ca]);
    let tls = ServerTls::load(dir.path(), alpn).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    Fixture { ca, tls, listener, addr, _dir: dir }
}

pub(super) fn client_config(trusted: &Authority, pair: Option<&Pair>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.cert.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let Some(pair) = pair else { return builder.with_no_client_auth() };
    let chain = vec![CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap()];
    builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap()).unwrap()
}

/// A client's side of a connection to `addr`.
pub(super) async fn connect(
    addr: SocketAddr,
    trusted: &Authority,
    pair: Option<&Pair>,
) -> io::Result<TlsStream<TcpStream>> {
    connect_from(Ipv4Addr::LOCALHOST, addr, trusted, pair).await
}

/// The same from an address of this machine.
pub(super) async fn connect_from(
    from: Ipv4Addr,
    addr: SocketAddr,
    trusted: &Authority,
    pair: Option<&Pair>,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(client_config(trusted, pair)));
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let mut stream = connector.connect(name, socket.connect(addr).await?).await?;
    // A peer that says nothing is not handed on.
    stream.write_all(b"!").await?;
    stream.flush().await?;
    Ok(stream)
}

/// A client's side that offers these protocols and begins with `first`.
pub(crate) async fn connect_with(
    protocols: &[&[u8]],
    addr: SocketAddr,
    trusted: &Authority,
    first: &str,
) -> io::Result<TlsStream<TcpStream>> {
    let mut config = client_config(trusted, None);
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(addr).await?).await?;
    stream.write_all(first.as_bytes()).await?;
    stream.flush().await?;
    Ok(stream)
}

/// A whole exchange in memory: both sides' certificates accepted, a byte there and back.
pub(super) async fn handshake(tls: &ServerTls, trusted: &Authority, pair: Option<&Pair>) -> io::Result<()> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let server = async {
        let mut stream = TlsAcceptor::from(tls.current().unwrap()).accept(far).await?;
        stream.write_all(b"!").await?;
        stream.flush().await
    };
    let client = async {
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::new(client_config(trusted, pair))).connect(name, near).await?;
        // In TLS 1.3 a client learns only here that its certificate was refused.
        stream.read_u8().await
    };
    let (there, back) = tokio::join!(server, client);
    there?;
    back.map(drop)
}

//! A client that hides nothing: one request on one TLS connection, and the very bytes that come back.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use keyward_tests::vault::Emulator;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::support::token;

/// Long enough that an answer on its way would be there.
const SILENCE: Duration = Duration::from_millis(150);

/// A connection with a request sent on it.
pub(crate) struct Socket {
    stream: TlsStream<TcpStream>,
    got: Vec<u8>,
}

impl Socket {
    /// Asks a vault, as an identity that may.
    pub(crate) async fn get(emulator: &Emulator, vault: &str, path: &str) -> Self {
        let url = emulator.vault_url(vault);
        let token = token(emulator).await;
        let authorization = format!("Authorization: Bearer {token}\r\n");
        Self::send(emulator, &url, &format!("GET {path}?api-version=7.6"), &authorization, "").await
    }

    /// Asks whatever listens at an origin.
    pub(crate) async fn send(emulator: &Emulator, url: &str, start: &str, headers: &str, body: &str) -> Self {
        let host = url.trim_start_matches("https://");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(emulator.ca_pem().as_bytes()).unwrap()).unwrap();
        let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let tcp = TcpStream::connect(host).await.unwrap();
        let name = ServerName::try_from(host.split(':').next().unwrap().to_owned()).unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
        let length = body.len();
        let request = format!("{start} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        Self { stream, got: Vec::new() }
    }

    /// Reads until the headers are there; the status line.
    pub(crate) async fn status_line(&mut self) -> &str {
        while !self.text().contains("\r\n\r\n") {
            let read = self.stream.read_buf(&mut self.got).await.unwrap();
            assert_ne!(read, 0, "the connection ended before the headers did");
        }
        self.text().lines().next().unwrap()
    }

    /// Reads until the body has this many bytes; more must not come at once.
    pub(crate) async fn body_of(&mut self, bytes: usize) -> String {
        while self.body().len() < bytes {
            let read = self.stream.read_buf(&mut self.got).await.unwrap();
            assert_ne!(read, 0, "the connection ended after {} bytes of the body", self.body().len());
        }
        assert_eq!(self.body().len(), bytes);
        self.body().to_owned()
    }

    /// Reads to the end of the connection: how it ended.
    pub(crate) async fn end(&mut self) -> io::Error {
        loop {
            match self.stream.read_buf(&mut self.got).await {
                Ok(0) => return io::ErrorKind::UnexpectedEof.into(),
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    }

    /// Whether nothing comes for a while, not even the end.
    pub(crate) async fn is_silent(&mut self) -> bool {
        tokio::time::timeout(SILENCE, self.stream.read_buf(&mut self.got)).await.is_err()
    }

    /// All that came.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.got).unwrap()
    }

    /// What came of the body.
    pub(crate) fn body(&self) -> &str {
        self.text().split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    /// What `Content-Length` says.
    pub(crate) fn content_length(&self) -> usize {
        let (head, _) = self.text().split_once("\r\n\r\n").unwrap();
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        length.unwrap()
    }
}

//! One accepted connection, as the calls on it may treat it: a fault can cut it off without an answer, which neither
//! axum nor hyper lets a handler do.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// A handle to the connection; every request carries one.
#[derive(Clone, Default)]
pub(super) struct Line {
    cut: CancellationToken,
    /// The socket is to be reset when it is closed.
    abortive: Arc<AtomicBool>,
}

impl Line {
    /// Resets the connection: its client gets a TCP RST in place of an answer. The call ends with the connection.
    pub(super) async fn reset(&self) -> Infallible {
        self.abortive.store(true, Ordering::Release);
        self.cut.cancel();
        pending().await
    }

    /// Returns once the connection is to be dropped as it is.
    pub(super) async fn was_cut(&self) {
        self.cut.cancelled().await;
    }

    /// The connection's socket, which closes as the handle says.
    pub(super) fn over(&self, stream: TcpStream) -> Wire {
        Wire { stream, abortive: self.abortive.clone() }
    }
}

/// A socket that knows how to close.
pub(super) struct Wire {
    stream: TcpStream,
    abortive: Arc<AtomicBool>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.abortive.load(Ordering::Acquire)
            && let Err(error) = self.stream.set_zero_linger()
        {
            tracing::warn!(%error, "cannot reset a connection; it is closed instead");
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

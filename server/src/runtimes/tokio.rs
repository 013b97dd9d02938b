//! tokio, with sockets that can be used through `&self`.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::tokio::io::Interest;
use ::tokio::net::{TcpListener, TcpSocket, TcpStream};
use ::tokio::time;
use futures_lite::io::{AsyncRead, AsyncWrite};
use socket2::SockRef;

use super::{Listener, Platform, Stream};

/// As treescope's listener has it.
const BACKLOG: u32 = 4096;

/// tokio, with either of its schedulers.
#[derive(Debug)]
pub enum Tokio {}

impl Platform for Tokio {
    type Listener = TokioListener;
    type Stream = TokioStream;

    fn listen(addr: SocketAddr) -> io::Result<TokioListener> {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        socket.listen(BACKLOG).map(TokioListener)
    }

    async fn sleep(duration: Duration) {
        time::sleep(duration).await;
    }

    async fn timeout<F: Future + Send>(limit: Duration, future: F) -> Option<F::Output> {
        time::timeout(limit, future).await.ok()
    }

    /// It always runs the task woken last next, whatever is handed over.
    fn hand_over<R>(f: impl FnOnce() -> R) -> R {
        f()
    }
}

/// A listening socket of tokio's.
#[derive(Debug)]
pub struct TokioListener(TcpListener);

impl Listener for TokioListener {
    type Platform = Tokio;

    async fn accept(&self) -> io::Result<(TokioStream, SocketAddr)> {
        let (socket, peer) = self.0.accept().await?;
        Ok((TokioStream(socket), peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A connection of tokio's, for a reader and a writer that share it.
///
/// tokio's own ways to read and write at once are halves, which take the socket apart, and `try_read` through
/// `&self`, which costs a system call more per message: unlike tokio's `AsyncRead` it does not take a
/// short read for the last one. This one does, so that tokio is measured at its best.
#[derive(Debug)]
pub struct TokioStream(TcpStream);

impl TokioStream {
    /// Does `operation` when the socket may be ready for it. `short`: whether its result shows that the socket is
    /// not ready for another.
    fn poll_io(
        &self,
        interest: Interest,
        cx: &mut Context<'_>,
        mut operation: impl FnMut(&socket2::Socket) -> io::Result<usize>,
        short: impl Fn(usize) -> bool,
    ) -> Poll<io::Result<usize>> {
        loop {
            if interest.is_readable() {
                ready!(self.0.poll_read_ready(cx))?;
            } else {
                ready!(self.0.poll_write_ready(cx))?;
            }
            let mut done = None;
            let result = self.0.try_io(interest, || match operation(&SockRef::from(&self.0))? {
                // What makes tokio forget that the socket was ready.
                n if short(n) => {
                    done = Some(n);
                    Err(ErrorKind::WouldBlock.into())
                }
                n => Ok(n),
            });
            match (done, result) {
                (Some(n), _) => return Poll::Ready(Ok(n)),
                (None, Err(error))
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                (None, result) => return Poll::Ready(result),
            }
        }
    }
}

impl AsyncRead for &TokioStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let len = buf.len();
        // An end of file is seen again by the next read.
        self.poll_io(Interest::READABLE, cx, |mut socket| socket.read(buf), |n| 0 < n && n < len)
    }
}

/// Closing closes the writing direction; flushing has nothing to do.
impl AsyncWrite for &TokioStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_io(Interest::WRITABLE, cx, |mut socket| socket.write(buf), |n| 0 < n && n < buf.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = bufs.iter().map(|buf| buf.len()).sum();
        self.poll_io(Interest::WRITABLE, cx, |mut socket| socket.write_vectored(bufs), |n| 0 < n && n < len)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&self.0).shutdown(std::net::Shutdown::Write))
    }
}

impl AsFd for TokioStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Stream for TokioStream {
    type Platform = Tokio;

    fn poll_read(&self, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read(cx, space)
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write(cx, bytes)
    }

    fn poll_write_vectored(&self, cx: &mut Context<'_>, bytes: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write_vectored(cx, bytes)
    }
}

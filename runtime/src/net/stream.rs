//! A connection.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{self, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::io::{AsyncRead, AsyncWrite};

use super::{ReadHalf, WriteHalf};
use crate::driver::Driver;
use crate::driver::sockets::{Direction, Registered};
use crate::sync::Arc;

/// Buffers that one vectored system call takes (`IOV_MAX`); the rest are not looked at.
const BUFFERS_PER_CALL: usize = 1024;

/// A TCP connection.
///
/// Reading and writing take `&self`; [`AsyncRead`] and [`AsyncWrite`] are implemented for `&TcpStream` too.
/// Dropping it closes the connection.
pub struct TcpStream {
    socket: Registered<mio::net::TcpStream>,
}

impl TcpStream {
    /// Connects to `addr`. There is no look-up of names here, for the system's blocks.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused`, `HostUnreachable`, `TimedOut` (after the system's own two minutes or so) and others of
    /// the system's; `Other` outside a runtime.
    pub async fn connect(addr: impl Into<SocketAddr>) -> io::Result<Self> {
        Self::connect_on(&super::current_driver()?, addr.into()).await
    }

    pub(crate) async fn connect_on(driver: &Arc<Driver>, addr: SocketAddr) -> io::Result<Self> {
        let socket = mio::net::TcpStream::connect(addr)?;
        // Not taken for ready: the first edge tells that the connection was made or refused.
        let stream = Self { socket: Registered::new(driver, socket, false)? };
        poll_fn(|cx| stream.socket.poll_io(Direction::Write, cx, connection_made, |_| false)).await?;
        Ok(stream)
    }

    /// A connection that exists.
    pub(crate) fn connected(driver: &Arc<Driver>, socket: mio::net::TcpStream) -> io::Result<Self> {
        Ok(Self { socket: Registered::new(driver, socket, true)? })
    }

    /// Takes over a connected stream and puts it in non-blocking mode.
    ///
    /// # Errors
    ///
    /// The system's; `Other` outside a runtime.
    pub fn from_std(stream: net::TcpStream) -> io::Result<Self> {
        let driver = super::current_driver()?;
        stream.set_nonblocking(true)?;
        Self::connected(&driver, mio::net::TcpStream::from_std(stream))
    }

    /// Takes the stream out of the runtime. It stays in non-blocking mode.
    ///
    /// # Errors
    ///
    /// The system's; the stream is then closed.
    pub fn into_std(self) -> io::Result<net::TcpStream> {
        self.socket.into_inner().map(net::TcpStream::from)
    }

    /// Reads what is there, up to `buf.len()` bytes, waiting for the first. 0: the end of the stream, or an empty
    /// `buf`. Dropping the wait loses no bytes.
    ///
    /// # Errors
    ///
    /// `ConnectionReset` and others of the system's.
    pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read_into(cx, buf)).await
    }

    /// As [`read`](Self::read), filling several buffers in order with one system call.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read_into_all(cx, bufs)).await
    }

    /// Reads without taking: the next read sees the same bytes again.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        // What is peeked at stays, so a short result proves nothing about what is left.
        poll_fn(|cx| self.socket.poll_io(Direction::Read, cx, |socket| socket.peek(buf), |_| false)).await
    }

    /// Writes what the system takes of `buf`, at least one byte unless `buf` is empty.
    ///
    /// # Errors
    ///
    /// `ConnectionReset`, `BrokenPipe` and others of the system's.
    pub async fn write(&self, buf: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_write_from(cx, buf)).await
    }

    /// As [`write`](Self::write), from several buffers in order with one system call.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub async fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_write_from_all(cx, bufs)).await
    }

    /// Waits until a read is worth trying. It may still find nothing.
    pub async fn readable(&self) {
        poll_fn(|cx| self.poll_readable(cx)).await;
    }

    /// Waits until a write is worth trying. It may still find no room.
    pub async fn writable(&self) {
        poll_fn(|cx| self.poll_writable(cx)).await;
    }

    /// [`readable`](Self::readable) for hand-written futures.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.socket.poll_ready(Direction::Read, cx)
    }

    /// [`writable`](Self::writable) for hand-written futures.
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.socket.poll_ready(Direction::Write, cx)
    }

    /// Reads what is there without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is nothing, without a system call if that is known; else as [`read`](Self::read).
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let len = buf.len();
        self.socket.try_io(Direction::Read, |mut socket| socket.read(buf), |&n| exhausted(n, len))
    }

    /// As [`try_read`](Self::try_read), filling several buffers.
    ///
    /// # Errors
    ///
    /// As [`try_read`](Self::try_read).
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let len = asked_for(bufs);
        self.socket.try_io(Direction::Read, |mut socket| socket.read_vectored(bufs), |&n| exhausted(n, len))
    }

    /// Writes what the system takes without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room, without a system call if that is known; else as [`write`](Self::write).
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket.try_io(Direction::Write, |mut socket| socket.write(buf), |_| false)
    }

    /// As [`try_write`](Self::try_write), from several buffers.
    ///
    /// # Errors
    ///
    /// As [`try_write`](Self::try_write).
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.try_io(Direction::Write, |mut socket| socket.write_vectored(bufs), |_| false)
    }

    /// Borrows the two directions apart, for a reader and a writer.
    #[must_use]
    pub fn split(&self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf::new(self), WriteHalf::new(self))
    }

    /// Closes one direction or both, for whoever uses this connection. A waiting read then sees its end.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the peer is already gone, and others of the system's.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.get().shutdown(how)
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`) instead of being held back to be joined.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket.get().set_nodelay(nodelay)
    }

    /// Whether small writes are sent at once.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket.get().nodelay()
    }

    /// The other end's address.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the peer is already gone, and others of the system's.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get().peer_addr()
    }

    /// This end's address.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get().local_addr()
    }

    fn poll_read_into(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let len = buf.len();
        self.socket.poll_io(Direction::Read, cx, |mut socket| socket.read(buf), |&n| exhausted(n, len))
    }

    fn poll_read_into_all(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = asked_for(bufs);
        let read = |mut socket: &mio::net::TcpStream| socket.read_vectored(bufs);
        self.socket.poll_io(Direction::Read, cx, read, |&n| exhausted(n, len))
    }

    // A short write does fill the kernel's buffer, but only a writer that meets backpressure could save a call by
    // knowing it, and would have to know how many buffers of a vectored write were looked at.
    fn poll_write_from(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_io(Direction::Write, cx, |mut socket| socket.write(buf), |_| false)
    }

    fn poll_write_from_all(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.socket.poll_io(Direction::Write, cx, |mut socket| socket.write_vectored(bufs), |_| false)
    }

    fn close_writing(&self) -> io::Result<()> {
        match self.shutdown(Shutdown::Write) {
            // The peer was faster; what was to be closed is closed.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }
}

/// Whether a read of `n` out of `len` bytes proves that the kernel has no more for now; see
/// [`readiness`](crate::driver::readiness). The proof is epoll's; kqueue gets the further call.
fn exhausted(n: usize, len: usize) -> bool {
    cfg!(any(target_os = "linux", target_os = "android")) && 0 < n && n < len
}

/// What one vectored read can fill at most. To sum up buffers beyond the call's limit would take a full read for a
/// short one, and lose the readiness for the rest.
fn asked_for(bufs: &[IoSliceMut<'_>]) -> usize {
    bufs.iter().take(BUFFERS_PER_CALL).map(|buf| buf.len()).sum()
}

/// What became of a connection attempt. `WouldBlock`: nothing yet, the edge was for something else.
fn connection_made(socket: &mio::net::TcpStream) -> io::Result<()> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Err(io::ErrorKind::WouldBlock.into()),
        result => result.map(drop),
    }
}

impl AsyncRead for &TcpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_read_into(cx, buf)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_into_all(cx, bufs)
    }
}

/// Closing closes the writing direction; flushing has nothing to do.
impl AsyncWrite for &TcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_from(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_from_all(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.close_writing())
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_read_into(cx, buf)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_into_all(cx, bufs)
    }
}

/// Closing closes the writing direction; flushing has nothing to do.
impl AsyncWrite for TcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_from(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_from_all(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.close_writing())
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.get().as_fd()
    }
}

impl AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.get().as_raw_fd()
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.get().fmt(f)
    }
}

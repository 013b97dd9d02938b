//! The two directions of a borrowed stream.
//!
//! The halves add no state. They are for saying who reads and who writes, and for handing each to a child task
//! of a scope that owns the stream.

use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::io::{AsyncRead, AsyncWrite};

use super::TcpStream;

/// The reading direction of a [`TcpStream`]; see [`TcpStream::split`]. Dropping it closes nothing.
#[derive(Debug)]
pub struct ReadHalf<'a> {
    stream: &'a TcpStream,
}

/// The writing direction of a [`TcpStream`]; see [`TcpStream::split`]. Dropping it closes nothing: only
/// [`close`](Self::close) tells the peer that no more will come.
#[derive(Debug)]
pub struct WriteHalf<'a> {
    stream: &'a TcpStream,
}

impl<'a> ReadHalf<'a> {
    pub(super) fn new(stream: &'a TcpStream) -> Self {
        Self { stream }
    }

    /// The stream it belongs to.
    #[must_use]
    pub fn stream(&self) -> &'a TcpStream {
        self.stream
    }

    /// See [`TcpStream::read`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buf).await
    }

    /// See [`TcpStream::read_vectored`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.stream.read_vectored(bufs).await
    }

    /// See [`TcpStream::peek`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.peek(buf).await
    }

    /// See [`TcpStream::readable`].
    pub async fn readable(&self) {
        self.stream.readable().await;
    }

    /// See [`TcpStream::try_read`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.try_read(buf)
    }
}

impl<'a> WriteHalf<'a> {
    pub(super) fn new(stream: &'a TcpStream) -> Self {
        Self { stream }
    }

    /// The stream it belongs to.
    #[must_use]
    pub fn stream(&self) -> &'a TcpStream {
        self.stream
    }

    /// See [`TcpStream::write`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn write(&self, buf: &[u8]) -> io::Result<usize> {
        self.stream.write(buf).await
    }

    /// See [`TcpStream::write_vectored`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(bufs).await
    }

    /// See [`TcpStream::writable`].
    pub async fn writable(&self) {
        self.stream.writable().await;
    }

    /// See [`TcpStream::try_write`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.stream.try_write(buf)
    }

    /// See [`TcpStream::try_write_vectored`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.try_write_vectored(bufs)
    }

    /// Tells the peer that no more will come, after what was written. Done already by a peer that is gone: fine.
    ///
    /// # Errors
    ///
    /// The system's.
    pub async fn close(&mut self) -> io::Result<()> {
        futures_lite::AsyncWriteExt::close(&mut self.stream).await
    }
}

impl AsyncRead for ReadHalf<'_> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read_vectored(cx, bufs)
    }
}

/// Closing closes the writing direction; flushing has nothing to do.
impl AsyncWrite for WriteHalf<'_> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

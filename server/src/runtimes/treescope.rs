//! This project's runtime: its sockets are as the traits want them.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::treescope::net::{TcpListener, TcpStream};
use ::treescope::time;
use futures_lite::io::{AsyncRead, AsyncWrite};

use super::{Listener, Platform, Stream};

/// This project's runtime.
#[derive(Debug)]
pub enum Treescope {}

impl Platform for Treescope {
    type Listener = TcpListener;
    type Stream = TcpStream;

    fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(addr)
    }

    async fn sleep(duration: Duration) {
        time::sleep(duration).await;
    }

    async fn timeout<F: Future + Send>(limit: Duration, future: F) -> Option<F::Output> {
        time::timeout(limit, future).await.ok()
    }

    fn hand_over<R>(f: impl FnOnce() -> R) -> R {
        ::treescope::hand_over(f)
    }
}

impl Listener for TcpListener {
    type Platform = Treescope;

    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        TcpListener::accept(self)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpListener::local_addr(self)
    }
}

impl Stream for TcpStream {
    type Platform = Treescope;

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

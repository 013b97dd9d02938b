//! The listening socket.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{self, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll, ready};

use socket2::{Domain, Protocol, Socket, Type};

use super::TcpStream;
use crate::driver::Driver;
use crate::driver::sockets::{Direction, Registered};
use crate::sync::Arc;

/// Connections that have been made but not accepted yet; the kernel lowers it to its own limit
/// (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// A TCP socket that accepts connections.
pub struct TcpListener {
    socket: Registered<mio::net::TcpListener>,
}

impl TcpListener {
    /// Listens on the first of `addr`'s addresses that can be bound. Port 0: the kernel chooses one, see
    /// [`local_addr`](Self::local_addr).
    ///
    /// `SO_REUSEADDR` is set, so that a server can be restarted while its former connections linger; it does not
    /// let two listeners have one port. A host *name* is looked up by the system, which blocks the thread.
    ///
    /// # Errors
    ///
    /// `AddrInUse` for a taken port, `PermissionDenied`, `InvalidInput` if there is no address, and others of the
    /// system's; `Other` outside a runtime.
    pub fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Self::bind_on(&super::current_driver()?, addr)
    }

    pub(crate) fn bind_on(driver: &Arc<Driver>, addr: impl ToSocketAddrs) -> io::Result<Self> {
        let mut last = None;
        for addr in addr.to_socket_addrs()? {
            match listen(addr) {
                Ok(listener) => return Self::from_std_on(driver, listener),
                Err(error) => last = Some(error),
            }
        }
        let none = || io::Error::new(io::ErrorKind::InvalidInput, "the address names no socket address");
        Err(last.unwrap_or_else(none))
    }

    /// Takes over a listener and puts it in non-blocking mode.
    ///
    /// # Errors
    ///
    /// The system's; `Other` outside a runtime.
    pub fn from_std(listener: net::TcpListener) -> io::Result<Self> {
        Self::from_std_on(&super::current_driver()?, listener)
    }

    fn from_std_on(driver: &Arc<Driver>, listener: net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let socket = mio::net::TcpListener::from_std(listener);
        Ok(Self { socket: Registered::new(driver, socket, true)? })
    }

    /// The next connection and its peer's address. Dropping the wait loses no connection.
    ///
    /// A connection that died before it was accepted is passed over.
    ///
    /// # Errors
    ///
    /// When the process or the system is out of descriptors (`EMFILE`, `ENFILE`) or memory: the connection stays
    /// queued and the next call tries at once, so a server should close something or wait before it calls again.
    /// Other errors are the system's.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// [`accept`](Self::accept) for hand-written futures.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        loop {
            // Readiness is cleared by `WouldBlock` alone. After `EMFILE` it must stay: the connection is still
            // queued, and an edge that was reported once is not reported again.
            let accept = |socket: &mio::net::TcpListener| socket.accept();
            match ready!(self.socket.poll_io(Direction::Read, cx, accept, |_| false)) {
                // `poll_io` charges the task's budget every time round, so that a flood of them ends.
                Err(error) if concerns_only_the_connection(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok((stream, peer)) => {
                    return Poll::Ready(
                        TcpStream::connected(self.socket.driver(), stream).map(|it| (it, peer)),
                    );
                }
            }
        }
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.get().local_addr()
    }
}

fn listen(addr: SocketAddr) -> io::Result<net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Linux hands errors that are already pending on the new connection to `accept`; see accept(2).
fn concerns_only_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, NetworkDown, NetworkUnreachable,
    };
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | HostUnreachable | NetworkDown | NetworkUnreachable
    )
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.get().as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.get().as_raw_fd()
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.get().fmt(f)
    }
}

//! Accepting, when the system has nothing more to give as well.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use futures_lite::future;
use socket2::{SockRef, TcpKeepalive};

use crate::router::{Guest, Hold};
use crate::runtimes::{Listener, Platform, StreamOf};
use crate::shutdown::Stop;

/// How long accepting pauses when the system is out of file descriptors or memory; less if a
/// connection ends meanwhile.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// How long a connection is silent before the kernel asks whether the peer is there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Accepts guests until `stop` tells so, as many at a time as the limits allow, and gives each to `connect`.
pub async fn each<R: Hold, L: Listener>(
    router: R,
    listener: L,
    stop: &mut impl Stop,
    mut connect: impl FnMut(Guest<R>, StreamOf<L>),
) {
    let mut acceptor = Acceptor::new(listener, router.clone());
    let most = router.limits().max_connections;
    let accept = async {
        loop {
            router.until(|count| count.live < most).await;
            let socket = acceptor.next().await;
            if let Some(guest) = Guest::new(router.clone()) {
                connect(guest, socket);
            }
        }
    };
    future::or(stop.told(), accept).await;
}

/// Accepts connections, one at a time, and never fails for good.
#[derive(Debug)]
pub struct Acceptor<R, L> {
    listener: L,
    router: R,
    /// A shortage has been logged, and nothing has been accepted since.
    short: bool,
}

impl<R: Hold, L: Listener> Acceptor<R, L> {
    /// Accepts from `listener` for `router`.
    pub fn new(listener: L, router: R) -> Self {
        Acceptor { listener, router, short: false }
    }

    /// The next connection. Waits while the system has no room for it.
    pub async fn next(&mut self) -> StreamOf<L> {
        loop {
            match self.listener.accept().await {
                Ok((socket, peer)) => {
                    self.short = false;
                    if let Err(error) = set_options(&socket) {
                        // The peer has gone already; the reader will find out.
                        tracing::debug!(%peer, %error, "no socket options");
                    }
                    tracing::debug!(%peer, "accepted");
                    return socket;
                }
                Err(error) if concerns_one_connection(&error) => tracing::debug!(%error, "not accepted"),
                Err(error) => self.pause(&error).await,
            }
        }
    }

    /// What could not be accepted stays in the listener's queue, so the listener stays ready and another
    /// attempt at once would fail again, and again.
    async fn pause(&mut self, error: &io::Error) {
        self.router.stats().accept_pauses.add(1);
        if !self.short {
            tracing::warn!(%error, "accepting pauses until there is room again");
            self.short = true;
        }
        let departed = self.router.count().departed;
        let somebody_left = self.router.until(|count| count.departed != departed);
        future::or(somebody_left, L::Platform::sleep(PAUSE)).await;
    }
}

/// Frames leave at once. A peer that has vanished without a word is noticed after some minutes, though
/// nothing is sent to it: else it would keep its place for ever.
pub(crate) fn set_options(socket: &impl AsFd) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))
}

/// Whether the error is about a connection that came and went before it was accepted. Any other is
/// about the system, and pauses.
pub(crate) fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted};
    use io::ErrorKind::{NetworkDown, NetworkUnreachable, TimedOut};
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | TimedOut
    )
}

//! From the connection's queue to the socket.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use futures_lite::io::{AsyncRead, AsyncWrite};
use socket2::SockRef;
use treescope::time::timeout;

use super::Link;
use super::read::SCRATCH;

/// How long a client must be silent before its socket is closed, see [`Link::linger`].
const SILENCE: Duration = Duration::from_millis(50);

/// The same for a client that has just sent something and may well go on.
const SILENCE_OF_A_SENDER: Duration = Duration::from_millis(500);

enum WriteEnd {
    /// The seat was closed: the queue has been dropped.
    Closed,
    /// The client took nothing for too long.
    Stalled,
    /// The connection broke.
    Broken(io::Error),
}

impl Link<'_> {
    /// Writes whatever is queued until there will be nothing more, the connection breaks, or the client
    /// takes nothing for `stall_timeout`.
    pub async fn write(&self) {
        let mut batch = Vec::new();
        while self.seat.take(&mut batch).await {
            match self.write_batch(&batch).await {
                Ok(()) => continue,
                Err(WriteEnd::Closed) => {}
                Err(WriteEnd::Stalled) => {
                    self.router.stats().stalls.add(1);
                    let queued = self.seat.queued();
                    tracing::info!(id = self.id(), queued, "stalled: the client takes nothing, disconnected");
                }
                Err(WriteEnd::Broken(error)) => tracing::debug!(id = self.id(), %error, "broken on write"),
            }
            return self.close();
        }
        self.linger().await;
    }

    async fn write_batch(&self, batch: &[u8]) -> Result<(), WriteEnd> {
        let mut written = 0;
        while written < batch.len() {
            let rest = &batch[written..];
            let n = match timeout(self.router.limits().stall_timeout, self.write_some(rest)).await {
                Ok(taken) => taken?,
                Err(_) => self.write_unasked(rest)?,
            };
            let stats = self.router.stats();
            stats.writes.add(1);
            stats.written.add(n);
            written += n;
            if written < batch.len() {
                self.seat.wrote(n);
            }
        }
        Ok(())
    }

    async fn write_some(&self, bytes: &[u8]) -> Result<usize, WriteEnd> {
        poll_fn(|cx| match Pin::new(&mut &self.socket).poll_write(cx, bytes) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(WriteEnd::Broken(ErrorKind::WriteZero.into()))),
            Poll::Ready(result) => Poll::Ready(result.map_err(WriteEnd::Broken)),
            Poll::Pending => self.seat.poll_closed(cx).map(|()| Err(WriteEnd::Closed)),
        })
        .await
    }

    /// The kernel has not said for `stall_timeout` that there is room. It says so when a good part of its
    /// buffer is free, which a client on a slow line may not have achieved, so one write is tried before
    /// the client is taken for stalled.
    fn write_unasked(&self, bytes: &[u8]) -> Result<usize, WriteEnd> {
        match SockRef::from(&self.socket).send(bytes) {
            Ok(n) if n > 0 => Ok(n),
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Err(WriteEnd::Broken(error))
            }
            _ => Err(WriteEnd::Stalled),
        }
    }

    /// Everything is written: tells the client so, and gives what is on its way a chance to arrive.
    ///
    /// A socket that is closed with input unread resets the connection, and a reset overtakes output
    /// that the kernel has not delivered yet. So input is discarded until the client closes its side,
    /// or has been silent for a moment. Its reader has ended, so nobody else reads.
    async fn linger(&self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
        let mut silence = SILENCE;
        while let Ok(true) = timeout(silence, self.discard_some()).await {
            silence = SILENCE_OF_A_SENDER;
        }
    }

    /// `false`: there is nothing more to discard.
    async fn discard_some(&self) -> bool {
        poll_fn(|cx| {
            let read = SCRATCH.with_borrow_mut(|space| Pin::new(&mut &self.socket).poll_read(cx, space));
            match read {
                Poll::Ready(read) => Poll::Ready(read.is_ok_and(|n| n > 0)),
                Poll::Pending => self.seat.poll_closed(cx).map(|()| false),
            }
        })
        .await
    }
}

//! From the connection's queue to the socket.

use std::future::poll_fn;
use std::io::{self, ErrorKind};

use futures_lite::future;
use socket2::SockRef;

use super::{Gone, Link};
use crate::router::Hold;
use crate::runtimes::{Platform, Stream};

impl<R: Hold, S: Stream> Link<R, S> {
    /// Writes whatever is queued until there will be nothing more, and closes the sending side.
    ///
    /// # Errors
    ///
    /// [`Gone::Broken`], and [`Gone::Stalled`] if the client takes nothing for `stall_timeout`.
    pub async fn write(&self) -> Result<(), Gone> {
        let mut batch = Vec::new();
        while self.seat.take(&mut batch).await {
            if let Err(gone) = self.write_batch(&batch).await {
                gone.count(self.router().stats());
                return Err(gone);
            }
        }
        Box::pin(self.linger()).await;
        Ok(())
    }

    async fn write_batch(&self, batch: &[u8]) -> Result<(), Gone> {
        let mut written = 0;
        while written < batch.len() {
            let rest = &batch[written..];
            let n = match self.write_in_time(rest).await {
                Some(taken) => taken?,
                None => self.write_unasked(rest)?,
            };
            let stats = self.router().stats();
            stats.writes.add(1);
            stats.written.add(n);
            written += n;
            if written < batch.len() {
                self.seat.wrote(n);
            }
        }
        Ok(())
    }

    /// `None`: the kernel has not said for `stall_timeout` that there is room.
    async fn write_in_time(&self, bytes: &[u8]) -> Option<io::Result<usize>> {
        // There nearly always is, and then nobody asks what time it is.
        if let Some(taken) = future::poll_once(self.write_some(bytes)).await {
            return Some(taken);
        }
        // In a box, as in `read`: a writer that sleeps should not be spread over what it seldom does.
        Box::pin(S::Platform::timeout(self.limits().stall_timeout, self.write_some(bytes))).await
    }

    async fn write_some(&self, bytes: &[u8]) -> io::Result<usize> {
        match poll_fn(|cx| self.socket.poll_write(cx, bytes)).await {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            result => result,
        }
    }

    /// Nobody was told in time that there is room. The kernel says so when a good part of its
    /// buffer is free, which a client on a slow line may not have achieved, so one write is tried before
    /// the client is taken for stalled.
    fn write_unasked(&self, bytes: &[u8]) -> Result<usize, Gone> {
        match SockRef::from(&self.socket).send(bytes) {
            Ok(n) if n > 0 => Ok(n),
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Err(error.into())
            }
            _ => Err(Gone::Stalled(self.limits().stall_timeout, self.seat.queued())),
        }
    }
}

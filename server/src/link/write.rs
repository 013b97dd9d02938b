//! From the connection's queue to the socket.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::task::{Context, Poll, ready};

use socket2::SockRef;

use super::{Gone, Link};
use crate::router::Hold;
use crate::runtimes::{Platform, Stream};

/// What the writer has taken out of the queue.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    /// How many of them the kernel has.
    written: usize,
}

impl Batch {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }
}

/// Why a writer does not go on writing.
enum Halt {
    /// There is and will be nothing more to write.
    Ended,
    /// There is no room at the moment.
    Full,
}

impl<R: Hold, S: Stream> Link<R, S> {
    /// Writes whatever is queued until there will be nothing more, and closes the sending side.
    ///
    /// # Errors
    ///
    /// [`Gone::Broken`], and [`Gone::Stalled`] if the client takes nothing for `stall_timeout`.
    pub async fn write(&self) -> Result<(), Gone> {
        let mut batch = Batch::default();
        while let Halt::Full = self.counted(poll_fn(|cx| self.poll_write(cx, &mut batch)).await)? {
            self.counted(Box::pin(self.write_in_time(&mut batch)).await)?;
        }
        Box::pin(self.linger()).await;
        Ok(())
    }

    /// Takes what is queued and writes it, again and again.
    fn poll_write(&self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<Result<Halt, Gone>> {
        loop {
            if batch.rest().is_empty() {
                batch.written = 0;
                if !ready!(self.seat.poll_take(&mut batch.bytes, cx)) {
                    return Poll::Ready(Ok(Halt::Ended));
                }
            }
            match self.socket.poll_write(cx, batch.rest()) {
                Poll::Ready(taken) => self.wrote(batch, taken?)?,
                // Not waited for here: nobody asks what time it is unless the client makes the writer wait.
                Poll::Pending => return Poll::Ready(Ok(Halt::Full)),
            }
        }
    }

    /// Waits until the kernel has room, for at most `stall_timeout`, and writes once.
    async fn write_in_time(&self, batch: &mut Batch) -> Result<(), Gone> {
        let some = poll_fn(|cx| self.socket.poll_write(cx, batch.rest()));
        let taken = match S::Platform::timeout(self.limits().stall_timeout, some).await {
            Some(taken) => taken?,
            None => self.write_unasked(batch.rest())?,
        };
        self.wrote(batch, taken)
    }

    /// The kernel took so many bytes.
    fn wrote(&self, batch: &mut Batch, taken: usize) -> Result<(), Gone> {
        if taken == 0 {
            return Err(io::Error::from(ErrorKind::WriteZero).into());
        }
        let stats = self.router().stats();
        stats.writes.add(1);
        stats.written.add(taken);
        batch.written += taken;
        if !batch.rest().is_empty() {
            self.seat.wrote(taken);
        }
        Ok(())
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

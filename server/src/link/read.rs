//! From the socket to the receivers' queues.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::{Gone, Link};
use crate::protocol::{Inbox, TooLong};
use crate::router::{Hold, Routed};
use crate::runtimes::{Platform, Stream};

/// The most that one read takes. Larger reads made no difference to throughput; smaller ones cost
/// system calls when much is on its way.
pub(crate) const READ: usize = 64 << 10;

/// So much is written while it is still in the caches, instead of when its turn comes: more would hardly gather.
const LONG: usize = 16 << 10;

thread_local! {
    /// What the connections on this thread read into, one after the other: only what is not consumed
    /// at once is copied to the connection itself, so an idle connection holds no buffer.
    pub(crate) static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into_boxed_slice());
}

/// Why a reader does not go on reading.
enum Halt {
    /// There is nothing more to read, or it was told to stop.
    Ended,
    /// A receiver is full.
    Blocked,
}

impl<R: Hold, S: Stream> Link<R, S> {
    /// Reads and routes frames until the client has closed its sending side or `stop` is ready. What was sent
    /// of an incomplete frame is discarded then; what was read of complete ones is delivered first.
    ///
    /// A frame whose receiver is full makes this reader wait, so TCP pushes back on this sender alone.
    ///
    /// `stop` is `Unpin` lest it be moved, and kept twice.
    ///
    /// # Errors
    ///
    /// [`Gone::Broken`] and [`Gone::TooLong`].
    pub async fn read(&self, mut stop: impl Future<Output = ()> + Unpin) -> Result<(), Gone> {
        let _reading = self.seat.reading();
        let mut inbox = Inbox::new(self.limits().max_frame);
        while let Halt::Blocked =
            self.counted(poll_fn(|cx| self.poll_read(cx, &mut stop, &mut inbox)).await)?
        {
            self.counted(Box::pin(self.deliver(&mut inbox)).await.map_err(Gone::from))?;
        }
        Ok(())
    }

    /// Reads and routes what is complete, again and again.
    fn poll_read(
        &self,
        cx: &mut Context<'_>,
        stop: &mut (impl Future<Output = ()> + Unpin),
        inbox: &mut Inbox,
    ) -> Poll<Result<Halt, Gone>> {
        loop {
            if Pin::new(&mut *stop).poll(cx).is_ready() {
                return Poll::Ready(Ok(Halt::Ended));
            }
            match ready!(self.poll_receive(cx, inbox))? {
                (0, _) => return Poll::Ready(Ok(Halt::Ended)),
                (_, routed) => {
                    self.router().stats().reads.add(1);
                    if routed? == Routed::Blocked {
                        return Poll::Ready(Ok(Halt::Blocked));
                    }
                }
            }
        }
    }

    /// Reads once and routes what is complete.
    fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        inbox: &mut Inbox,
    ) -> Poll<io::Result<(usize, Result<Routed, TooLong>)>> {
        let read = |space: &mut [u8]| match self.socket.poll_read(cx, space) {
            Poll::Ready(result) => result.map_err(Some),
            Poll::Pending => Err(None),
        };
        let received = SCRATCH.with_borrow_mut(|scratch| {
            inbox.receive(scratch, read, |frames| match frames.rest().len() {
                0..LONG => self.router().route(frames),
                _ => S::Platform::hand_over(|| self.router().route(frames)),
            })
        });
        match received {
            Ok(received) => Poll::Ready(Ok(received)),
            Err(Some(error)) => Poll::Ready(Err(error)),
            Err(None) => Poll::Pending,
        }
    }

    /// Delivers what is complete, waiting for every receiver that is full.
    async fn deliver(&self, inbox: &mut Inbox) -> Result<(), TooLong> {
        loop {
            let bytes = match inbox.frames().run()? {
                Some(run) => run.received_bytes(self.router().send(&run).await),
                None => return Ok(()),
            };
            inbox.consume(bytes);
            if inbox.route(|frames| self.router().route(frames))? == Routed::All {
                return Ok(());
            }
        }
    }
}

//! From the socket to the receivers' queues.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

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

impl<R: Hold, S: Stream> Link<R, S> {
    /// Reads and routes frames until the client has closed its sending side or `stop` is ready. What was sent
    /// of an incomplete frame is discarded then; what was read of complete ones is delivered first.
    ///
    /// A frame whose receiver is full makes this reader wait, so TCP pushes back on this sender alone.
    ///
    /// # Errors
    ///
    /// [`Gone::Broken`] and [`Gone::TooLong`].
    pub async fn read(&self, stop: impl Future<Output = ()>) -> Result<(), Gone> {
        let mut stop = pin!(stop);
        let result = self.read_until(stop.as_mut()).await;
        if let Err(gone) = &result {
            gone.count(self.router().stats());
        }
        result
    }

    async fn read_until(&self, mut stop: Pin<&mut impl Future<Output = ()>>) -> Result<(), Gone> {
        let _reading = self.seat.reading();
        let mut inbox = Inbox::new(self.limits().max_frame);
        while let Some(routed) = self.receive(&mut inbox, stop.as_mut()).await? {
            if routed == Routed::Blocked {
                // In a box: it is rare, and inline it would be most of what a reader that sleeps is spread over.
                Box::pin(self.deliver(&mut inbox)).await?;
            }
        }
        Ok(())
    }

    /// Reads once and routes what is complete. `None`: there is nothing more to read.
    async fn receive(
        &self,
        inbox: &mut Inbox,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Option<Routed>, Gone> {
        poll_fn(|cx| {
            if stop.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(None));
            }
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
                Ok((0, _)) => Poll::Ready(Ok(None)),
                Ok((_, routed)) => {
                    self.router().stats().reads.add(1);
                    Poll::Ready(Ok(Some(routed?)))
                }
                Err(Some(error)) => Poll::Ready(Err(error.into())),
                Err(None) => Poll::Pending,
            }
        })
        .await
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

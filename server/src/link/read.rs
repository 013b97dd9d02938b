//! From the socket to the receivers' queues.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Poll, Waker};

use futures_lite::io::AsyncRead;

use super::Link;
use crate::protocol::{Inbox, TooLong};
use crate::router::Routed;

/// The most that one read takes. Larger reads made no difference to throughput; smaller ones cost
/// system calls when much is on its way.
const READ: usize = 64 << 10;

thread_local! {
    /// What the connections on this thread read into, one after the other: only what is not consumed
    /// at once is copied to the connection itself, so an idle connection holds no buffer.
    pub(super) static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into_boxed_slice());
}

/// Why a reader ended.
#[derive(Debug)]
pub enum ReadEnd {
    /// The client has closed its sending side. What it sent of an incomplete frame is discarded.
    Eof,
    /// The server stops, or the writer has given up.
    Stopped,
    /// The connection broke.
    Broken(io::Error),
    /// The client does not keep to the protocol.
    TooLong(TooLong),
}

impl Link<'_> {
    /// Reads and routes frames until the connection ends.
    ///
    /// A frame whose receiver is full makes this reader wait, so TCP pushes back on this sender alone.
    pub async fn read(&self) -> ReadEnd {
        let _reading = self.seat.reading();
        let mut inbox = Inbox::new(self.router.limits().max_frame);
        let mut left = None;
        loop {
            let routed = match self.receive(&mut inbox, &mut left).await {
                Ok(Ok(Routed::Blocked)) => self.deliver(&mut inbox).await,
                Ok(routed) => routed.map(drop),
                Err(end) => return end,
            };
            if let Err(too_long) = routed {
                self.router.stats().too_long.add(1);
                return ReadEnd::TooLong(too_long);
            }
        }
    }

    /// Reads once and routes what is complete.
    async fn receive(
        &self,
        inbox: &mut Inbox,
        left: &mut Option<Waker>,
    ) -> Result<Result<Routed, TooLong>, ReadEnd> {
        poll_fn(|cx| {
            if self.seat.poll_stop(left, cx).is_ready() {
                return Poll::Ready(Err(ReadEnd::Stopped));
            }
            let read = |space: &mut [u8]| match Pin::new(&mut &self.socket).poll_read(cx, space) {
                Poll::Ready(result) => result.map_err(Some),
                Poll::Pending => Err(None),
            };
            let received = SCRATCH
                .with_borrow_mut(|scratch| inbox.receive(scratch, read, |frames| self.router.route(frames)));
            match received {
                Ok((0, _)) => Poll::Ready(Err(ReadEnd::Eof)),
                Ok((_, routed)) => {
                    self.router.stats().reads.add(1);
                    Poll::Ready(Ok(routed))
                }
                Err(Some(error)) => Poll::Ready(Err(ReadEnd::Broken(error))),
                Err(None) => Poll::Pending,
            }
        })
        .await
    }

    /// Delivers what is complete, waiting for every receiver that is full.
    async fn deliver(&self, inbox: &mut Inbox) -> Result<(), TooLong> {
        loop {
            let bytes = match inbox.frames().run()? {
                Some(run) => run.received_bytes(self.router.send(&run).await),
                None => return Ok(()),
            };
            inbox.consume(bytes);
            if inbox.route(|frames| self.router.route(frames))? == Routed::All {
                return Ok(());
            }
        }
    }
}

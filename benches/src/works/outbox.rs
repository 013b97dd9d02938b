//! What is still to be written to one connection: many may put something in, one task takes all of it at once.
//!
//! A burst of messages so costs a connection one wake and one write; a channel would carry each message by itself.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use futures_util::task::AtomicWaker;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    inner: Mutex<Inner>,
    writer: AtomicWaker,
}

#[derive(Debug, Default)]
struct Inner {
    bytes: Vec<u8>,
    closed: bool,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, bytes: &[u8]) {
        let first = {
            let mut inner = self.lock();
            let first = inner.bytes.is_empty();
            inner.bytes.extend_from_slice(bytes);
            first
        };
        // Otherwise the writer has been woken already and not taken it yet.
        if first {
            self.writer.wake();
        }
    }

    /// Nothing will be put in any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.writer.wake();
    }

    /// Waits for something and takes all of it, in exchange for an empty buffer; `false` once nothing will come.
    pub(super) async fn take(&self, into: &mut Vec<u8>) -> bool {
        into.clear();
        poll_fn(|cx| {
            self.writer.register(cx.waker());
            let mut inner = self.lock();
            std::mem::swap(&mut inner.bytes, into);
            match (into.is_empty(), inner.closed) {
                (false, _) => Poll::Ready(true),
                (true, true) => Poll::Ready(false),
                (true, false) => Poll::Pending,
            }
        })
        .await
    }
}

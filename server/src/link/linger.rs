//! Closing a socket without destroying what is on its way.
//!
//! A socket that is closed with input unread resets the connection, and a reset overtakes output that the
//! kernel has not delivered yet. So the sending side is closed first, and input is discarded until the
//! client closes its side too, or has been silent for a moment.

use std::future::poll_fn;

use super::Link;
use super::read::SCRATCH;
use crate::machine::{SILENCE, SILENCE_OF_A_SENDER};
use crate::router::Hold;
use crate::runtimes::{Platform, Stream};

impl<R: Hold, S: Stream> Link<R, S> {
    /// The last thing that happens to a connection, for at most [`GOODBYE`](super::GOODBYE), whatever the way out: its id is given up, and the client
    /// sees an end rather than a reset if it has not left and keeps still for a moment.
    pub async fn goodbye(&self) {
        self.finish();
        self.linger().await;
    }

    /// Everything is written: tells the client so, and gives what is on its way a chance to arrive.
    pub(super) async fn linger(&self) {
        // Fails if the peer has gone already, and then there is nothing to shut down.
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
        let mut silence = SILENCE;
        while let Some(true) = S::Platform::timeout(silence, self.discard_some()).await {
            silence = SILENCE_OF_A_SENDER;
        }
    }

    /// `false`: there is nothing more to discard.
    async fn discard_some(&self) -> bool {
        poll_fn(|cx| {
            let read = SCRATCH.with_borrow_mut(|space| self.socket.poll_read(cx, space));
            read.map(|read| read.is_ok_and(|n| n > 0))
        })
        .await
    }
}

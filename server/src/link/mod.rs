//! One connection's socket and its place in the router, and what its reader and its writer do with them.
//!
//! # How a connection ends
//!
//! | what happens | the reader | the writer | what is queued for it |
//! |---|---|---|---|
//! | the client closes its sending side, or all of it | ends | writes the rest, then ends | is delivered, for at most `stall_timeout` |
//! | the client resets | fails | is dropped | is dropped |
//! | a frame is too long | fails | is dropped | is dropped |
//! | nothing is taken for `stall_timeout` | is dropped | fails | is dropped |
//! | the server stops | ends | writes the rest, then ends | is delivered, for at most `grace` |
//!
//! Nothing here tells the other half to stop: reader and writer are one scope, and if one [fails](Gone) the
//! scope drops the other.
//!
//! In each case the id is unknown from the moment in the first column on: later frames to it are
//! dropped and counted, and senders that wait for it go on. (When the server stops, from the moment
//! when the last reader has ended.) So a client that closes its sending side has departed. The
//! alternative, to serve it until it closes the other side too, is not available: TCP does not tell the
//! server about that until it sends something, so every client that leaves would keep its id, its seat
//! and its file descriptor until somebody writes to it.
//!
//! # What a message touches
//!
//! Among a thousand connections each has left the processor's caches by its next turn, and every line of memory that it is spread over
//! is waited for. So the link is in one line, and the receiver's queue in another; and reader and writer are one function each, over
//! what they need for every message: what is rare is in a box.

mod gone;
mod linger;
mod read;
mod write;

use crate::limits::Limits;
use crate::router::{Hold, Router, Seat};
use crate::runtimes::Stream;

pub use crate::machine::GOODBYE;
pub use gone::Gone;
pub(crate) use read::{READ, SCRATCH};

/// A connection: what its reader and its writer share.
#[derive(Debug)]
#[repr(align(64))]
pub struct Link<R: Hold, S> {
    seat: Seat<R>,
    socket: S,
}

const _: () = assert!(size_of::<Link<&Router, treescope::net::TcpStream>>() == 64);

impl<R: Hold, S: Stream> Link<R, S> {
    /// A connection with a place in the router.
    pub fn new(seat: Seat<R>, socket: S) -> Self {
        Link { seat, socket }
    }

    /// The connection's id.
    pub fn id(&self) -> u32 {
        self.seat.id()
    }

    /// The router's bounds.
    pub fn limits(&self) -> &Limits {
        self.router().limits()
    }

    fn router(&self) -> &Router {
        self.seat.router()
    }

    /// Counts what made the connection fail, if it is a failure.
    fn counted<T>(&self, result: Result<T, Gone>) -> Result<T, Gone> {
        if let Err(gone) = &result {
            gone.count(self.router().stats());
        }
        result
    }

    /// Accepts no more frames; the writer ends when it has written what is queued.
    pub fn finish(&self) {
        self.seat.finish();
    }
}

impl<R: Hold, S> Drop for Link<R, S> {
    fn drop(&mut self) {
        self.seat.router().stats().discarded.add(self.seat.queued());
    }
}

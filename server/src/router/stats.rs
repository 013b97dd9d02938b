//! What a router has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
///
/// Relaxed throughout: each counter stands alone, no other memory is read on the strength of one, and
/// what the root reads after the tree has ended happens after all of it anyway.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The number so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, n: usize) {
        if n > 0 {
            self.0.fetch_add(n as u64, Ordering::Relaxed);
        }
    }
}

/// Counted since the router was made. Hot counters are raised once per system call, not per frame.
#[derive(Debug, Default)]
pub struct Stats {
    /// Connections that were given an id.
    pub connections: Counter,
    /// Reads that brought bytes.
    pub reads: Counter,
    /// Frames queued for their receiver.
    pub frames: Counter,
    /// Bytes of these frames, ends included, headers not.
    pub bytes: Counter,
    /// Bytes queued for a connection that ended before the kernel took them.
    pub discarded: Counter,
    /// Frames dropped because their receiver was unknown or departed before they were queued.
    pub dropped: Counter,
    /// Writes of which the kernel took at least a byte.
    pub writes: Counter,
    /// Bytes that the kernel took, greetings included.
    pub written: Counter,
    /// How often a sender had to wait for a full receiver.
    pub waits: Counter,
    /// Connections ended because they took nothing for too long.
    pub stalls: Counter,
    /// Connections ended because of a frame that was too long.
    pub too_long: Counter,
    /// Replies that the log of the design `actor` has heard of.
    pub logged: Counter,
    /// How often accepting paused because the system had no more to give, file descriptors say.
    pub accept_pauses: Counter,
}

//! What one client may cost the server.

use std::time::Duration;

/// The bounds of a router. Sizes are in bytes.
///
/// Together they bound the memory that clients can make the server hold. One connection takes at most
///
/// - `max_frame` + 5 + 64 KiB for input (a frame that is not complete yet, or one read that waits for
///   a full receiver), and
/// - twice the larger of `queue_bytes` and `max_frame` + 1 for output (one buffer fills while the
///   other is written; what they *hold* together stays within one such bound),
///
/// and there are at most `max_connections` of them. An idle connection holds none of these buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest payload of a frame, its terminating zero byte not counted. A longer one ends the
    /// connection that sends it.
    pub max_frame: usize,
    /// How many bytes may be queued for one connection before those who send to it wait. A frame
    /// that is longer on its own is queued when nothing else is.
    pub queue_bytes: usize,
    /// How long a connection may accept nothing while output for it is queued; also how long a client
    /// that has closed its sending side is given to take what was queued for it.
    pub stall_timeout: Duration,
    /// How long a server that was told to stop goes on delivering.
    pub grace: Duration,
    /// How many connections there may be at a time; accepting pauses at the limit.
    pub max_connections: usize,
    /// What handling one frame costs beside routing it, for measurements: so long is spent computing, by whoever
    /// handles it.
    pub work: Duration,
}

impl Limits {
    /// The largest `max_connections`: an id needs bits besides those that name the slot.
    pub const MOST_CONNECTIONS: usize = 1 << 20;
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_frame: 1 << 20,
            queue_bytes: 256 << 10,
            stall_timeout: Duration::from_secs(30),
            grace: Duration::from_secs(5),
            max_connections: 65_536,
            work: Duration::ZERO,
        }
    }
}

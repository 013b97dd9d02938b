//! One connection as its senders see it: what is queued for it, and who waits because of it.
//!
//! ```text
//!           connect          finish             written, or given up         silent
//!   Vacant ---------> Open ---------> Finishing ----------------> Lingering --------> Closed
//!     ^                |  no more frames;  |      its input is       |  reads what      |
//!     |                |  what is queued   |      discarded          |  it sends        |
//!     |                |  goes out         |                         |                  |
//!     +----------------+-------------------+-------------------------+------------------+
//!                          disconnected: it broke, or the driver has let go of it
//! ```
//!
//! The rules are those of the outbox in [`crate::router`]: the queue holds at most `limit` bytes, or one
//! frame if that is longer; senders that find it full wait in order, and while anyone waits nobody overtakes;
//! the first in line goes on when half of the queue is free (if its frame needs more, when that fits).

use std::collections::VecDeque;
use std::time::Instant;

use super::queue::Queue;
use crate::protocol::Run;

/// Where a connection is on its way from its coming to its going.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nobody is here.
    #[default]
    Vacant,
    /// Its id is known: it gets frames.
    Open,
    /// Its id is unknown; what is queued is written.
    Finishing,
    /// Nothing is queued any more, and it has been told so; what it goes on sending is discarded.
    Lingering,
    /// There is nothing to do but to let go of it.
    Closed,
}

/// A sender that waits, and the length of its frame that has to fit first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) sender: u32,
    pub(super) need: usize,
}

#[derive(Debug, Default)]
pub(super) struct Output {
    /// The occupant's, or the last one's.
    pub(super) id: u32,
    pub(super) phase: Phase,
    pub(super) queue: Queue,
    pub(super) line: VecDeque<Waiting>,
    /// When it ends, whatever it takes until then.
    pub(super) last: Option<Instant>,
    /// It has taken nothing for too long; one more attempt decides.
    pub(super) overdue: bool,
    /// What the driver has to be told.
    pub(super) due: Due,
}

impl Output {
    /// Queues as many frames of the run as there is room for; gives how many.
    pub(super) fn append(&mut self, run: &Run<'_>, limit: usize) -> usize {
        let mut queued = 0;
        for body in run.bodies() {
            if !self.queue.is_empty() && self.queue.len() + body.len() > limit {
                break;
            }
            self.queue.push(body);
            queued += 1;
        }
        queued
    }

    /// Takes the first in line, if its turn has come. Its frame fits then.
    pub(super) fn next_in_line(&mut self, limit: usize) -> Option<u32> {
        let need = self.line.front()?.need;
        if self.queue.len() > (limit / 2).min(limit.saturating_sub(need)) {
            return None;
        }
        self.line.pop_front().map(|front| front.sender)
    }
}

/// What the driver has to be told about a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Due {
    bits: u8,
    /// The connection is in the list of those about which there is something to tell.
    pub(super) listed: bool,
}

impl Due {
    pub(super) const CLOSE: u8 = 1;
    pub(super) const SHUT: u8 = 2;
    pub(super) const OVERDUE: u8 = 4;
    pub(super) const WRITE: u8 = 8;
    pub(super) const READ: u8 = 16;

    pub(super) fn add(&mut self, bit: u8) {
        self.bits |= bit;
    }

    pub(super) fn clear(&mut self) {
        self.bits = 0;
    }

    /// Takes one, the most urgent first.
    pub(super) fn take(&mut self) -> Option<u8> {
        let bit = self.bits & self.bits.wrapping_neg();
        self.bits &= !bit;
        (bit != 0).then_some(bit)
    }
}

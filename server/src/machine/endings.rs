//! How connections end, and all of them together. The table is in [`crate::link`].

use std::time::{Duration, Instant};

use super::output::{Due, Phase};
use super::{Conn, Machine, Step};
use crate::protocol::{Inbox, TooLong};

/// How long a client must be silent before its socket is closed.
///
/// A socket that is closed with input unread resets the connection, and a reset overtakes output that
/// the kernel has not delivered yet. So the sending side is closed first, and input is discarded until
/// the client closes its side too, or has been silent for a moment.
pub(crate) const SILENCE: Duration = Duration::from_millis(50);

/// The same for a client that has just sent something and may well go on.
pub(crate) const SILENCE_OF_A_SENDER: Duration = Duration::from_millis(500);

/// How long that may last in all for a connection that is not let go of in peace: it is no part of any grace period,
/// so it is brief.
pub const GOODBYE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopping {
    No,
    /// Nobody is read; what was read is delivered, up to this moment.
    Routing(Instant),
    /// Nobody gets a frame any more; what is queued is written, up to this moment.
    Writing(Instant),
    AtOnce,
}

impl Machine<'_> {
    /// The client has closed its sending side. What it sent before is delivered; what is queued for it
    /// is too, for at most `stall_timeout`.
    pub fn end_of_input(&mut self, conn: Conn, now: Instant) {
        match self.phase(conn) {
            Phase::Open | Phase::Finishing if self.inputs[conn.index()].ended => {}
            Phase::Open => {
                self.inputs[conn.index()].ended = true;
                if self.inputs[conn.index()].waits_for.is_none() {
                    self.finish(conn.index, now);
                    self.settle(now);
                }
            }
            Phase::Finishing => self.inputs[conn.index()].ended = true,
            Phase::Lingering => self.discarded(conn.index, 0, now),
            Phase::Vacant | Phase::Closed => {}
        }
    }

    /// The connection broke, or the driver has let go of it after [`Event::Close`](super::Event::Close).
    /// It is forgotten.
    pub fn disconnected(&mut self, conn: Conn, now: Instant) {
        if self.phase(conn) == Phase::Vacant {
            return;
        }
        self.depart(conn.index);
        self.queues.discard(conn.index);
        self.queues.vacate(conn.index);
        self.inputs[conn.index()].ended = false;
        self.free.push_back(conn.index);
        self.live -= 1;
        self.settle(now);
    }

    /// The write after [`Event::Overdue`](super::Event::Overdue) was not taken either: the connection ends.
    pub fn takes_nothing(&mut self, conn: Conn, now: Instant) {
        if !matches!(self.phase(conn), Phase::Open | Phase::Finishing) {
            return;
        }
        let output = self.queues.at(conn.index);
        // Not if it has taken something since it was asked for.
        if output.overdue {
            let queued = output.queue.len();
            tracing::info!(id = conn.id, queued, "disconnected: the client takes nothing");
            self.queues.stats.stalls.add(1);
            self.dismiss(conn.index, now);
            self.settle(now);
        }
    }

    /// The server is to stop: nobody is read any more, what was read and what is queued is delivered, for
    /// at most the limits' `grace`. Called again, ends every connection at once.
    ///
    /// It has stopped when nobody is left: [`live`](Machine::live) is 0.
    pub fn stop(&mut self, now: Instant) {
        match self.stopping {
            Stopping::No => self.stopping = Stopping::Routing(now + self.limits.grace),
            _ => self.dismiss_all(now),
        }
        self.settle(now);
    }

    /// When to call [`expire`](Machine::expire). It may turn out then that there is nothing to do, about
    /// once per connection and `stall_timeout`: deadlines move with every write, and are found to have moved.
    pub fn next_deadline(&self) -> Option<Instant> {
        let grace = match self.stopping {
            Stopping::Routing(deadline) | Stopping::Writing(deadline) if self.live > 0 => Some(deadline),
            _ => None,
        };
        self.queues.timers.next().into_iter().chain(grace).min()
    }

    /// Does what has to be done by now: asks for one last write to connections that have taken nothing
    /// for too long, and ends those that have had their time.
    pub fn expire(&mut self, now: Instant) {
        while let Some(index) = self.queues.timers.expired(now) {
            self.time_is_up(index, now);
        }
        if let Stopping::Routing(deadline) | Stopping::Writing(deadline) = self.stopping
            && deadline <= now
        {
            self.dismiss_all(now);
        }
        self.settle(now);
    }

    fn time_is_up(&mut self, index: u32, now: Instant) {
        let output = self.queues.at_mut(index);
        match output.phase {
            Phase::Open | Phase::Finishing if output.last.is_some_and(|last| last <= now) => {
                self.dismiss(index, now);
            }
            Phase::Open | Phase::Finishing => {
                output.overdue = true;
                let last = output.last;
                if let Some(last) = last {
                    self.queues.timers.set(index, last);
                }
                self.queues.tell(index, Due::OVERDUE);
            }
            Phase::Lingering => self.close(index),
            Phase::Vacant | Phase::Closed => {}
        }
    }

    /// When the server stops and every frame that was read is queued, nothing more can be queued.
    pub(super) fn finish_when_all_is_routed(&mut self, now: Instant) {
        if let Stopping::Routing(deadline) = self.stopping
            && self.waiting == 0
        {
            self.stopping = Stopping::Writing(deadline);
            for index in 0..self.inputs.len() as u32 {
                if self.queues.at(index).phase == Phase::Open {
                    self.finish(index, now);
                }
            }
        }
    }

    pub(super) fn too_long(&mut self, index: u32, error: TooLong, now: Instant) {
        self.queues.stats.too_long.add(1);
        tracing::info!(id = self.queues.at(index).id, %error, "disconnected");
        self.dismiss(index, now);
    }

    /// The connection gets no more frames; it ends when what is queued for it has been written.
    pub(super) fn finish(&mut self, index: u32, now: Instant) {
        self.depart(index);
        let ended = self.inputs[index as usize].ended;
        let output = self.queues.at_mut(index);
        output.phase = Phase::Finishing;
        if output.queue.is_empty() {
            self.all_written(index, now);
        } else if ended {
            output.last = Some(now + self.limits.stall_timeout);
            // The deadline for the next write is not later, so it stays.
        }
    }

    /// Nothing is left to write to a connection that finishes.
    pub(super) fn all_written(&mut self, index: u32, now: Instant) {
        match self.inputs[index as usize].ended {
            true => self.close(index),
            false => self.linger(index, None, now),
        }
    }

    /// Ends a connection without delivering what is queued for it. The client sees an end rather than a
    /// reset if it keeps still for a moment.
    fn dismiss(&mut self, index: u32, now: Instant) {
        self.depart(index);
        self.queues.discard(index);
        match self.inputs[index as usize].ended {
            true => self.close(index),
            false => self.linger(index, Some(now + GOODBYE), now),
        }
    }

    fn dismiss_all(&mut self, now: Instant) {
        self.stopping = Stopping::AtOnce;
        for index in 0..self.inputs.len() as u32 {
            match self.queues.at(index).phase {
                Phase::Open | Phase::Finishing | Phase::Lingering => self.dismiss(index, now),
                Phase::Vacant | Phase::Closed => {}
            }
        }
    }

    fn linger(&mut self, index: u32, last: Option<Instant>, now: Instant) {
        let output = self.queues.at_mut(index);
        output.phase = Phase::Lingering;
        output.last = last;
        self.queues.tell(index, Due::SHUT);
        self.queues.tell(index, Due::READ);
        self.silent_until(index, now + SILENCE);
    }

    /// A lingering client has sent something, or has closed its sending side.
    pub(super) fn discarded(&mut self, index: u32, received: usize, now: Instant) {
        match received {
            0 => self.close(index),
            _ => self.silent_until(index, now + SILENCE_OF_A_SENDER),
        }
    }

    fn silent_until(&mut self, index: u32, deadline: Instant) {
        let last = self.queues.at(index).last.unwrap_or(deadline);
        self.queues.timers.set(index, deadline.min(last));
    }

    /// There is nothing to do but to let go of the connection.
    fn close(&mut self, index: u32) {
        self.queues.discard(index);
        self.queues.at_mut(index).phase = Phase::Closed;
        self.queues.tell(index, Due::CLOSE);
    }

    /// The connection sends and gets nothing any more. Those who wait for it go on.
    fn depart(&mut self, index: u32) {
        let input = &mut self.inputs[index as usize];
        input.inbox = Inbox::new(self.limits.max_frame);
        if let Some(receiver) = input.waits_for.take() {
            self.waiting -= 1;
            self.queues.leave_line(receiver, index);
            self.agenda.push_back(Step::Serve(receiver));
        }
        let line = std::mem::take(&mut self.queues.at_mut(index).line);
        self.agenda.extend(line.into_iter().map(|waiting| Step::Resume(waiting.sender)));
    }
}

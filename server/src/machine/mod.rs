//! The router as one pure state machine: bytes and time go in, bytes and deadlines come out.
//!
//! It knows no socket, no clock, no chance and no runtime, has no waker and no lock, and one thread at a time
//! uses it by `&mut`. Whoever has sockets *drives* it:
//!
//! ```text
//!   a connection came          connect ------>  .---------.  ------> next_event: Write | Read | ..
//!   it can be read             receive ------>  |         |
//!   it broke, or is let go     disconnected ->  | Machine |  ------> output: the bytes to write
//!   so many bytes were taken   written ------>  |         |
//!   the time has come          expire ------->  |         |  ------> next_deadline
//!                                               '---------'  ------> take_handled: frames that cost something
//! ```
//!
//! After each call, or after as many as a driver likes to put together, it takes the [`Event`]s. What is
//! queued for one connection by any number of calls leaves in one write, so a driver that handles
//! everything that is ready before it takes the events coalesces most.
//!
//! The rules are those of the shared [`router`](crate::router) and of the [`link`](crate::link), where
//! the table of endings is; `queue_bytes`, `stall_timeout`, `grace` and the order in which senders wait
//! for a full receiver mean the same. A sender that waits is not read ([`Machine::may_read`]), so TCP
//! pushes back on it alone.
//!
//! # Memory
//!
//! Per connection at most what [`Limits`] says, each connection is in at most one line, once in the list of
//! events and once in the set of deadlines. Nothing else grows.
//!
//! # No recursion
//!
//! A sender that goes on may end (its next frame is too long), which lets those go on who wait for *it*,
//! and so on. What follows from something is put on the agenda, and `settle` works that off.

mod conn;
mod endings;
mod output;
mod queue;
mod routing;
mod timers;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Instant;

use crate::limits::Limits;
use crate::protocol::{Inbox, TooLong};
use crate::router::Stats;

use endings::Stopping;
use output::{Due, Phase};
use routing::{Queues, Routed};

pub use conn::{Conn, Event};
pub use endings::GOODBYE;
pub(crate) use endings::{SILENCE, SILENCE_OF_A_SENDER};

/// See the [module](self).
#[derive(Debug)]
pub struct Machine<'s> {
    limits: Limits,
    inputs: Vec<Input>,
    queues: Queues<'s>,
    /// Places that were used, the one that has been free for longest in front: so an id that has departed
    /// stays unknown for as long as possible.
    free: VecDeque<u32>,
    live: usize,
    /// How many senders wait in some line.
    waiting: usize,
    agenda: VecDeque<Step>,
    stopping: Stopping,
}

/// One connection as its receivers see it.
#[derive(Debug)]
struct Input {
    inbox: Inbox,
    /// The receiver that it waits for.
    waits_for: Option<u32>,
    /// The client has closed its sending side.
    ended: bool,
}

/// What follows from something that has happened.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The receiver's queue, or the line in front of it, has become shorter.
    Serve(u32),
    /// The sender's receiver takes no frames any more.
    Resume(u32),
}

impl<'s> Machine<'s> {
    /// A router with nobody connected, which counts in `stats` what it does (not who comes: drivers count their
    /// [guests](crate::router::Guest)). `max_connections` is taken as at least 1
    /// and at most [`Limits::MOST_CONNECTIONS`]. `key` shuffles the ids, so that clients cannot foresee them
    /// if it is drawn at random.
    pub fn new(limits: Limits, key: u32, stats: &'s Stats) -> Self {
        let max_connections = limits.max_connections.clamp(1, Limits::MOST_CONNECTIONS);
        let limits = Limits { max_connections, ..limits };
        Machine {
            limits,
            inputs: Vec::new(),
            queues: Queues::new(&limits, key, stats),
            free: VecDeque::new(),
            live: 0,
            waiting: 0,
            agenda: VecDeque::new(),
            stopping: Stopping::No,
        }
    }

    /// The bounds.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What was done so far.
    pub fn stats(&self) -> &'s Stats {
        self.queues.stats
    }

    /// How many connections there are, those included that are about to end.
    pub fn live(&self) -> usize {
        self.live
    }

    /// Whether one more connection may be accepted.
    pub fn has_room(&self) -> bool {
        self.live < self.limits.max_connections && self.stopping == Stopping::No
    }

    /// Takes a connection in, and queues its greeting. `None` if there is no [room](Machine::has_room).
    pub fn connect(&mut self, now: Instant) -> Option<Conn> {
        if !self.has_room() {
            return None;
        }
        let index = self.free.pop_front().unwrap_or_else(|| {
            self.queues.grow();
            let inbox = Inbox::new(self.limits.max_frame);
            self.inputs.push(Input { inbox, waits_for: None, ended: false });
            self.inputs.len() as u32 - 1
        });
        self.live += 1;
        Some(Conn { index, id: self.queues.open(index, now) })
    }

    /// Whether the driver may [`receive`](Machine::receive) from the connection. Not while it waits for
    /// a full receiver; [`Event::Read`] tells when it may again.
    pub fn may_read(&self, conn: Conn) -> bool {
        match self.phase(conn) {
            Phase::Open => {
                let input = &self.inputs[conn.index()];
                input.waits_for.is_none() && !input.ended && self.stopping == Stopping::No
            }
            Phase::Lingering => true,
            Phase::Vacant | Phase::Finishing | Phase::Closed => false,
        }
    }

    /// Whether there is nothing to do but to let go of the connection, or it has gone.
    pub fn is_over(&self, conn: Conn) -> bool {
        matches!(self.phase(conn), Phase::Vacant | Phase::Closed)
    }

    /// Lets `read` put what the connection has sent into the space that it is given, and routes what is
    /// complete. `read` gives how many bytes it put at the start of its space; 0: the client has closed
    /// its sending side. It is not called, and the result is 0, if the connection may not be read.
    ///
    /// `lent` is scratch space that connections can share, and should be larger than 8 KiB: between reads
    /// a connection holds nothing but a frame that is not complete.
    ///
    /// # Errors
    ///
    /// Whatever `read` fails with ("not yet", say); then nothing has changed.
    pub fn receive<E>(
        &mut self,
        conn: Conn,
        now: Instant,
        lent: &mut [u8],
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        if !self.may_read(conn) {
            return Ok(0);
        }
        if self.phase(conn) == Phase::Lingering {
            let received = read(lent)?;
            self.discarded(conn.index, received, now);
            return Ok(received);
        }
        let (queues, inbox) = (&mut self.queues, &mut self.inputs[conn.index()].inbox);
        let (received, routed) = inbox.receive(lent, read, |frames| queues.route(frames, now))?;
        if received == 0 {
            self.end_of_input(conn, now);
            return Ok(0);
        }
        self.queues.stats.reads.add(1);
        self.routed(conn.index, routed, now);
        self.settle(now);
        Ok(received)
    }

    /// [`receive`](Machine::receive) for bytes that lie somewhere; gives how many were taken, which is
    /// fewer than all when the connection may not be read any more.
    pub fn received(&mut self, conn: Conn, bytes: &[u8], now: Instant) -> usize {
        let mut lent = [0; 16 << 10];
        let mut taken = 0;
        while taken < bytes.len() && self.may_read(conn) {
            let rest = &bytes[taken..];
            let read = |space: &mut [u8]| {
                let n = space.len().min(rest.len());
                space[..n].copy_from_slice(&rest[..n]);
                Ok::<_, Infallible>(n)
            };
            let Ok(n) = self.receive(conn, now, &mut lent, read);
            taken += n;
        }
        taken
    }

    /// The bytes to write to the connection now: all that there are.
    pub fn output(&self, conn: Conn) -> &[u8] {
        match self.phase(conn) {
            Phase::Open | Phase::Finishing => self.queues.at(conn.index).queue.bytes(),
            Phase::Vacant | Phase::Lingering | Phase::Closed => &[],
        }
    }

    /// The connection has taken the first `n` bytes of its [`output`](Machine::output).
    pub fn written(&mut self, conn: Conn, n: usize, now: Instant) {
        let phase = self.phase(conn);
        if n == 0 || !matches!(phase, Phase::Open | Phase::Finishing) {
            return;
        }
        let output = self.queues.at_mut(conn.index);
        output.overdue = false;
        output.queue.consume(n);
        let (empty, somebody_waits) = (output.queue.is_empty(), !output.line.is_empty());
        self.queues.stats.writes.add(1);
        self.queues.stats.written.add(n);
        self.queues.reschedule(conn.index, now);
        if empty && phase == Phase::Finishing {
            self.all_written(conn.index, now);
        }
        if somebody_waits {
            self.agenda.push_back(Step::Serve(conn.index));
            self.settle(now);
        }
    }

    /// What to do next; `None` when there is nothing more.
    pub fn next_event(&mut self) -> Option<Event> {
        self.queues.next_event()
    }

    /// How many frames were handled since this was asked last: each once, when it is routed for the first time,
    /// whether it is queued then, dropped, or has to wait. A handler that costs something is paid for by the driver,
    /// after each call and before it writes, for this knows no clock.
    pub fn take_handled(&mut self) -> usize {
        std::mem::take(&mut self.queues.handled)
    }

    /// How many bytes are queued for all connections together.
    pub fn queued_bytes(&self) -> usize {
        self.queues.outputs().map(|output| output.queue.len()).sum()
    }

    /// How much memory a connection holds for what it has sent, and how much for what is queued for it.
    pub fn memory(&self, conn: Conn) -> (usize, usize) {
        match self.phase(conn) {
            Phase::Vacant => (0, 0),
            _ => (self.inputs[conn.index()].inbox.capacity(), self.queues.at(conn.index).queue.capacity()),
        }
    }

    fn phase(&self, conn: Conn) -> Phase {
        match self.queues.get(conn.index) {
            Some(output) if output.id == conn.id => output.phase,
            _ => Phase::Vacant,
        }
    }

    /// Works off what follows from what has happened.
    fn settle(&mut self, now: Instant) {
        while let Some(step) = self.agenda.pop_front() {
            match step {
                Step::Serve(receiver) => {
                    while let Some(sender) = self.queues.next_in_line(receiver) {
                        self.go_on(sender, Some(receiver), now);
                    }
                }
                // It may have ended meanwhile.
                Step::Resume(sender) if self.inputs[sender as usize].waits_for.is_some() => {
                    self.go_on(sender, None, now);
                }
                Step::Resume(_) => {}
            }
        }
        self.finish_when_all_is_routed(now);
    }

    /// Routes the frames of a sender that has waited; the first ones to the `receiver` whose line it led.
    fn go_on(&mut self, sender: u32, receiver: Option<u32>, now: Instant) {
        self.waiting -= 1;
        let (queues, input) = (&mut self.queues, &mut self.inputs[sender as usize]);
        input.waits_for = None;
        let routed = input.inbox.route(|frames| queues.route_next(receiver, frames, now));
        if routed == Ok(Routed::All) {
            self.queues.tell(sender, Due::READ);
        }
        self.routed(sender, routed, now);
    }

    /// What follows from the routing of a sender's frames.
    fn routed(&mut self, sender: u32, routed: Result<Routed, TooLong>, now: Instant) {
        let input = &mut self.inputs[sender as usize];
        match routed {
            Ok(Routed::Full { receiver, need }) => {
                input.waits_for = Some(receiver);
                self.waiting += 1;
                self.queues.wait_in_line(receiver, sender, need);
            }
            Ok(Routed::All) if input.ended => self.finish(sender, now),
            Ok(Routed::All) => {}
            Err(error) => self.too_long(sender, error, now),
        }
    }
}

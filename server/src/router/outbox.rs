//! What is queued for one connection, and who waits because of it.
//!
//! # Actors
//!
//! - *senders*: the readers of any connections, this one's own included. They append frames.
//! - *the writer* of this connection. It takes everything queued in one buffer and hands it to the
//!   kernel while senders fill the other one, so any number of frames leaves in one write.
//! - *the connection's reader* and *the shutdown*, which let the outbox run dry ([`finish`](Outbox::finish)).
//! - *the seat*, which ends it ([`vacate`](Outbox::vacate)) when the connection's tasks are gone.
//!
//! Nobody tells the writer to give up: a connection that fails is a scope that is aborted, and the writer is dropped.
//!
//! All state is behind the one short lock of the [slot](super::slot) that owns the outbox; wakers run
//! after it is released, out of [`Wakes`]. There is no other memory, so there is no ordering to argue
//! about: what remains is that no wake is lost.
//!
//! # States
//!
//! ```text
//!             open              finish                         vacate
//!   Vacant ---------> Open ---------------------> Finishing ------------> Vacant (next generation)
//!                      |  no more frames; what is                           ^
//!                      |  queued goes out                                   |
//!                      +----------------------------------------------------+
//!                                             vacate
//! ```
//!
//! # Bound
//!
//! What is pending and what is in flight together are at most `limit` bytes, or one frame if that is longer: a
//! frame is appended only if it fits or if nothing else is queued. The limit is the router's and passed in: an outbox with its
//! lock is [one line of memory](crate::link).
//!
//! # No lost wake
//!
//! *The writer* sleeps only in [`poll_take`](Outbox::poll_take), having seen, under the lock, nothing
//! pending and the state `Open`. Whatever changes either (`append`, `finish`) does it under the
//! same lock and takes the writer's waker in the same step.
//!
//! *Senders* wait in order of arrival in [`Line`]. While anyone waits nobody else appends, so the queue
//! only shrinks until the front is served. Invariant, whenever the lock is free: *if the front's turn has
//! come ([`turn_has_come`](Outbox::turn_has_come)), its waker has been taken out and fired since, so it
//! is about to be polled*. The turn can come by the queue shrinking (`poll_take`, `wrote`), or by the
//! sender before it leaving the line: served (`poll_send`), or dropped half-way (`forget`); each of
//! these ends with `wake_front`. Since a polled front finds room (it needs less than what made its turn
//! come), it appends and leaves. When the outbox stops taking frames everybody who waits is woken, and
//! finds that it has.
//!
//! A front is not woken at the first byte of room but when half of the queue is free (if its frame
//! needs more, when that fits): else a slow receiver that takes little by little would have a sender
//! woken for every packet.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use crate::protocol::{Run, greeting};
use crate::spare;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Vacant,
    Open,
    Finishing,
}

/// What became of frames that were offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// The first so many are queued; there is no room for the others now.
    Queued(usize),
    /// There is no such connection (any more).
    Gone,
}

/// A sender that waits for room. Its ticket says which one it is after others have left the line.
#[derive(Debug)]
struct Waiting {
    ticket: u64,
    /// The length of the frame that has to fit first.
    need: usize,
    /// Taken out when its turn has come.
    waker: Option<Waker>,
}

/// Wakers to fire when the lock has been released.
#[derive(Debug, Default)]
pub(super) struct Wakes {
    writer: Option<Waker>,
    sender: Option<Waker>,
    /// Everybody who waited, when the outbox stops taking frames.
    senders: Vec<Waiting>,
}

impl Wakes {
    /// One after the other by hand: chained iterators over this were a tenth of what a message costs.
    #[inline]
    pub(super) fn fire(self) {
        if let Some(writer) = self.writer {
            writer.wake();
        }
        if let Some(sender) = self.sender {
            sender.wake();
        }
        for waker in self.senders.into_iter().filter_map(|waiting| waiting.waker) {
            waker.wake();
        }
    }
}

/// Those who wait for room, in the order in which they came.
#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    next_ticket: u64,
}

/// What the writer is about.
#[derive(Debug)]
enum Writer {
    /// It has taken so many bytes and not reported them as written.
    Awake { in_flight: usize },
    /// It has written all that it took.
    Asleep(Waker),
}

impl Default for Writer {
    fn default() -> Self {
        Writer::Awake { in_flight: 0 }
    }
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// The occupant's, or the last one's.
    id: u32,
    state: State,
    /// Bytes for the next write.
    pending: Vec<u8>,
    writer: Writer,
    /// Made for the first who ever waits.
    line: Option<Box<Line>>,
}

impl Outbox {
    /// Takes a new occupant: gives it the id that `next` makes of the last one's (0 for the first), and queues the
    /// greeting.
    pub(super) fn open(&mut self, next: impl FnOnce(u32) -> u32) -> u32 {
        debug_assert_eq!(self.state, State::Vacant);
        self.id = next(self.id);
        self.state = State::Open;
        self.pending.extend_from_slice(&greeting(self.id));
        self.id
    }

    /// Accepts no more frames; the writer ends when what is queued has been written.
    pub(super) fn finish(&mut self, wakes: &mut Wakes) {
        if self.state == State::Open {
            self.state = State::Finishing;
            wakes.senders = self.empty_line();
            self.wake_writer(wakes);
        }
    }

    /// Drops what is queued and makes room for the next occupant. The connection's tasks are gone.
    pub(super) fn vacate(&mut self, wakes: &mut Wakes) {
        self.state = State::Vacant;
        spare::give(std::mem::take(&mut self.pending));
        self.writer = Writer::default();
        wakes.senders = self.empty_line();
    }

    /// How many bytes are queued.
    pub(super) fn queued(&self) -> usize {
        self.pending.len() + self.in_flight()
    }

    fn in_flight(&self) -> usize {
        match self.writer {
            Writer::Awake { in_flight } => in_flight,
            Writer::Asleep(_) => 0,
        }
    }

    /// Queues as many frames of the run as there is room for, unless others wait already.
    pub(super) fn offer(&mut self, limit: usize, run: &Run<'_>, wakes: &mut Wakes) -> Offer {
        if !self.takes_frames_for(run.to()) {
            return Offer::Gone;
        }
        if self.front().is_some() {
            return Offer::Queued(0);
        }
        Offer::Queued(self.append(limit, run, wakes))
    }

    /// As [`offer`](Outbox::offer), but waits in line until at least one frame is queued. `ticket` is
    /// the sender's place, `None` at first.
    pub(super) fn poll_send(
        &mut self,
        limit: usize,
        run: &Run<'_>,
        ticket: &mut Option<u64>,
        cx: &Context<'_>,
        wakes: &mut Wakes,
    ) -> Poll<Offer> {
        if !self.takes_frames_for(run.to()) {
            return Poll::Ready(Offer::Gone);
        }
        let my_turn = match (&*ticket, self.front()) {
            (None, None) => true,
            (Some(mine), Some(front)) => front.ticket == *mine,
            _ => false,
        };
        let queued = if my_turn { self.append(limit, run, wakes) } else { 0 };
        if queued > 0 {
            if ticket.take().is_some() {
                self.line().waiting.pop_front();
                self.wake_front(limit, wakes);
            }
            return Poll::Ready(Offer::Queued(queued));
        }
        self.line().wait(run, ticket, cx);
        Poll::Pending
    }

    /// A sender stops waiting.
    pub(super) fn forget(&mut self, limit: usize, ticket: u64, wakes: &mut Wakes) {
        if self.line().leave(ticket) {
            self.wake_front(limit, wakes);
        }
    }

    /// Gives the writer everything that is queued, in exchange for `written`, the buffer that it got
    /// last time and has written. `false`: there is and will be nothing more.
    pub(super) fn poll_take(
        &mut self,
        limit: usize,
        written: &mut Vec<u8>,
        cx: &Context<'_>,
        wakes: &mut Wakes,
    ) -> Poll<bool> {
        written.clear();
        if !self.pending.is_empty() {
            std::mem::swap(&mut self.pending, written);
            self.writer = Writer::Awake { in_flight: written.len() };
            self.wake_front(limit, wakes);
            return Poll::Ready(true);
        }
        self.writer = Writer::default();
        self.wake_front(limit, wakes);
        if self.state != State::Open {
            return Poll::Ready(false);
        }
        for buffer in [&mut self.pending, written] {
            spare::give_unless_kept(buffer);
        }
        self.writer = Writer::Asleep(cx.waker().clone());
        Poll::Pending
    }

    /// The kernel took `n` bytes of what the writer holds, and not all of it.
    pub(super) fn wrote(&mut self, limit: usize, n: usize, wakes: &mut Wakes) {
        if let Writer::Awake { in_flight } = &mut self.writer {
            *in_flight = in_flight.saturating_sub(n);
        }
        self.wake_front(limit, wakes);
    }

    fn takes_frames_for(&self, id: u32) -> bool {
        self.id == id && self.state == State::Open
    }

    fn fits(&self, limit: usize, frame: usize) -> bool {
        let queued = self.queued();
        queued == 0 || queued + frame <= limit
    }

    fn append(&mut self, limit: usize, run: &Run<'_>, wakes: &mut Wakes) -> usize {
        let mut queued = 0;
        for body in run.bodies() {
            if !self.fits(limit, body.len()) {
                break;
            }
            reserve(&mut self.pending, body.len(), limit);
            self.pending.extend_from_slice(body);
            queued += 1;
        }
        if queued > 0 {
            self.wake_writer(wakes);
        }
        queued
    }

    fn line(&mut self) -> &mut Line {
        self.line.get_or_insert_default()
    }

    /// Who has waited longest.
    fn front(&self) -> Option<&Waiting> {
        self.line.as_ref()?.waiting.front()
    }

    /// Everybody who waits. The line itself stays: a sender of these may still hold its ticket when the next one is given out.
    fn empty_line(&mut self) -> Vec<Waiting> {
        self.line.as_mut().map_or_else(Vec::new, |line| std::mem::take(&mut line.waiting).into())
    }

    /// Whether a front that needs so many bytes is to be woken. Implies that its frame fits.
    fn turn_has_come(&self, limit: usize, need: usize) -> bool {
        self.queued() <= (limit / 2).min(limit.saturating_sub(need))
    }

    fn wake_front(&mut self, limit: usize, wakes: &mut Wakes) {
        let Some(need) = self.front().map(|front| front.need) else { return };
        if self.turn_has_come(limit, need) {
            wakes.sender = self.line().waiting.front_mut().and_then(|front| front.waker.take());
        }
    }

    fn wake_writer(&mut self, wakes: &mut Wakes) {
        if let Writer::Asleep(_) = self.writer
            && let Writer::Asleep(writer) = std::mem::take(&mut self.writer)
        {
            wakes.writer = Some(writer);
        }
    }
}

impl Line {
    /// Joins the line, or leaves another waker there.
    fn wait(&mut self, run: &Run<'_>, ticket: &mut Option<u64>, cx: &Context<'_>) {
        let mine = ticket.and_then(|mine| self.waiting.iter_mut().find(|waiting| waiting.ticket == mine));
        match mine {
            Some(Waiting { waker: Some(waker), .. }) => waker.clone_from(cx.waker()),
            Some(waiting) => waiting.waker = Some(cx.waker().clone()),
            None => {
                let need = run.bodies().next().map_or(0, <[u8]>::len);
                self.waiting.push_back(Waiting {
                    ticket: self.next_ticket,
                    need,
                    waker: Some(cx.waker().clone()),
                });
                *ticket = Some(self.next_ticket);
                self.next_ticket += 1;
            }
        }
    }

    /// Leaves the line; `false` if nobody with this ticket is there.
    fn leave(&mut self, ticket: u64) -> bool {
        let place = self.waiting.iter().position(|waiting| waiting.ticket == ticket);
        place.and_then(|place| self.waiting.remove(place)).is_some()
    }
}

/// Doubling, as a `Vec` does by itself, but not beyond the limit unless a frame is.
fn reserve(buffer: &mut Vec<u8>, more: usize, limit: usize) {
    let needed = buffer.len() + more;
    if needed > buffer.capacity() {
        let capacity = (2 * buffer.capacity()).max(64).min(limit).max(needed);
        let all = 0..buffer.len();
        spare::replace(buffer, all, capacity, (2 * capacity).min(limit));
    }
}

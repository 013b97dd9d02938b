//! From frames to queues: the part of the machine that does not look at what its connections have sent,
//! so that a sender's [inbox](crate::protocol::Inbox) can be borrowed beside it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::conn::{Conn, Event};
use super::output::{Due, Output, Phase, Waiting};
use super::timers::Timers;
use crate::limits::Limits;
use crate::protocol::{Frames, Run, TooLong, greeting};
use crate::router::{Ids, Stats};

/// What became of frames that were routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Routed {
    /// Every complete frame is queued or dropped.
    All,
    /// The receiver of the next frame is full; the frame's length there is `need`.
    Full { receiver: u32, need: usize },
}

#[derive(Debug)]
pub(super) struct Queues<'s> {
    pub(super) stats: &'s Stats,
    pub(super) timers: Timers,
    outputs: Vec<Output>,
    ids: Ids,
    limit: usize,
    stall_timeout: Duration,
    /// Handling a frame costs something.
    costly: bool,
    /// How many frames were handled and not asked for.
    pub(super) handled: usize,
    /// Connections about which there is something to tell, each once.
    events: VecDeque<u32>,
}

impl<'s> Queues<'s> {
    pub(super) fn new(limits: &Limits, key: u32, stats: &'s Stats) -> Self {
        Queues {
            stats,
            timers: Timers::default(),
            outputs: Vec::new(),
            ids: Ids::new(limits.max_connections, key),
            limit: limits.queue_bytes,
            stall_timeout: limits.stall_timeout,
            costly: !limits.work.is_zero(),
            handled: 0,
            events: VecDeque::new(),
        }
    }

    /// Makes room for one more index.
    pub(super) fn grow(&mut self) {
        self.outputs.push(Output::default());
        self.timers.grow();
    }

    pub(super) fn get(&self, index: u32) -> Option<&Output> {
        self.outputs.get(index as usize)
    }

    pub(super) fn at(&self, index: u32) -> &Output {
        &self.outputs[index as usize]
    }

    pub(super) fn at_mut(&mut self, index: u32) -> &mut Output {
        &mut self.outputs[index as usize]
    }

    pub(super) fn outputs(&self) -> impl Iterator<Item = &Output> {
        self.outputs.iter()
    }

    /// Takes an occupant, gives it the next id, and queues its greeting.
    pub(super) fn open(&mut self, index: u32, now: Instant) -> u32 {
        let output = &mut self.outputs[index as usize];
        output.id = self.ids.next(index as usize, output.id);
        output.phase = Phase::Open;
        output.queue.push(&greeting(output.id));
        let id = output.id;
        self.filled(index, now);
        id
    }

    /// Makes room for the next occupant.
    pub(super) fn vacate(&mut self, index: u32) {
        let output = &mut self.outputs[index as usize];
        output.phase = Phase::Vacant;
        output.last = None;
        self.timers.forget(index);
    }

    /// Drops what is queued and what was to be told.
    pub(super) fn discard(&mut self, index: u32) {
        let output = &mut self.outputs[index as usize];
        self.stats.discarded.add(output.queue.len());
        output.queue.clear();
        output.overdue = false;
        output.due.clear();
        self.timers.unset(index);
    }

    /// Queues frames for their receivers, in order, until none is left or a receiver is full. A frame to
    /// nobody is dropped and counted.
    pub(super) fn route(&mut self, frames: &mut Frames<'_>, now: Instant) -> Result<Routed, TooLong> {
        while let Some(run) = frames.run()? {
            let index = self.ids.index(run.to()) as u32;
            let done = match self.outputs.get_mut(index as usize) {
                Some(output) if output.id == run.to() && output.phase == Phase::Open => {
                    if output.line.is_empty() { self.append(index, &run, now) } else { 0 }
                }
                _ => {
                    self.stats.dropped.add(run.len());
                    run.len()
                }
            };
            self.handled += done;
            frames.consume(&run, done);
            if let Some(body) = run.bodies().nth(done) {
                // It is handled before it is found that it has to wait.
                self.handled += 1;
                return Ok(Routed::Full { receiver: index, need: body.len() });
            }
        }
        Ok(Routed::All)
    }

    /// As [`route`](Queues::route), for a sender that has just been taken out of the line of `receiver`: its turn
    /// has come, so its next frames are queued although others wait (one if the others have yet to be handled, at a
    /// cost: a turn is for what was handled before it). `None`: its receiver has departed.
    pub(super) fn route_next(
        &mut self,
        receiver: Option<u32>,
        frames: &mut Frames<'_>,
        now: Instant,
    ) -> Result<Routed, TooLong> {
        if let Some(receiver) = receiver
            && let Some(run) = frames.run()?
        {
            let run = if self.costly { run.first() } else { run };
            let queued = self.append(receiver, &run, now);
            self.handled += queued;
            frames.consume(&run, queued);
        }
        let routed = self.route(frames, now);
        // Its first frame was handled before it waited; it is queued or dropped now, and so was counted again.
        self.handled = self.handled.saturating_sub(1);
        routed
    }

    fn append(&mut self, index: u32, run: &Run<'_>, now: Instant) -> usize {
        let output = &mut self.outputs[index as usize];
        let was_empty = output.queue.is_empty();
        let queued = output.append(run, self.limit);
        if queued > 0 {
            self.stats.frames.add(queued);
            self.stats.bytes.add(run.body_bytes(queued));
            if was_empty {
                self.filled(index, now);
            }
        }
        queued
    }

    /// The queue was empty and is not any more.
    fn filled(&mut self, index: u32, now: Instant) {
        self.tell(index, Due::WRITE);
        self.timers.set(index, now + self.stall_timeout);
    }

    /// The connection has taken something, or has got a last moment.
    pub(super) fn reschedule(&mut self, index: u32, now: Instant) {
        let output = &self.outputs[index as usize];
        let stall = (!output.queue.is_empty()).then_some(now + self.stall_timeout);
        match stall.into_iter().chain(output.last).min() {
            Some(deadline) => self.timers.set(index, deadline),
            None => self.timers.unset(index),
        }
    }

    pub(super) fn wait_in_line(&mut self, receiver: u32, sender: u32, need: usize) {
        self.outputs[receiver as usize].line.push_back(Waiting { sender, need });
        self.stats.waits.add(1);
    }

    /// A sender stops waiting. Whoever is the first in line then may need less, and its turn have come.
    pub(super) fn leave_line(&mut self, receiver: u32, sender: u32) {
        self.outputs[receiver as usize].line.retain(|waiting| waiting.sender != sender);
    }

    pub(super) fn next_in_line(&mut self, receiver: u32) -> Option<u32> {
        self.outputs[receiver as usize].next_in_line(self.limit)
    }

    /// Lists something to tell.
    pub(super) fn tell(&mut self, index: u32, what: u8) {
        let due = &mut self.outputs[index as usize].due;
        due.add(what);
        if !std::mem::replace(&mut due.listed, true) {
            self.events.push_back(index);
        }
    }

    pub(super) fn next_event(&mut self) -> Option<Event> {
        loop {
            let index = *self.events.front()?;
            let output = &mut self.outputs[index as usize];
            let conn = Conn { index, id: output.id };
            match output.due.take() {
                Some(Due::CLOSE) => return Some(Event::Close(conn)),
                Some(Due::SHUT) => return Some(Event::Shut(conn)),
                Some(Due::OVERDUE) => return Some(Event::Overdue(conn)),
                Some(Due::WRITE) => return Some(Event::Write(conn)),
                Some(_) => return Some(Event::Read(conn)),
                None => {
                    output.due.listed = false;
                    self.events.pop_front();
                }
            }
        }
    }
}

//! The loop: waits for the sockets and the clock, reads, enters what arrived in the books, sends what is due.

use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::alarm::Alarm;
use super::connection::{self, Connection};
use super::error::Broken;
use super::figures::{self, Figures};
use super::ledger::{Arrival, Ledger};
use super::outcome::Outcome;
use super::payload::Message;
use super::schedule::{Schedule, Stage};
use super::sender::Senders;
use super::{LoadError, Pace, Plan, Progress, Watch};

/// What is encoded beyond what the kernel takes, in bytes; the rest waits as a number.
const AHEAD: usize = 256 << 10;

/// The most that one read takes.
const READ: usize = 256 << 10;

/// How long to look for messages that come twice when all have come once.
const LINGER: Duration = Duration::from_millis(50);

/// How often to show progress.
const TICK: Duration = Duration::from_millis(100);

pub(super) struct Engine<'a> {
    plan: &'a Plan,
    poll: Poll,
    alarm: Alarm,
    connections: Vec<Connection>,
    senders: Senders,
    /// Connections with something to write, each once.
    ready: Vec<usize>,
    ledger: Ledger,
    schedule: Schedule,
    figures: Figures,
    last_arrival: Duration,
}

impl<'a> Engine<'a> {
    /// Connects.
    pub(super) fn new(plan: &'a Plan, watch: &mut dyn Watch) -> Result<Self, LoadError> {
        let receivers = plan.pattern.receivers(plan.connections).map_err(LoadError::Asked)?;
        let poll = Poll::new()?;
        let alarm = Alarm::new(poll.registry(), Token(plan.connections))?;
        let registry = poll.registry();
        let connections = connection::connect(plan.addr, plan.connections, plan.patience, registry, watch)?;
        let mut ledger = Ledger::default();
        let senders = Senders::new(&receivers, &mut ledger);
        let schedule = Schedule::new(plan, senders.places.len() as u64);
        Ok(Engine {
            plan,
            poll,
            alarm,
            connections,
            senders,
            ready: Vec::new(),
            ledger,
            schedule,
            figures: Figures::new()?,
            last_arrival: Duration::ZERO,
        })
    }

    /// Sends and receives until the plan is done, the server stops delivering, or a connection ends.
    pub(super) fn run(mut self, watch: &mut dyn Watch) -> Result<Outcome, LoadError> {
        let ended = self.go(watch);
        if self.schedule.stage != Stage::Draining {
            self.schedule.finish(self.schedule.started.elapsed());
            self.measured(watch);
        }
        match ended {
            Ok(stalled) => Ok(self.outcome(stalled)),
            // What was seen until then is worth something.
            Err(Broken::Connection(n, error)) => {
                Err(LoadError::Lost(n, error, Box::new(self.outcome(false))))
            }
            Err(Broken::System(error)) => Err(error.into()),
        }
    }

    /// `true`: the server has stopped delivering.
    fn go(&mut self, watch: &mut dyn Watch) -> Result<bool, Broken> {
        let mut events = Events::with_capacity(1024);
        let mut space = vec![0; READ].into_boxed_slice();
        let mut tick = Duration::ZERO;
        self.schedule.started = Instant::now();
        self.figures.begin(0);
        self.open_windows();
        loop {
            let elapsed = self.schedule.started.elapsed();
            if self.has_sent_all() {
                self.schedule.end = self.schedule.end.min(elapsed);
            }
            match self.schedule.turn(elapsed) {
                Some(Stage::Measuring) => {
                    self.figures.begin(self.ledger.sent());
                    watch.begins();
                }
                Some(_) => {
                    self.measured(watch);
                    self.close_windows();
                }
                None => {}
            }
            if elapsed >= tick {
                watch.progress(self.progress(elapsed));
                tick = elapsed + TICK;
            }
            self.grant(elapsed);
            self.send()?;
            if self.is_done(elapsed) {
                return Ok(false);
            }
            if self.ledger.pending() > 0 && elapsed.saturating_sub(self.last_arrival) > self.plan.patience {
                return Ok(true);
            }
            self.wait(&mut events, &mut space)?;
        }
    }

    /// Measuring has ended.
    fn measured(&mut self, watch: &mut dyn Watch) {
        self.figures.end(self.ledger.sent());
        watch.ends();
    }

    fn progress(&self, elapsed: Duration) -> Progress {
        let arrived = self.ledger.arrived();
        if self.schedule.stage == Stage::Draining {
            return Progress::Draining { arrived, left: self.senders.due() + self.ledger.pending() };
        }
        let (of, wanted) = (self.schedule.end, self.wanted());
        Progress::Running { passed: elapsed.min(of), of, arrived, wanted }
    }

    /// How many messages are to be sent, if a number was asked for.
    fn wanted(&self) -> Option<u64> {
        Some(self.plan.messages?.saturating_mul(self.senders.places.len() as u64))
    }

    /// In a closed loop everybody starts with a window of messages.
    fn open_windows(&mut self) {
        if let Pace::Closed { window } = self.plan.pace {
            for n in self.senders.places.clone() {
                self.allow(n, window.into());
            }
        }
    }

    /// The closed loop ends: nothing more is sent. (At a fixed rate what is due is still sent.)
    fn close_windows(&mut self) {
        if let Pace::Closed { .. } = self.plan.pace {
            self.senders.all.iter_mut().for_each(|sender| sender.due = 0);
        }
    }

    /// At a fixed rate messages become due by the clock, whatever became of the ones before.
    fn grant(&mut self, elapsed: Duration) {
        if let Pace::Rate(_) = self.plan.pace {
            while let Some(place) = self.schedule.grant(elapsed) {
                self.allow(self.senders.places[place as usize], 1);
            }
        }
    }

    fn allow(&mut self, n: usize, messages: u64) {
        self.senders.all[n].allow(messages, self.plan.messages.unwrap_or(u64::MAX));
        self.list(n);
    }

    fn list(&mut self, n: usize) {
        if !std::mem::replace(&mut self.senders.all[n].listed, true) {
            self.ready.push(n);
        }
    }

    /// Writes for everybody who has something to write and can, once. Whoever has more has a turn after what has
    /// arrived meanwhile was read, and the clock was looked at: else a rate that is too high would make the time that
    /// is measured as long as it takes.
    fn send(&mut self) -> Result<(), Broken> {
        let began = self.schedule.started.elapsed();
        let (waiting, mut done) = (self.ready.len(), 0);
        while done < waiting {
            let now = self.schedule.started.elapsed();
            if now.saturating_sub(began) > TICK {
                break;
            }
            let n = self.ready[done];
            done += 1;
            self.senders.all[n].listed = false;
            if self.can_write(n) {
                self.encode(n, now);
                self.connections[n].write().map_err(|error| Broken::Connection(n, error))?;
                if self.can_write(n) {
                    self.list(n);
                }
            }
        }
        self.ready.drain(..done);
        Ok(())
    }

    /// One that is full is listed again when the system says that it is not.
    fn can_write(&self, n: usize) -> bool {
        !self.connections[n].full && (self.senders.all[n].due > 0 || self.connections[n].queued() > 0)
    }

    /// Encodes what is due, as far ahead as is reasonable.
    fn encode(&mut self, n: usize, now: Duration) {
        // What waited for the server is late through no fault of the generator.
        let blameless = self.connections[n].queued() > 0;
        if self.senders.all[n].due > 0 {
            self.figures.last_sent = now;
        }
        while self.senders.all[n].due > 0 && self.connections[n].queued() < AHEAD {
            let sender = &mut self.senders.all[n];
            let at = match self.plan.pace {
                Pace::Closed { .. } => now,
                Pace::Rate(_) => {
                    let at = self.schedule.intended(sender.place, sender.sent);
                    if !blameless && self.schedule.counts(at) {
                        let since = at.max(sender.free);
                        self.figures.late(now.saturating_sub(since));
                    }
                    at
                }
            };
            let flow = sender.next_flow();
            let to = self.connections[self.senders.flows[flow].1].id;
            let message = Message { flow, number: self.ledger.send(flow), at: figures::nanos(at) };
            let out = &mut self.connections[n].out;
            out.extend_from_slice(&to.to_be_bytes());
            message.encode(self.plan.payload, out);
            out.push(crate::protocol::END);
        }
    }

    /// Waits for sockets or the clock, and reads.
    fn wait(&mut self, events: &mut Events, space: &mut [u8]) -> Result<(), Broken> {
        let now = Instant::now();
        let elapsed = now - self.schedule.started;
        let mut timeout = match self.schedule.stage {
            _ if !self.ready.is_empty() => Duration::ZERO,
            Stage::Draining => LINGER / 5,
            _ => TICK,
        };
        if let Some(next) = self.schedule.next_stage() {
            timeout = timeout.min(next.saturating_sub(elapsed));
        }
        if let (Pace::Rate(_), Some(due)) = (self.plan.pace, self.schedule.next_due()) {
            timeout = self.alarm.set(self.schedule.started + due, now, timeout)?;
        }
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in &*events {
            let Token(n) = event.token();
            // The alarm has done its work by waking.
            let Some(connection) = self.connections.get_mut(n) else { continue };
            if event.is_writable() && std::mem::take(&mut connection.full) {
                self.senders.all[n].free = self.schedule.started.elapsed();
                self.list(n);
            }
            let ending = event.is_read_closed() || event.is_error();
            if event.is_readable() || ending {
                self.receive(n, space, ending)?;
            }
        }
        Ok(())
    }

    fn receive(&mut self, n: usize, space: &mut [u8], ending: bool) -> Result<(), Broken> {
        let longest = self.plan.payload;
        // Taken out, for what it reads is entered in all the rest.
        let Some(place) = self.connections.get_mut(n) else { return Ok(()) };
        let mut partial = std::mem::take(&mut place.partial);
        let read = loop {
            let read = self.connections[n].read(space);
            let Ok(Some(bytes)) = read else { break read.map(|_| ()) };
            let now = self.schedule.started.elapsed();
            connection::frames(&mut partial, &space[..bytes], longest, |payload| {
                self.arrive(n, payload, now)
            });
            if bytes < space.len() && !ending {
                break Ok(());
            }
        };
        self.connections[n].partial = partial;
        read.map_err(|error| Broken::Connection(n, error))
    }

    fn arrive(&mut self, receiver: usize, payload: &[u8], now: Duration) {
        let message = Message::decode(payload);
        let arrival = self.ledger.arrive(receiver, message);
        let (Some(message), Arrival::Next(_) | Arrival::Late) = (message, arrival) else { return };
        self.last_arrival = now;
        if self.schedule.stage == Stage::Measuring {
            self.senders.all[self.senders.flows[message.flow].0].served += 1;
        }
        let at = Duration::from_nanos(message.at);
        if self.schedule.counts(at) {
            self.figures.took(now.saturating_sub(at));
        }
        if let (Pace::Closed { .. }, Arrival::Next(done)) = (self.plan.pace, arrival)
            && self.schedule.stage != Stage::Draining
        {
            // What was lost on the way gives its place in the window back as well.
            self.allow(self.senders.flows[message.flow].0, done);
        }
    }

    /// Whether a number of messages was asked for, and all have been sent.
    fn has_sent_all(&self) -> bool {
        self.wanted().is_some_and(|wanted| self.ledger.pending() == 0 && self.ledger.sent() == wanted)
    }

    /// Whether everything that is to come has come, and had time to come twice.
    fn is_done(&self, elapsed: Duration) -> bool {
        self.schedule.stage == Stage::Draining
            && self.ledger.pending() == 0
            && self.senders.due() == 0
            && elapsed.saturating_sub(self.schedule.ended.max(self.last_arrival)) > LINGER
    }

    fn outcome(mut self, stalled: bool) -> Outcome {
        // What was due and could not even be sent has waited since it was due; to leave it out would flatter
        // the server that refused it.
        let now = self.schedule.started.elapsed();
        let mut unsent = 0;
        if let Pace::Rate(_) = self.plan.pace {
            for sender in &self.senders.all {
                for n in sender.sent..sender.sent + sender.due {
                    let at = self.schedule.intended(sender.place, n);
                    if self.schedule.counts(at) {
                        self.figures.took(now.saturating_sub(at));
                    }
                }
                unsent += sender.due;
            }
        }
        let wanted = self.wanted();
        let has_sent_all = wanted == Some(self.ledger.sent());
        let served = self.senders.places.iter().map(|&n| self.senders.all[n].served);
        Outcome {
            sent: self.ledger.sent(),
            arrived: self.ledger.arrived(),
            unsent,
            missing: wanted.map_or(0, |wanted| wanted.saturating_sub(self.ledger.sent() + unsent)),
            faults: self.ledger.faults(),
            measured: served.clone().sum(),
            least_served: served.min().unwrap_or_default(),
            senders: self.senders.places.len(),
            elapsed: self.schedule.measured(),
            sending: self.figures.sending(&self.schedule, has_sent_all),
            latency: self.figures.latency,
            lateness: self.figures.lateness,
            asked: if let Pace::Rate(rate) = self.plan.pace { Some(rate) } else { None },
            offered: self.figures.sent,
            cpu: self.figures.usage.cpu,
            waited: self.figures.usage.waited,
            stalled,
        }
    }
}

//! The loop: waits for the sockets and the clock, reads, enters what arrived in the books, sends what is due.

use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::{Events, Poll, Token};

use super::alarm::Alarm;
use super::connection::{self, Connection};
use super::ledger::{Arrival, Ledger};
use super::outcome::Outcome;
use super::payload::Message;
use super::schedule::{Schedule, Stage};
use super::system::Usage;
use super::{LoadError, Pace, Plan, Progress, Watch};

/// What is encoded beyond what the kernel takes, in bytes; the rest waits as a number.
const AHEAD: usize = 256 << 10;

/// The most that one read takes.
const READ: usize = 256 << 10;

/// How long to look for messages that come twice when all have come once.
const LINGER: Duration = Duration::from_millis(50);

/// How often to show progress.
const TICK: Duration = Duration::from_millis(100);

/// Latencies are kept in ns, to three digits, up to this.
const LONGEST: u64 = 600_000_000_000;

/// Why it cannot go on.
#[derive(Debug)]
enum Broken {
    /// A connection ended.
    Connection(usize, io::Error),
    /// The system refuses something.
    System(io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Broken::System(error)
    }
}

/// What a connection has to send; one that only receives has no flows.
#[derive(Debug)]
struct Sender {
    /// Its place among those who send.
    place: u64,
    /// Its flows have consecutive numbers: the first, and how many.
    flows: (usize, u64),
    sent: u64,
    /// How many it may send now.
    due: u64,
    /// When the kernel took more again, or the start: what was due before waited for the server.
    free: Duration,
    /// Of its messages, so many arrived while it was measured.
    served: u64,
    /// It is among those who are ready.
    listed: bool,
}

pub(super) struct Engine<'a> {
    plan: &'a Plan,
    poll: Poll,
    alarm: Alarm,
    connections: Vec<Connection>,
    /// One for each connection.
    senders: Vec<Sender>,
    /// The connections of those who send something.
    places: Vec<usize>,
    /// The connections at the two ends of each flow.
    flows: Vec<(usize, usize)>,
    /// Connections with something to write, each once.
    ready: Vec<usize>,
    ledger: Ledger,
    schedule: Schedule,
    latency: Histogram<u64>,
    lateness: Histogram<u64>,
    last_arrival: Duration,
    last_sent: Duration,
    /// How many had been sent when measuring began; when it has ended, how many were meanwhile.
    sent: u64,
    /// When measuring began; when it has ended, what was used meanwhile.
    usage: Usage,
}

impl<'a> Engine<'a> {
    /// Connects.
    pub(super) fn new(plan: &'a Plan, watch: &mut dyn Watch) -> Result<Self, LoadError> {
        let receivers = plan.pattern.receivers(plan.connections).map_err(LoadError::Asked)?;
        let poll = Poll::new()?;
        let alarm = Alarm::new(poll.registry(), Token(plan.connections))?;
        let registry = poll.registry();
        let connections = connection::connect(plan.addr, plan.connections, plan.patience, registry, watch)?;
        let (mut ledger, mut senders, mut places, mut flows) = (Ledger::default(), vec![], vec![], vec![]);
        for (n, receivers) in receivers.iter().enumerate() {
            let own = (flows.len(), receivers.len() as u64);
            let place = places.len() as u64;
            let (sent, due, free) = (0, 0, Duration::ZERO);
            senders.push(Sender { place, flows: own, sent, due, free, served: 0, listed: false });
            if !receivers.is_empty() {
                places.push(n);
            }
            for &receiver in receivers {
                ledger.open(receiver);
                flows.push((n, receiver));
            }
        }
        let histogram = || Histogram::new_with_bounds(1, LONGEST, 3).map_err(io::Error::other);
        let schedule = Schedule::new(plan, places.len() as u64);
        Ok(Engine {
            plan,
            poll,
            alarm,
            connections,
            senders,
            places,
            flows,
            ready: Vec::new(),
            ledger,
            schedule,
            latency: histogram()?,
            lateness: histogram()?,
            last_arrival: Duration::ZERO,
            last_sent: Duration::ZERO,
            sent: 0,
            usage: Usage::now(),
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
        self.usage = Usage::now();
        self.schedule.started = Instant::now();
        self.open_windows();
        loop {
            let elapsed = self.schedule.started.elapsed();
            if self.has_sent_all() {
                self.schedule.end = self.schedule.end.min(elapsed);
            }
            match self.schedule.turn(elapsed) {
                Some(Stage::Measuring) => {
                    self.usage = Usage::now();
                    self.sent = self.ledger.sent();
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
            self.send(elapsed)?;
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
        self.usage = self.usage.until_now();
        self.sent = self.ledger.sent() - self.sent;
        watch.ends();
    }

    /// How long messages were sent while it was measured: until the last of those that were asked for.
    fn sending(&self) -> Duration {
        if self.wanted() != Some(self.ledger.sent()) {
            return self.schedule.measured();
        }
        // The last one has its share of the time as the others have.
        let end = self.last_sent + self.schedule.gap();
        end.saturating_sub(self.schedule.began).min(self.schedule.measured())
    }

    fn progress(&self, elapsed: Duration) -> Progress {
        let arrived = self.ledger.arrived();
        if self.schedule.stage == Stage::Draining {
            let due: u64 = self.senders.iter().map(|sender| sender.due).sum();
            return Progress::Draining { arrived, left: due + self.ledger.pending() };
        }
        let (of, wanted) = (self.schedule.end, self.wanted());
        Progress::Running { passed: elapsed.min(of), of, arrived, wanted }
    }

    /// How many messages are to be sent, if a number was asked for.
    fn wanted(&self) -> Option<u64> {
        Some(self.plan.messages?.saturating_mul(self.places.len() as u64))
    }

    /// In a closed loop everybody starts with a window of messages.
    fn open_windows(&mut self) {
        if let Pace::Closed { window } = self.plan.pace {
            for n in self.places.clone() {
                self.allow(n, window.into());
            }
        }
    }

    /// The closed loop ends: nothing more is sent. (At a fixed rate what is due is still sent.)
    fn close_windows(&mut self) {
        if let Pace::Closed { .. } = self.plan.pace {
            self.senders.iter_mut().for_each(|sender| sender.due = 0);
        }
    }

    /// At a fixed rate messages become due by the clock, whatever became of the ones before.
    fn grant(&mut self, elapsed: Duration) {
        if let Pace::Rate(_) = self.plan.pace {
            while let Some(place) = self.schedule.grant(elapsed) {
                self.allow(self.places[place as usize], 1);
            }
        }
    }

    fn allow(&mut self, n: usize, messages: u64) {
        let sender = &mut self.senders[n];
        let most = self.plan.messages.unwrap_or(u64::MAX);
        sender.due += messages.min(most.saturating_sub(sender.sent + sender.due));
        self.list(n);
    }

    fn list(&mut self, n: usize) {
        if !std::mem::replace(&mut self.senders[n].listed, true) {
            self.ready.push(n);
        }
    }

    /// Writes for everybody who has something to write and can, once. Whoever has more has a turn after what has
    /// arrived meanwhile was read, and the clock was looked at: else a rate that is too high would make the time that
    /// is measured as long as it takes.
    fn send(&mut self, began: Duration) -> Result<(), Broken> {
        let (waiting, mut done) = (self.ready.len(), 0);
        while done < waiting {
            let now = self.schedule.started.elapsed();
            if now.saturating_sub(began) > TICK {
                break;
            }
            let n = self.ready[done];
            done += 1;
            self.senders[n].listed = false;
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
        !self.connections[n].full && (self.senders[n].due > 0 || self.connections[n].queued() > 0)
    }

    /// Encodes what is due, as far ahead as is reasonable.
    fn encode(&mut self, n: usize, now: Duration) {
        // What waited for the server is late through no fault of the generator.
        let blameless = self.connections[n].queued() > 0;
        if self.senders[n].due > 0 {
            self.last_sent = now;
        }
        while self.senders[n].due > 0 && self.connections[n].queued() < AHEAD {
            let sender = &mut self.senders[n];
            let at = match self.plan.pace {
                Pace::Closed { .. } => now,
                Pace::Rate(_) => {
                    let at = self.schedule.intended(sender.place, sender.sent);
                    if !blameless && self.schedule.counts(at) {
                        let since = at.max(sender.free);
                        self.lateness.saturating_record(nanos(now.saturating_sub(since)));
                    }
                    at
                }
            };
            let flow = sender.flows.0 + (sender.sent % sender.flows.1) as usize;
            sender.sent += 1;
            sender.due -= 1;
            let to = self.connections[self.flows[flow].1].id;
            let message = Message { flow, number: self.ledger.send(flow), at: nanos(at) };
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
                self.senders[n].free = self.schedule.started.elapsed();
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
            self.senders[self.flows[message.flow].0].served += 1;
        }
        let at = Duration::from_nanos(message.at);
        if self.schedule.counts(at) {
            self.latency.saturating_record(nanos(now.saturating_sub(at)));
        }
        if let (Pace::Closed { .. }, Arrival::Next(done)) = (self.plan.pace, arrival)
            && self.schedule.stage != Stage::Draining
        {
            // What was lost on the way gives its place in the window back as well.
            self.allow(self.flows[message.flow].0, done);
        }
    }

    /// Whether a number of messages was asked for, and all have been sent.
    fn has_sent_all(&self) -> bool {
        self.wanted() == Some(self.ledger.sent()) && self.ledger.pending() == 0
    }

    /// Whether everything that is to come has come, and had time to come twice.
    fn is_done(&self, elapsed: Duration) -> bool {
        self.schedule.stage == Stage::Draining
            && self.ledger.pending() == 0
            && self.senders.iter().all(|sender| sender.due == 0)
            && elapsed.saturating_sub(self.schedule.ended.max(self.last_arrival)) > LINGER
    }

    fn outcome(mut self, stalled: bool) -> Outcome {
        // What was due and could not even be sent has waited since it was due; to leave it out would flatter
        // the server that refused it.
        let now = self.schedule.started.elapsed();
        let mut unsent = 0;
        if let Pace::Rate(_) = self.plan.pace {
            for sender in &self.senders {
                for n in sender.sent..sender.sent + sender.due {
                    let at = self.schedule.intended(sender.place, n);
                    if self.schedule.counts(at) {
                        self.latency.saturating_record(nanos(now.saturating_sub(at)));
                    }
                }
                unsent += sender.due;
            }
        }
        let sending = self.sending();
        let served = self.places.iter().map(|&n| self.senders[n].served);
        Outcome {
            sent: self.ledger.sent(),
            arrived: self.ledger.arrived(),
            unsent,
            missing: self.wanted().map_or(0, |wanted| wanted.saturating_sub(self.ledger.sent() + unsent)),
            faults: self.ledger.faults(),
            measured: served.clone().sum(),
            least_served: served.min().unwrap_or_default(),
            senders: self.places.len(),
            elapsed: self.schedule.measured(),
            latency: self.latency,
            lateness: self.lateness,
            asked: if let Pace::Rate(rate) = self.plan.pace { Some(rate) } else { None },
            offered: self.sent,
            sending,
            cpu: self.usage.cpu,
            waited: self.usage.waited,
            stalled,
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

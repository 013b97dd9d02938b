//! The other end of the works with sockets: one thread, one epoll instance, and a process of its own on processors of
//! its own, so that the server's time is the server's.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{self, SocketAddr};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde::{Deserialize, Serialize};

mod broadcast;
mod echo;

/// What is asked of the server.
#[derive(Clone, Debug, Args)]
pub struct Load {
    /// Where it listens.
    pub addr: SocketAddr,
    /// What it does.
    pub kind: Kind,
    /// How many there are; of a broadcast, those that listen.
    pub connections: usize,
    /// Messages on their way: of an echo, on each connection; of a broadcast, in all.
    pub in_flight: u64,
    /// How long to measure, after a fifth of that to warm up.
    pub millis: u64,
}

/// What the server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Sends back what it gets.
    Echo,
    /// Sends what it gets from the last to connect to all others.
    Broadcast,
}

/// What the client saw.
#[derive(Debug, Serialize, Deserialize)]
pub struct Seen {
    /// Messages that came back, or that one listener got.
    pub messages: u64,
    /// The same with those of the warm-up and the end.
    pub messages_in_all: u64,
    /// In which time.
    pub elapsed_ns: u64,
    /// From the sending to the (last) arrival.
    pub p50_ns: u64,
    /// The same, of the slowest hundredth the fastest.
    pub p99_ns: u64,
}

/// Said when the warm-up is over.
pub const START: &str = "start";
/// Said when measuring is, while the last messages are still on their way.
pub const END: &str = "end";
/// Bytes of a message; the first eight are its number.
pub const MESSAGE: usize = 64;

/// Connects, measures, and says on `out` first [`START`], then [`END`], and at last, in a line of JSON, what it
/// [saw](Seen).
///
/// # Errors
/// If a connection fails, ends early, or brings anything but what was sent.
pub fn run(load: &Load, mut out: impl Write) -> io::Result<()> {
    let mut sockets = Sockets::connect(load)?;
    let mut clock = Clock::new(load);
    let mut say = |what: &str| writeln!(out, "{what}").and_then(|()| out.flush());
    match load.kind {
        Kind::Echo => echo::run(load, &mut sockets, &mut clock, &mut say)?,
        Kind::Broadcast => broadcast::run(load, &mut sockets, &mut clock, &mut say)?,
    }
    let seen = serde_json::to_string(&clock.seen()?)?;
    writeln!(out, "{seen}")?;
    out.flush()
}

/// All connections, and what tells which of them are ready.
struct Sockets {
    poll: Poll,
    streams: Vec<TcpStream>,
}

impl Sockets {
    fn connect(load: &Load) -> io::Result<Self> {
        let publisher = usize::from(load.kind == Kind::Broadcast);
        let poll = Poll::new()?;
        let mut streams = Vec::new();
        for n in 0..load.connections + publisher {
            let stream = net::TcpStream::connect(load.addr)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(n), Interest::READABLE)?;
            streams.push(stream);
        }
        Ok(Self { poll, streams })
    }

    /// Waits until some are ready, but not for ever: a server that has lost a message would go unnoticed.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        match self.poll.poll(events, Some(Duration::from_secs(10))) {
            Ok(()) if events.is_empty() => Err(ErrorKind::TimedOut.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            other => other,
        }
    }

    /// Reads once; 0 if nothing is there.
    fn read(&mut self, n: usize, buf: &mut [u8]) -> io::Result<usize> {
        match self.streams[n].read(buf) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            other => other,
        }
    }

    /// Sends one message. It fits: never more than a few are on their way.
    fn send(&mut self, n: usize, number: u64) -> io::Result<()> {
        let mut message = [0; MESSAGE];
        message[..8].copy_from_slice(&number.to_be_bytes());
        let sent = self.streams[n].write(&message)?;
        if sent == MESSAGE { Ok(()) } else { Err(ErrorKind::WriteZero.into()) }
    }
}

/// Tells who started this process how far it is.
type Say<'a> = dyn FnMut(&str) -> io::Result<()> + 'a;

/// When to begin and to end measuring, and what was measured in between.
struct Clock {
    /// When the warm-up is over; then, when measuring began.
    start: Instant,
    length: Duration,
    phase: Phase,
    in_all: u64,
    latencies: Vec<u64>,
    elapsed: Duration,
}

impl Clock {
    fn new(load: &Load) -> Self {
        let length = Duration::from_millis(load.millis);
        Self {
            start: Instant::now() + length / 5,
            length,
            phase: Phase::WarmUp,
            in_all: 0,
            latencies: Vec::new(),
            elapsed: Duration::ZERO,
        }
    }

    /// A message that was sent at `sent` has arrived.
    fn arrived(&mut self, sent: Instant, now: Instant) {
        self.in_all += 1;
        if self.phase == Phase::Measuring {
            self.latencies.push(now.duration_since(sent).as_nanos() as u64);
        }
    }

    /// Looked at after each batch of arrivals; whether to send more. Goes on until there is something to tell, for on a busy
    /// machine a whole measurement may pass without a message. What is on its way then is still waited for: closed
    /// with something to read, a connection is reset, and the server would see an error.
    fn goes_on(&mut self, say: &mut Say<'_>) -> io::Result<bool> {
        let now = Instant::now();
        if self.phase == Phase::WarmUp && now >= self.start {
            say(START)?;
            self.phase = Phase::Measuring;
            self.start = Instant::now();
        } else if self.phase == Phase::Measuring
            && now - self.start >= self.length
            && !self.latencies.is_empty()
        {
            // The server's processor time is read at both, and at both messages are half served.
            say(END)?;
            self.phase = Phase::Over;
            self.elapsed = now - self.start;
        }
        Ok(self.phase != Phase::Over)
    }

    fn seen(&mut self) -> io::Result<Seen> {
        self.latencies.sort_unstable();
        let at = |q: f64| {
            let place = q * self.latencies.len().saturating_sub(1) as f64;
            self.latencies.get(place as usize).copied()
        };
        match (at(0.5), at(0.99)) {
            (Some(p50_ns), Some(p99_ns)) => Ok(Seen {
                messages: self.latencies.len() as u64,
                messages_in_all: self.in_all,
                elapsed_ns: self.elapsed.as_nanos() as u64,
                p50_ns,
                p99_ns,
            }),
            _ => Err(io::Error::other("no message came back while it was measured")),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Measuring,
    /// Only what is on its way still comes.
    Over,
}

/// What came is not what was sent.
fn wrong(expected: u64, got: u64) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("message {got} came and not {expected}"))
}

/// The number of a message.
fn number(message: &[u8]) -> u64 {
    message.first_chunk().map_or(u64::MAX, |bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_said_before_the_last_messages_have_come_and_those_are_not_measured() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 1));
        let load = Load { addr, kind: Kind::Echo, connections: 1, in_flight: 1, millis: 0 };
        let mut clock = Clock::new(&load);
        let mut said = Vec::new();
        let mut say = |what: &str| {
            said.push(what.to_owned());
            Ok(())
        };
        let now = Instant::now();
        clock.arrived(now, now);
        assert!(clock.goes_on(&mut say).expect("nothing fails"), "measuring begins");
        assert!(clock.goes_on(&mut say).expect("nothing fails"), "nothing has come that could be measured");
        clock.arrived(now, now);
        assert!(!clock.goes_on(&mut say).expect("nothing fails"));
        clock.arrived(now, now);
        assert!(!clock.goes_on(&mut say).expect("nothing fails"));
        assert_eq!(said, [START, END]);
        let seen = clock.seen().expect("one message was measured");
        assert_eq!((seen.messages, seen.messages_in_all), (1, 3));
    }
}

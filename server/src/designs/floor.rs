//! No runtime at all: the state machine on a bare epoll loop.
//!
//! It shows nothing about sharing state. It is the yardstick: one thread, one edge-triggered registration per
//! socket, one read and one write per message at most, no task, no waker, no timer wheel. What another
//! design costs above this is what its runtime and its way of sharing cost. (mio is the epoll: this project's
//! runtime and tokio both sit on it, so it is on both sides of any difference.)
//!
//! **Its fault:** one core is all it will ever use.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{self, Context, Wake};
use std::time::{Duration, Instant};

use futures_lite::stream::Stream as _;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::accept;
use crate::drive::{self, Driver, Socket};
use crate::router::Router;
use crate::shutdown::Stop;

const LISTENER: Token = Token(usize::MAX);
const STOP: Token = Token(usize::MAX - 1);

/// How many sockets one system call may report as ready.
const EVENTS: usize = 1024;

/// Listens; with port 0 the system chooses one.
///
/// # Errors
///
/// The system's.
pub fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(addr)
}

/// Serves until `stop` tells so, then delivers what is queued; at once if
/// `stop` tells so again.
///
/// # Errors
///
/// The system's, before anything is served or because it has no more memory.
pub fn serve(listener: TcpListener, router: &Router, stop: impl Stop) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let told = Arc::new(Told(mio::Waker::new(poll.registry(), STOP)?)).into();
    let mut floor = Floor::new(&poll, listener, router)?;
    let mut stops = pin!(drive::stops(stop));
    let mut look = true;
    let mut events = Events::with_capacity(EVENTS);
    loop {
        if std::mem::take(&mut look) {
            while stops.as_mut().poll_next(&mut Context::from_waker(&told)) == task::Poll::Ready(Some(())) {
                floor.stop();
            }
        }
        floor.accept(&poll);
        floor.driver.settle();
        if floor.listener.is_none() && floor.driver.machine().live() == 0 {
            return Ok(());
        }
        match poll.poll(&mut events, floor.patience()) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        floor.driver.tick();
        for event in &events {
            match event.token() {
                LISTENER => floor.acceptable = true,
                STOP => look = true,
                Token(index) => floor.ready(index, event),
            }
        }
    }
}

/// Makes mio's poll return when the server is told to stop.
struct Told(mio::Waker);

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        // Fails if the system is out of memory, and then there are other worries.
        let _ = self.0.wake();
    }
}

struct Floor<'r> {
    driver: Driver<'r, Edge>,
    /// `None`: the server stops.
    listener: Option<TcpListener>,
    /// There may be connections to accept.
    acceptable: bool,
    /// A shortage has been logged, and nothing has been accepted since.
    short: bool,
    /// Accepting pauses until then, or until a connection ends: so many were left.
    pause: Option<(Instant, usize)>,
}

impl<'r> Floor<'r> {
    fn new(poll: &Poll, mut listener: TcpListener, router: &'r Router) -> io::Result<Self> {
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Floor {
            driver: Driver::new(router),
            listener: Some(listener),
            acceptable: true,
            short: false,
            pause: None,
        })
    }

    fn stop(&mut self) {
        self.listener = None;
        self.driver.stop();
    }

    /// How long nothing can happen but what the system will report.
    fn patience(&self) -> Option<Duration> {
        if self.driver.has_unread() || self.may_accept() {
            return Some(Duration::ZERO);
        }
        let pause = self.pause.map(|(until, _)| until);
        let next = self.driver.machine().next_deadline().into_iter().chain(pause).min()?;
        Some(next.saturating_duration_since(self.driver.now()))
    }

    fn may_accept(&self) -> bool {
        self.acceptable && self.pause.is_none() && self.listener.is_some() && self.driver.machine().has_room()
    }

    /// Accepts whoever is there, while there is room.
    fn accept(&mut self, poll: &Poll) {
        if let Some((until, live)) = self.pause
            && (until <= self.driver.now() || self.driver.machine().live() < live)
        {
            self.pause = None;
        }
        while self.may_accept()
            && let Some(listener) = &self.listener
        {
            match listener.accept() {
                Ok((stream, peer)) => {
                    tracing::debug!(%peer, "accepted");
                    self.short = false;
                    self.connect(poll, stream);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.acceptable = false,
                Err(error) if accept::concerns_one_connection(&error) => {
                    tracing::debug!(%error, "not accepted");
                }
                Err(error) => {
                    self.driver.machine().stats().accept_pauses.add(1);
                    if !std::mem::replace(&mut self.short, true) {
                        tracing::warn!(%error, "accepting pauses until there is room again");
                    }
                    let live = self.driver.machine().live();
                    self.pause = Some((self.driver.now() + accept::PAUSE, live));
                }
            }
        }
    }

    fn connect(&mut self, poll: &Poll, mut stream: TcpStream) {
        if let Err(error) = accept::set_options(&stream) {
            // The peer has gone already; reading will tell.
            tracing::debug!(%error, "no socket options");
        }
        self.driver.connect(|index| {
            let both = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(index), both)?;
            Ok(Edge { stream, readable: false, closing: false, writable: true })
        });
    }

    fn ready(&mut self, index: usize, event: &mio::event::Event) {
        if let Some(socket) = self.driver.socket(index) {
            socket.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
            socket.closing |= event.is_read_closed() || event.is_error();
            socket.writable |= event.is_writable() || event.is_write_closed();
            self.driver.ready(index);
        }
    }
}

/// A socket of which the system tells once that it has become ready.
#[derive(Debug)]
struct Edge {
    stream: TcpStream,
    readable: bool,
    /// The end, or an error, is on its way: a short read is not the last one.
    closing: bool,
    writable: bool,
}

impl Socket for Edge {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if !self.readable {
            return Err(ErrorKind::WouldBlock.into());
        }
        let read = self.stream.read(space);
        match &read {
            // There was no more: what comes after is a new edge.
            Ok(n) if *n < space.len() && !self.closing => self.readable = false,
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
            _ => {}
        }
        read
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.writable {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.write_unasked(bytes)
    }

    fn write_unasked(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(bytes);
        match &written {
            Ok(n) if *n < bytes.len() => self.writable = false,
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
            _ => {}
        }
        written
    }

    fn shut(&mut self) {
        // Fails if the peer has gone already, and then there is nothing to shut.
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

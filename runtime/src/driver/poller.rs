//! The operating system's poller: epoll on Linux, kqueue on macOS, through mio.

use std::io;
use std::task::Waker;
use std::time::Duration;

use mio::{Events, Poll, Registry, Token};

use super::sockets::{self, Sockets};

/// Events taken from the kernel in one turn. More stay there, and the kernel hands them out in rotation. Few, so that
/// what a batch of tasks touches stays in the caches: with 1,000 clients a server that takes 128 at a time spends 0.92 to
/// 0.96 of the processor time of one that takes 1,024, and 64 or 32 are no better.
const EVENTS: usize = 128;

/// What the thread with the turn owns.
#[derive(Debug)]
pub(super) struct Poller {
    poll: Poll,
    events: Events,
}

/// What every thread may use.
#[derive(Debug)]
pub(super) struct Remote {
    registry: Registry,
    waker: mio::Waker,
}

pub(super) fn open() -> io::Result<(Poller, Remote)> {
    let poll = Poll::new()?;
    let registry = poll.registry().try_clone()?;
    let waker = mio::Waker::new(&registry, Token(sockets::KICK))?;
    Ok((Poller { poll, events: Events::with_capacity(EVENTS) }, Remote { registry, waker }))
}

impl Poller {
    /// Waits for events; none: for ever. It may return early, and up to a millisecond late, the kernel's unit.
    ///
    /// # Panics
    ///
    /// When the kernel refuses to poll, which it does only for a descriptor that someone closed under us.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) {
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            // A signal; the caller looks again. What a previous wait found must not be delivered twice.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            Err(error) => panic!("cannot poll for I/O: {error}"),
        }
    }

    /// Marks what the last wait found, and moves the wakers of those who wait for it to `due`.
    pub(super) fn deliver(&self, sockets: &Sockets, due: &mut Vec<Waker>) {
        sockets.deliver(self.events.iter(), due);
    }
}

impl Remote {
    /// Ends the present wait or else the next one.
    ///
    /// # Panics
    ///
    /// When the kernel refuses, which it does only for a descriptor that someone closed under us. A wake-up that
    /// vanished silently would be a hang.
    pub(super) fn kick(&self) {
        if let Err(error) = self.waker.wake() {
            panic!("cannot interrupt the poller: {error}");
        }
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }
}

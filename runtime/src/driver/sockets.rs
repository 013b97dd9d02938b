//! The sockets registered with a driver, and one of them as its owner holds it.
//!
//! Actors: the *owner* of a socket (a `TcpStream`, say) registers it once, calls the kernel and drops it; the
//! *turn* translates the kernel's events. They meet in an entry of the table, an `Arc` that both hold:
//!
//! ```text
//!   Registered (owner) --Arc--> Directions { read, write: Readiness } <--Arc-- Sockets.table[key] <-- Token
//!      | poll_io: ready? call, clear                                  set <-- deliver (turn)
//! ```
//!
//! The entry is in the table before the kernel hears of the socket, so no event is too early for it. It leaves
//! the table when the owner drops the socket, and events already taken from the kernel carry a generation that
//! no later entry has.

use std::io;
use std::mem;
use std::task::{Context, Poll, Waker, ready};

use mio::event::{Event, Source};
use mio::{Interest, Token};

use super::Driver;
use super::readiness::{Readiness, Tick};
use super::slab::{Key, Slab};
use crate::sched::budget;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex};

/// The token of the poller's own wake-up call. A key has it only as the last of 2^32 in its last generation.
pub(super) const KICK: usize = usize::MAX;

/// A token has half of its bits for the index and half for the generation. Where that is 16 bits, only the
/// generation is cut short: an event outlives its socket by one turn, not by 65,536 successors.
const HALF: u32 = usize::BITS / 2;

fn token(key: Key) -> Token {
    Token(((key.generation as usize) << HALF) | key.index as usize)
}

#[derive(Debug)]
pub(super) struct Sockets {
    table: Mutex<Slab<Arc<Directions>>>,
    /// How many there are; written under the lock, read without.
    count: AtomicUsize,
}

/// The two directions of one socket.
///
/// All that reading touches, and what writing touches while there is room, is in the first line of memory: where sockets are many,
/// their lines have left the caches by the next event.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Directions {
    read: Readiness,
    write: Readiness,
}

const _: () = assert!(std::mem::offset_of!(Directions, write) + size_of::<u32>() <= 64);

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

impl Sockets {
    pub(super) fn new() -> Self {
        Self { table: Mutex::new(Slab::new()), count: AtomicUsize::new(0) }
    }

    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed) // Relaxed: a hint, see `Driver::has_work`.
    }

    fn insert(&self, directions: Arc<Directions>) -> Key {
        let mut table = self.table.lock();
        let key = table.insert(directions);
        self.count.store(table.len(), Ordering::Relaxed);
        key
    }

    fn remove(&self, key: Key) {
        let removed = {
            let mut table = self.table.lock();
            let removed = table.remove(key);
            self.count.store(table.len(), Ordering::Relaxed);
            removed
        };
        drop(removed); // Not under the lock: wakers may lie in it.
    }

    /// Marks the directions that events speak of and moves the wakers of those who wait to `due`.
    pub(super) fn deliver<'e>(&self, events: impl Iterator<Item = &'e Event>, due: &mut Vec<Waker>) {
        let table = self.table.lock();
        for event in events {
            let Token(token) = event.token();
            if token == KICK {
                continue;
            }
            let mask = usize::MAX >> HALF;
            let key = Key { index: (token & mask) as u32, generation: (token >> HALF) as u32 };
            let Some(directions) = table.get(key) else { continue };
            // An error concerns whoever calls next; a call that finds nothing clears it again.
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                let doubt = event.is_read_closed() || event.is_error() || event.is_priority();
                directions.read.set(doubt, due);
            }
            if event.is_writable() || event.is_write_closed() || event.is_error() {
                directions.write.set(false, due);
            }
        }
    }
}

/// A socket registered with the driver that serves it from then on, wherever it is moved.
#[derive(Debug)]
pub(crate) struct Registered<S: Source> {
    /// None only within `into_inner`.
    socket: Option<S>,
    directions: Arc<Directions>,
    driver: Arc<Driver>,
    key: Key,
}

impl<S: Source> Registered<S> {
    /// Registers for both directions, edge-triggered, once. `ready`: the first call in either direction is
    /// tried at once, as for a socket that is connected.
    pub(crate) fn new(driver: &Arc<Driver>, mut socket: S, ready: bool) -> io::Result<Self> {
        let directions = Directions { read: Readiness::new(ready), write: Readiness::new(ready) };
        let directions = Arc::new(directions);
        let key = driver.sockets.insert(directions.clone());
        match socket.register(driver.remote.registry(), token(key), interest()) {
            Ok(()) => Ok(Self { socket: Some(socket), directions, driver: driver.clone(), key }),
            Err(error) => {
                driver.sockets.remove(key);
                Err(error)
            }
        }
    }

    pub(crate) fn driver(&self) -> &Arc<Driver> {
        &self.driver
    }

    pub(crate) fn get(&self) -> &S {
        match &self.socket {
            Some(socket) => socket,
            None => unreachable!("only into_inner takes the socket, and it takes self"),
        }
    }

    /// Takes the socket back from the driver.
    pub(crate) fn into_inner(mut self) -> io::Result<S> {
        let result = self.deregister();
        match mem::take(&mut self.socket) {
            Some(socket) => result.map(|()| socket),
            None => unreachable!("only into_inner takes the socket, and it takes self"),
        }
    }

    /// Returns when a call in this direction is worth trying.
    pub(crate) fn poll_ready(&self, direction: Direction, cx: &mut Context<'_>) -> Poll<()> {
        budget::poll_spending(cx, |cx| self.readiness(direction).poll_ready(cx).map(drop))
    }

    /// Makes the call once the direction is ready, and again whenever it turns out not to have been.
    ///
    /// `exhausts` is told the result and says whether it proves that the kernel has no more for now, see
    /// [`Readiness::drained`].
    pub(crate) fn poll_io<R>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        mut call: impl FnMut(&S) -> io::Result<R>,
        exhausts: impl Fn(&R) -> bool,
    ) -> Poll<io::Result<R>> {
        budget::poll_spending(cx, |cx| {
            loop {
                let tick = ready!(self.readiness(direction).poll_ready(cx));
                match self.attempt(direction, tick, &mut call, &exhausts) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    result => return Poll::Ready(result),
                }
            }
        })
    }

    /// Makes the call if the direction is thought ready; otherwise `WouldBlock` without a system call.
    pub(crate) fn try_io<R>(
        &self,
        direction: Direction,
        mut call: impl FnMut(&S) -> io::Result<R>,
        exhausts: impl Fn(&R) -> bool,
    ) -> io::Result<R> {
        match self.readiness(direction).ready() {
            Some(tick) => self.attempt(direction, tick, &mut call, &exhausts),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn attempt<R>(
        &self,
        direction: Direction,
        tick: Tick,
        call: &mut impl FnMut(&S) -> io::Result<R>,
        exhausts: &impl Fn(&R) -> bool,
    ) -> io::Result<R> {
        let readiness = self.readiness(direction);
        loop {
            let result = call(self.get());
            match &result {
                Ok(value) if exhausts(value) => readiness.drained(tick),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => readiness.clear(tick),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                _ => {}
            }
            return result;
        }
    }

    fn readiness(&self, direction: Direction) -> &Readiness {
        match direction {
            Direction::Read => &self.directions.read,
            Direction::Write => &self.directions.write,
        }
    }

    fn deregister(&mut self) -> io::Result<()> {
        let result = match &mut self.socket {
            // Closing would do, but not if the descriptor was duplicated: the kernel goes on watching those.
            Some(socket) => socket.deregister(self.driver.remote.registry()),
            None => return Ok(()),
        };
        self.driver.sockets.remove(self.key);
        result
    }
}

impl<S: Source> Drop for Registered<S> {
    fn drop(&mut self) {
        // It fails only for a descriptor that someone else closed, and then there is nothing left to undo.
        let _ = self.deregister();
    }
}

/// `EPOLLIN | EPOLLRDHUP | EPOLLOUT | EPOLLET`, and `EPOLLPRI` because urgent data cuts reads short.
fn interest() -> Interest {
    let both = Interest::READABLE.add(Interest::WRITABLE);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let both = both.add(Interest::PRIORITY);
    both
}

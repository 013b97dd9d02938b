//! The state machine's connections as sockets: all that a driver is, but for finding out what is ready.
//!
//! One thread owns everything here by `&mut`. Who uses it learns from its system or its runtime that a
//! socket may be ready, calls [`Driver::ready`] for each, and then once [`Driver::settle`], which does what
//! the machine asks for: so whatever was read meanwhile for one connection is written to it at once.

use std::io::{self, ErrorKind};
use std::time::Instant;

use futures_lite::stream::{self, Stream, StreamExt};

use crate::link::READ;
use crate::machine::{Conn, Event, Machine};
use crate::router::{Guest, Router};
use crate::shutdown::Stop;
use crate::work;

/// How often one connection is read in a row; after that it is the others' turn.
const READS: usize = 4;

/// A socket that does not block.
pub trait Socket {
    /// Reads; [`ErrorKind::WouldBlock`] if there is nothing now, and then the driver's user will learn when
    /// there is.
    ///
    /// # Errors
    ///
    /// The system's.
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize>;

    /// Writes; [`ErrorKind::WouldBlock`] in the same way.
    ///
    /// # Errors
    ///
    /// The system's.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Writes, although it is not known that this is possible now.
    ///
    /// # Errors
    ///
    /// The system's.
    fn write_unasked(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Closes the sending side.
    fn shut(&mut self);
}

/// A connection.
#[derive(Debug)]
struct Client<'r, S> {
    conn: Conn,
    socket: S,
    /// Counts it.
    _guest: Guest<&'r Router>,
}

/// A machine and its sockets.
#[derive(Debug)]
pub struct Driver<'s, S> {
    router: &'s Router,
    machine: Machine<'s>,
    /// By [`Conn::index`].
    sockets: Vec<Option<Client<'s, S>>>,
    /// What all connections are read into, one after the other.
    lent: Box<[u8]>,
    /// Connections that may have more to read.
    unread: Vec<usize>,
    now: Instant,
}

impl<'s, S: Socket> Driver<'s, S> {
    /// A driver without connections, which are counted in `router`.
    pub fn new(router: &'s Router) -> Self {
        let machine = Machine::new(*router.limits(), fastrand::u32(..), router.stats());
        let lent = vec![0; READ].into_boxed_slice();
        Driver { router, machine, sockets: Vec::new(), lent, unread: Vec::new(), now: Instant::now() }
    }

    /// The machine.
    pub fn machine(&self) -> &Machine<'s> {
        &self.machine
    }

    /// Looks at the clock, once for all that follows, and does what is due.
    pub fn tick(&mut self) {
        self.now = Instant::now();
        if self.machine.next_deadline().is_some_and(|deadline| deadline <= self.now) {
            self.change(Machine::expire);
        }
    }

    /// What the clock said last.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Tells the machine to stop; for the second time: at once.
    pub fn stop(&mut self) {
        self.change(Machine::stop);
    }

    /// Takes a connection in; `socket` makes its socket, which gets to know its index. `None` if there is no
    /// room for it, or if `socket` fails.
    pub fn connect(&mut self, socket: impl FnOnce(usize) -> io::Result<S>) -> Option<()> {
        let guest = Guest::new(self.router)?;
        let conn = self.machine.connect(self.now)?;
        match socket(conn.index()) {
            Ok(socket) => {
                let client = Some(Client { conn, socket, _guest: guest });
                match self.sockets.get_mut(conn.index()) {
                    Some(place) => *place = client,
                    None => self.sockets.push(client),
                }
                Some(())
            }
            Err(error) => {
                tracing::debug!(%error, "not accepted");
                self.change(|machine, now| machine.disconnected(conn, now));
                None
            }
        }
    }

    /// Changes the machine.
    fn change<T>(&mut self, change: impl FnOnce(&mut Machine<'s>, Instant) -> T) -> T {
        let result = change(&mut self.machine, self.now);
        self.handle();
        result
    }

    /// Does what the handlers cost, before anything is written of what they have made.
    fn handle(&mut self) {
        work::spin(self.router.limits().work, self.machine.take_handled());
    }

    /// The socket of a connection that is here.
    pub fn socket(&mut self, index: usize) -> Option<&mut S> {
        self.sockets.get_mut(index)?.as_mut().map(|client| &mut client.socket)
    }

    /// Whether some connection is known to have more to read: then [`settle`](Driver::settle) is called again
    /// before anybody waits.
    pub fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Reads from and writes to a connection whose socket may be ready for either.
    pub fn ready(&mut self, index: usize) {
        if let Some(&Client { conn, .. }) = self.sockets.get(index).and_then(Option::as_ref) {
            self.read(conn);
            if !self.machine.output(conn).is_empty() {
                self.write(conn, false);
            }
        }
    }

    /// Reads what had to wait for its turn, and does what the machine asks for.
    pub fn settle(&mut self) {
        for index in std::mem::take(&mut self.unread) {
            self.ready(index);
        }
        while let Some(event) = self.machine.next_event() {
            let conn = event.conn();
            match event {
                Event::Write(_) => self.write(conn, false),
                Event::Read(_) => self.read(conn),
                Event::Overdue(_) => self.write(conn, true),
                Event::Shut(_) => {
                    if let Some(socket) = self.socket(conn.index()) {
                        socket.shut();
                    }
                }
                Event::Close(_) => self.let_go(conn),
            }
        }
    }

    fn read(&mut self, conn: Conn) {
        for _ in 0..READS {
            let Some(Client { socket, .. }) = &mut self.sockets[conn.index()] else { return };
            if !self.machine.may_read(conn) {
                return;
            }
            let read = |space: &mut [u8]| retried(|| socket.read(space));
            match self.machine.receive(conn, self.now, &mut self.lent, read) {
                Ok(_) => self.handle(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => return self.broken(conn, &error),
            }
        }
        self.unread.push(conn.index());
    }

    /// Writes what there is. What is not taken now is when the socket is ready again.
    fn write(&mut self, conn: Conn, unasked: bool) {
        let Some(Client { socket, .. }) = &mut self.sockets[conn.index()] else { return };
        let output = self.machine.output(conn);
        if output.is_empty() {
            return;
        }
        let written = retried(|| if unasked { socket.write_unasked(output) } else { socket.write(output) });
        match written {
            Ok(0) => self.broken(conn, &ErrorKind::WriteZero.into()),
            Ok(n) => {
                let rest = n < output.len();
                self.change(|machine, now| machine.written(conn, n, now));
                if rest {
                    // Finds out that the socket is full, so that its user learns when it no longer is.
                    self.write(conn, false);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if unasked {
                    self.change(|machine, now| machine.takes_nothing(conn, now));
                }
            }
            Err(error) => self.broken(conn, &error),
        }
    }

    fn broken(&mut self, conn: Conn, error: &io::Error) {
        tracing::debug!(id = conn.id(), %error, "broken");
        self.let_go(conn);
    }

    fn let_go(&mut self, conn: Conn) {
        self.sockets[conn.index()] = None;
        self.change(|machine, now| machine.disconnected(conn, now));
    }
}

/// The stops that a server is told, for one that is polled: one, and one more to stop at once.
pub fn stops(stop: impl Stop) -> impl Stream<Item = ()> {
    let each = stream::unfold(stop, async |mut stop| {
        stop.told().await;
        Some(((), stop))
    });
    each.take(2)
}

fn retried(mut operation: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match operation() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

//! [`scoped`](super::scoped) on one thread: every connection is a scope of a local tree, and borrows.
//!
//! ```text
//!   root
//!     server            accepts, watches the clock; owns the state, in a RefCell
//!       conn-17         reads; owns the link
//!         writer        writes
//! ```
//!
//! No two tasks of a local tree ever run at the same time, so the state that they share needs no lock: it
//! is the [state machine](crate::machine) in a `RefCell`, which no task holds across an await. Each half of a
//! connection is a task that borrows the socket from the connection's node and the state from the server's;
//! what one half makes possible for others (output to write, room to go on) the machine tells, and a waker in
//! a `Cell` each is all that it takes to pass it on.
//!
//! **Its fault:** one core is all it will ever use.

use std::cell::{Cell, RefCell, RefMut};
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::mem;
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use futures_lite::future;
use futures_lite::io::{AsyncRead, AsyncWrite};
use socket2::SockRef;
use treescope::local::LocalScope;
use treescope::net::{TcpListener, TcpStream};
use treescope::time;

use crate::accept::Acceptor;
use crate::link::READ;
use crate::machine::{Conn, Event, Machine};
use crate::router::{Guest, Router};
use crate::shutdown::Stop;
use crate::work;

/// Serves until `stop` tells so, then delivers what is queued; at once if `stop` tells so again.
pub async fn serve<'scope>(
    root: LocalScope<'scope, '_>,
    router: &'scope Router,
    listener: TcpListener,
    mut stop: impl Stop + 'scope,
) {
    let state = State::new(router);
    let server = root.open().name("server").scope(async move |server| {
        // In the server's node, above those of its connections, which borrow it.
        let state = &*server.alloc(state);
        let served = async {
            future::or(accept(server, state, listener), stop.told()).await;
            state.change(Machine::stop);
            let stopped_again = async {
                stop.told().await;
                state.change(Machine::stop);
                future::pending().await
            };
            future::or(state.until(|machine| machine.live() == 0), stopped_again).await;
        };
        future::or(served, state.watch_the_clock()).await;
    });
    server.await;
}

async fn accept<'scope, 's: 'scope>(
    server: LocalScope<'scope, '_>,
    state: &'scope State<'s>,
    listener: TcpListener,
) {
    let mut acceptor = Acceptor::new(listener, state.router);
    loop {
        state.until(Machine::has_room).await;
        let socket = acceptor.next().await;
        let Some(guest) = Guest::new(state.router) else { continue };
        let Some(conn) = state.change(Machine::connect) else { continue };
        state.connected(conn);
        let name = format!("conn-{}", conn.id());
        server.open().name(name).scope(async move |connection| {
            let link = &*connection.alloc(Link { state, conn, socket, _guest: guest });
            // If one half fails the connection's scope is forced to end, and with it the other half.
            let end = move |result: io::Result<()>| {
                if let Err(error) = result {
                    tracing::debug!(id = conn.id(), %error, "broken");
                    connection.abort();
                }
            };
            connection.spawn_named("writer", async move { end(link.write().await) });
            end(link.read().await);
        });
    }
}

/// What all connections borrow.
struct State<'s> {
    router: &'s Router,
    machine: RefCell<Machine<'s>>,
    /// By [`Conn::index`].
    halves: RefCell<Vec<Halves>>,
    /// What all connections are read into, one after the other.
    lent: RefCell<Box<[u8]>>,
    /// For when the alarm is set, and who waits for it.
    alarm: Cell<Option<Instant>>,
    clock: Cell<Option<Waker>>,
    /// Waits for connections to come or go.
    root: Cell<Option<Waker>>,
}

/// What the two halves of a connection are to be woken by, and for.
#[derive(Default)]
struct Halves {
    reader: Option<Waker>,
    writer: Option<Waker>,
    overdue: bool,
    shut: bool,
}

impl<'s> State<'s> {
    fn new(router: &'s Router) -> Self {
        State {
            router,
            machine: RefCell::new(Machine::new(*router.limits(), fastrand::u32(..), router.stats())),
            halves: RefCell::default(),
            lent: RefCell::new(vec![0; READ].into_boxed_slice()),
            alarm: Cell::default(),
            clock: Cell::default(),
            root: Cell::default(),
        }
    }

    /// Changes the machine, and wakes whoever has something to do because of it.
    fn change<T>(&self, change: impl FnOnce(&mut Machine<'s>, Instant) -> T) -> T {
        let machine = &mut *self.machine.borrow_mut();
        let live = machine.live();
        let result = change(machine, Instant::now());
        work::spin(self.router.limits().work, machine.take_handled());
        while let Some(event) = machine.next_event() {
            self.tell(event);
        }
        if machine.live() != live {
            wake(self.root.take());
        }
        if self.rings_too_late(machine) {
            wake(self.clock.take());
        }
        result
    }

    fn tell(&self, event: Event) {
        let halves = &mut self.halves.borrow_mut();
        let Some(halves) = halves.get_mut(event.conn().index()) else { return };
        halves.shut |= matches!(event, Event::Shut(_));
        halves.overdue |= matches!(event, Event::Overdue(_));
        if matches!(event, Event::Read(_) | Event::Close(_)) {
            wake(halves.reader.take());
        }
        if !matches!(event, Event::Read(_)) {
            wake(halves.writer.take());
        }
    }

    /// Makes place for a new connection's wakers.
    fn connected(&self, conn: Conn) {
        let halves = &mut self.halves.borrow_mut();
        if conn.index() >= halves.len() {
            halves.resize_with(conn.index() + 1, Halves::default);
        }
        halves[conn.index()] = Halves::default();
    }

    fn halves(&self, conn: Conn) -> RefMut<'_, Halves> {
        RefMut::map(self.halves.borrow_mut(), |halves| &mut halves[conn.index()])
    }

    /// Waits until the machine is as wanted. One task may wait at a time.
    async fn until(&self, wanted: impl Fn(&Machine<'s>) -> bool) {
        poll_fn(|cx| {
            if wanted(&self.machine.borrow()) {
                return Poll::Ready(());
            }
            self.root.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Does what is due, always.
    async fn watch_the_clock(&self) {
        loop {
            let deadline = self.machine.borrow().next_deadline();
            self.alarm.set(deadline);
            let earlier = poll_fn(|cx| {
                if self.rings_too_late(&self.machine.borrow()) {
                    return Poll::Ready(());
                }
                self.clock.set(Some(cx.waker().clone()));
                Poll::Pending
            });
            let rings = async {
                match deadline {
                    Some(deadline) => {
                        time::sleep(deadline.saturating_duration_since(Instant::now())).await;
                    }
                    None => future::pending().await,
                }
            };
            future::or(rings, earlier).await;
            self.change(Machine::expire);
        }
    }

    fn rings_too_late(&self, machine: &Machine<'s>) -> bool {
        match (machine.next_deadline(), self.alarm.get()) {
            (Some(deadline), Some(alarm)) => deadline < alarm,
            (deadline, None) => deadline.is_some(),
            (None, Some(_)) => false,
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// A connection: what its reader and its writer borrow.
struct Link<'r, 's> {
    state: &'r State<'s>,
    conn: Conn,
    socket: TcpStream,
    /// Counts it.
    _guest: Guest<&'s Router>,
}

impl Link<'_, '_> {
    /// Reads, whenever the connection may be read, until it is over.
    async fn read(&self) -> io::Result<()> {
        poll_fn(|cx| {
            loop {
                let (may_read, over) = {
                    let machine = self.state.machine.borrow();
                    (machine.may_read(self.conn), machine.is_over(self.conn))
                };
                if over {
                    return Poll::Ready(Ok(()));
                }
                if !may_read || self.read_some(cx)?.is_pending() {
                    self.state.halves(self.conn).reader = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    fn read_some(&self, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        let read = |space: &mut [u8]| match Pin::new(&mut &self.socket).poll_read(cx, space) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        };
        let lent = &mut self.state.lent.borrow_mut();
        match self.state.change(|machine, now| machine.receive(self.conn, now, lent, read)) {
            Ok(_) => Ok(Poll::Ready(())),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Poll::Pending),
            Err(error) => Err(error),
        }
    }

    /// Writes, whenever there is output, until the connection is over.
    async fn write(&self) -> io::Result<()> {
        poll_fn(|cx| {
            loop {
                let (shut, overdue) = {
                    let halves = &mut *self.state.halves(self.conn);
                    (mem::take(&mut halves.shut), mem::take(&mut halves.overdue))
                };
                if self.state.machine.borrow().is_over(self.conn) {
                    return Poll::Ready(Ok(()));
                }
                if shut {
                    // Fails if the peer has gone already, and then there is nothing to shut.
                    let _ = self.socket.shutdown(Shutdown::Write);
                }
                if overdue {
                    self.write_unasked()?;
                } else if self.write_some(cx)?.is_pending() {
                    self.state.halves(self.conn).writer = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    fn write_some(&self, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        let written = {
            let machine = self.state.machine.borrow();
            let output = machine.output(self.conn);
            if output.is_empty() {
                return Ok(Poll::Pending);
            }
            Pin::new(&mut &self.socket).poll_write(cx, output)
        };
        match written {
            Poll::Ready(Ok(0)) => Err(ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(n)) => {
                self.state.change(|machine, now| machine.written(self.conn, n, now));
                Ok(Poll::Ready(()))
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    fn write_unasked(&self) -> io::Result<()> {
        let written = SockRef::from(&self.socket).send(self.state.machine.borrow().output(self.conn));
        match written {
            Ok(n) => self.state.change(|machine, now| machine.written(self.conn, n, now)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                self.state.change(|machine, now| machine.takes_nothing(self.conn, now));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Drop for Link<'_, '_> {
    /// Whatever the way out, the connection's place is free when its node has ended.
    fn drop(&mut self) {
        self.state.change(|machine, now| machine.disconnected(self.conn, now));
    }
}

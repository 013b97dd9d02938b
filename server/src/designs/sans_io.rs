//! The [state machine](crate::machine) owns everything, and one task drives it.
//!
//! The protocol was written without sockets and is tested without them; what is left for this file is to
//! find out which sockets are ready. The task polls sockets itself, each with a waker of its own that notes
//! the socket's number (`Ready`) before it wakes the task: so a wake-up costs what is ready, not what is
//! connected, and there are no tasks, no locks around state, no channels. [`floor`](super::floor) is the same
//! without a runtime.
//!
//! **Its fault:** one core is all it will ever use, and what one message costs the others wait for.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::mem;
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use futures_lite::stream::{self, Stream as _};
use parking_lot::Mutex;
use socket2::SockRef;

use crate::accept::Acceptor;
use crate::drive::{self, Driver, Socket};
use crate::router::Router;
use crate::runtimes::{Listener, Platform, Stream, StreamOf};
use crate::shutdown::Stop;

/// Serves until `stop` tells so, then delivers what is queued; at once if `stop` tells so again.
pub async fn serve<L: Listener>(listener: L, router: &Router, stop: impl Stop) {
    let acceptor = Acceptor::new(listener, router);
    let sockets = stream::unfold(acceptor, async |mut acceptor| Some((acceptor.next().await, acceptor)));
    let mut sockets = Some(Box::pin(sockets));
    let mut stops = pin!(drive::stops(stop));
    let ready = Arc::new(Ready::default());
    let mut driver = Driver::<Polled<StreamOf<L>>>::new(router);
    let mut alarm = Alarm::<L::Platform>::default();
    poll_fn(|cx| {
        ready.set_task(cx);
        driver.tick();
        while stops.as_mut().poll_next(cx) == Poll::Ready(Some(())) {
            // Nobody is accepted any more.
            sockets = None;
            driver.stop();
        }
        for index in ready.take() {
            if let Some(socket) = driver.socket(index) {
                socket.note.noted.store(false, Ordering::Release);
                driver.ready(index);
            }
        }
        driver.settle();
        if sockets.is_none() && driver.machine().live() == 0 {
            return Poll::Ready(());
        }
        // Last, for what has just ended has made room; whoever comes is noted, and served in the next poll.
        while let Some(accepting) = &mut sockets
            && driver.machine().has_room()
            && let Poll::Ready(Some(socket)) = accepting.as_mut().poll_next(cx)
        {
            driver.connect(|index| Ok(Polled::new(socket, index, &ready)));
        }
        // Whatever is noted from now on wakes the task: nothing is looked at twice in one poll, for a
        // runtime that asks a busy task to pause does so by saying "not now" and waking at once.
        if driver.has_unread() || alarm.poll(driver.machine().next_deadline(), cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    })
    .await;
}

/// The numbers of sockets that may be ready, and the task that wants to know.
#[derive(Debug, Default)]
struct Ready(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    sockets: Vec<usize>,
    task: Option<Waker>,
}

impl Ready {
    fn set_task(&self, cx: &Context<'_>) {
        match &mut self.0.lock().task {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    fn take(&self) -> Vec<usize> {
        mem::take(&mut self.0.lock().sockets)
    }

    fn note(&self, socket: usize) {
        let task = {
            let noted = &mut *self.0.lock();
            noted.sockets.push(socket);
            // It looks at all that was noted when it is woken.
            noted.task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}

/// A socket's waker.
#[derive(Debug)]
struct Note {
    socket: usize,
    /// It is noted, and the task has not looked yet.
    noted: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.noted.swap(true, Ordering::AcqRel) {
            self.ready.note(self.socket);
        }
    }
}

/// A runtime's socket as the driver wants it.
#[derive(Debug)]
struct Polled<S> {
    stream: S,
    note: Arc<Note>,
    waker: Waker,
}

impl<S: Stream> Polled<S> {
    fn new(stream: S, socket: usize, ready: &Arc<Ready>) -> Self {
        let note = Arc::new(Note { socket, noted: AtomicBool::new(false), ready: Arc::clone(ready) });
        // The first read leaves the waker with the socket.
        note.wake_by_ref();
        Polled { stream, waker: Arc::clone(&note).into(), note }
    }
}

impl<S: Stream> Socket for Polled<S> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        now(self.stream.poll_read(&mut Context::from_waker(&self.waker), space))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        now(self.stream.poll_write(&mut Context::from_waker(&self.waker), bytes))
    }

    fn write_unasked(&mut self, bytes: &[u8]) -> io::Result<usize> {
        SockRef::from(&self.stream).send(bytes)
    }

    fn shut(&mut self) {
        // Fails if the peer has gone already, and then there is nothing to shut.
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

fn now(poll: Poll<io::Result<usize>>) -> io::Result<usize> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}

type Sleep = Pin<Box<dyn Future<Output = ()>>>;

/// The runtime's clock, set to one moment at a time.
struct Alarm<P> {
    set: Option<(Instant, Sleep)>,
    platform: PhantomData<P>,
}

impl<P> Default for Alarm<P> {
    fn default() -> Self {
        Alarm { set: None, platform: PhantomData }
    }
}

impl<P: Platform> Alarm<P> {
    /// Ready when the moment has come.
    fn poll(&mut self, moment: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(moment) = moment else {
            self.set = None;
            return Poll::Pending;
        };
        if self.set.as_ref().is_none_or(|(set, _)| *set != moment) {
            let left = moment.saturating_duration_since(Instant::now());
            self.set = Some((moment, Box::pin(P::sleep(left))));
        }
        match &mut self.set {
            Some((_, sleep)) => {
                let rings = sleep.as_mut().poll(cx);
                if rings.is_ready() {
                    self.set = None;
                }
                rings
            }
            None => Poll::Pending,
        }
    }
}

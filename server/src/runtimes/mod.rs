//! What a design needs of a runtime, beside its way of spawning.
//!
//! Sockets, a clock and nothing else: everything that reads, writes or waits is written once, over
//! [`Stream`] and [`Platform`]. How tasks are started, what they may borrow and who waits for them is what
//! the designs are compared for, so no trait hides it: a design has one entry point for each runtime.
//!
//! The traits are ours because the usual ones do not say it: `AsyncRead` is one trait in futures-io and another
//! in tokio, both ask for `&mut self`, and a bound on `&Self` has to be repeated wherever a stream is used.

mod tokio;
mod treescope;

use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;

pub use tokio::{Tokio, TokioListener, TokioStream};
pub use treescope::Treescope;

/// What runs the tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum RuntimeKind {
    /// This project's runtime
    #[default]
    Treescope,
    /// The one that most programs use
    Tokio,
    /// No runtime, for the design that has no tasks
    #[value(name = "none")]
    Bare,
}

/// As on the command line.
impl fmt::Display for RuntimeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RuntimeKind::Treescope => "treescope",
            RuntimeKind::Tokio => "tokio",
            RuntimeKind::Bare => "none",
        })
    }
}

/// A runtime's sockets and clock. Everything here must be called in that runtime.
pub trait Platform: fmt::Debug + Sized + 'static {
    /// A listening socket.
    type Listener: Listener<Platform = Self>;
    /// A connection.
    type Stream: Stream<Platform = Self>;

    /// Listens; with port 0 the system chooses one.
    ///
    /// # Errors
    ///
    /// The system's.
    fn listen(addr: SocketAddr) -> io::Result<Self::Listener>;

    /// Waits for so long.
    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send;

    /// The output of `future`, or `None` if it is not there within `limit`. A future that is ready wins.
    fn timeout<F: Future + Send>(
        limit: Duration,
        future: F,
    ) -> impl Future<Output = Option<F::Output>> + Send;

    /// Calls `f`, of which the runtime may be told that the task woken first should be the next one.
    fn hand_over<R>(f: impl FnOnce() -> R) -> R;
}

/// A socket that accepts connections.
pub trait Listener: fmt::Debug + Send + Sync + 'static {
    /// Its runtime.
    type Platform: Platform;

    /// The next connection. Dropping the wait loses none.
    ///
    /// # Errors
    ///
    /// The system's. When it has nothing more to give the next call fails at once as well.
    fn accept(&self) -> impl Future<Output = io::Result<(StreamOf<Self>, SocketAddr)>> + Send;

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// The system's.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// What a listener accepts.
pub type StreamOf<L> = <<L as Listener>::Platform as Platform>::Stream;

/// A connection. One task may read and one may write at a time, and both may borrow it; a poll by
/// another task takes the wake-up away from the one before.
pub trait Stream: AsFd + fmt::Debug + Send + Sync + Sized + 'static {
    /// Its runtime.
    type Platform: Platform;

    /// As futures-io's.
    fn poll_read(&self, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>>;

    /// As futures-io's.
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// As futures-io's.
    fn poll_write_vectored(&self, cx: &mut Context<'_>, bytes: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

    /// Closes one direction, or both.
    ///
    /// # Errors
    ///
    /// The system's.
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        SockRef::from(self).shutdown(how)
    }

    /// Reads what there is; 0 at the end. Dropped half-way it has read nothing.
    fn read(&self, space: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send {
        poll_fn(|cx| self.poll_read(cx, space))
    }

    /// Writes all of it. Dropped half-way it has written some of it.
    fn write_all(&self, mut bytes: &[u8]) -> impl Future<Output = io::Result<()>> + Send {
        async move {
            while !bytes.is_empty() {
                match poll_fn(|cx| self.poll_write(cx, bytes)).await? {
                    0 => return Err(ErrorKind::WriteZero.into()),
                    n => bytes = &bytes[n..],
                }
            }
            Ok(())
        }
    }
}

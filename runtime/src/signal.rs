//! Unix signals as futures: [`ctrl_c`], [`terminate`], [`Signal`].
//!
//! Each [`Signal`] owns a pair of connected sockets. The handler (signal-hook's, shared by the process) writes one
//! byte to one end, which is all that is safe in a handler; the driver watches the other. There is no helper
//! thread, and any number of values, in any number of runtimes, may listen to one signal: each receives it.
//!
//! From the first value on, the signal's default action is off for the rest of the process, even after the last
//! value is gone: ctrl-c then no longer ends the process by itself.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::task::{Context, Poll};

use signal_hook::{SigId, consts, low_level};

use crate::context;
use crate::driver::Driver;
use crate::driver::sockets::{Direction, Registered};
use crate::sync::Arc;

/// Which signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignalKind(i32);

impl SignalKind {
    /// SIGINT: ctrl-c at the terminal.
    pub const INTERRUPT: Self = Self(consts::SIGINT);
    /// SIGTERM: the polite request to end.
    pub const TERMINATE: Self = Self(consts::SIGTERM);
    /// SIGHUP: the terminal is gone; by custom, read the configuration again.
    pub const HANGUP: Self = Self(consts::SIGHUP);
    /// SIGQUIT: ctrl-\ at the terminal.
    pub const QUIT: Self = Self(consts::SIGQUIT);
    /// SIGUSR1.
    pub const USER_DEFINED1: Self = Self(consts::SIGUSR1);
    /// SIGUSR2.
    pub const USER_DEFINED2: Self = Self(consts::SIGUSR2);
    /// SIGCHLD: a child process has ended or stopped.
    pub const CHILD: Self = Self(consts::SIGCHLD);
    /// SIGWINCH: the terminal's size has changed.
    pub const WINDOW_CHANGE: Self = Self(consts::SIGWINCH);

    /// The signal of this number.
    #[must_use]
    pub const fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn as_raw(self) -> i32 {
        self.0
    }
}

/// Completes at the first SIGINT that arrives after this call, whenever it is first polled.
///
/// ```no_run
/// treescope::block_on(async |_| {
///     treescope::signal::ctrl_c().await?;
///     println!("goodbye");
///     std::io::Result::Ok(())
/// })
/// # .unwrap();
/// ```
///
/// # Errors
///
/// As [`Signal::new`].
pub fn ctrl_c() -> impl Future<Output = io::Result<()>> + Send + Sync + 'static {
    once(SignalKind::INTERRUPT)
}

/// Completes at the first SIGTERM that arrives after this call, whenever it is first polled.
///
/// # Errors
///
/// As [`Signal::new`].
pub fn terminate() -> impl Future<Output = io::Result<()>> + Send + Sync + 'static {
    once(SignalKind::TERMINATE)
}

fn once(kind: SignalKind) -> impl Future<Output = io::Result<()>> + Send + Sync + 'static {
    let signal = Signal::new(kind);
    async move { signal?.recv().await }
}

/// The signals of one kind that arrive after this value was made. Dropping it ends the listening.
///
/// ```no_run
/// use treescope::signal::{Signal, SignalKind};
///
/// treescope::block_on(async |_| {
///     let hangups = Signal::new(SignalKind::HANGUP)?;
///     loop {
///         hangups.recv().await?;
///         println!("reading the configuration again");
///     }
/// #   #[allow(unreachable_code)]
/// #   std::io::Result::Ok(())
/// })
/// # .unwrap();
/// ```
pub struct Signal {
    kind: SignalKind,
    handler: SigId,
    socket: Registered<mio::net::UnixStream>,
}

impl Signal {
    /// Starts listening.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a signal that cannot be caught (SIGKILL, SIGSTOP) or that reports a broken program
    /// (SIGILL, SIGFPE, SIGSEGV), and for one that does not exist; out of descriptors; `Other` outside a runtime.
    pub fn new(kind: SignalKind) -> io::Result<Self> {
        let driver = context::with_driver(Arc::clone).ok_or_else(|| {
            io::Error::other(
                "no treescope runtime serves this thread: listen to signals inside `treescope::block_on` or `Runtime::block_on`",
            )
        })?;
        Self::on(&driver, kind)
    }

    fn on(driver: &Arc<Driver>, kind: SignalKind) -> io::Result<Self> {
        if consts::FORBIDDEN.contains(&kind.0) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "this signal cannot be listened to"));
        }
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        // The reader first: when the handler cannot be set, dropping it undoes everything.
        let socket = Registered::new(driver, mio::net::UnixStream::from_std(reader), false)?;
        let handler = low_level::pipe::register(kind.0, writer)?;
        Ok(Self { kind, handler, socket })
    }

    /// Which signal this listens to.
    #[must_use]
    pub fn kind(&self) -> SignalKind {
        self.kind
    }

    /// Completes once for each signal that arrived since this value was made. Dropping the wait loses none. (The
    /// kernel itself joins signals of one kind that arrive faster than it can deliver them.)
    ///
    /// # Errors
    ///
    /// None that is known; it is passed on should reading fail.
    pub async fn recv(&self) -> io::Result<()> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// [`recv`](Self::recv) for hand-written futures.
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // One byte is one signal. A full pair of sockets joins further ones, some hundred behind.
        let mut byte = [0];
        let read = |mut socket: &mio::net::UnixStream| match socket.read(&mut byte)? {
            // The handler holds the other end for as long as this value lives.
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        };
        self.socket.poll_io(Direction::Read, cx, read, |()| false)
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        // Closes the writing end.
        low_level::unregister(self.handler);
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signal").field(&self.kind).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::{ClockKind, Wait};
    use std::task::Waker;

    fn driver() -> Arc<Driver> {
        Driver::new(ClockKind::System).unwrap()
    }

    fn turn(driver: &Driver, wait: Wait) -> usize {
        driver.try_turn().unwrap().run(wait)
    }

    fn poll(signal: &Signal) -> Poll<()> {
        signal.poll_recv(&mut Context::from_waker(Waker::noop())).map(Result::unwrap)
    }

    // One kind of signal for each test: they run side by side in one process.

    #[test]
    fn signals_before_the_first_poll_are_counted_for_each_listener_in_each_runtime() {
        let (one, two) = (driver(), driver());
        let listeners = [
            (&one, Signal::on(&one, SignalKind::USER_DEFINED1).unwrap()),
            (&two, Signal::on(&two, SignalKind::USER_DEFINED1).unwrap()),
            (&two, Signal::on(&two, SignalKind::USER_DEFINED1).unwrap()),
        ];
        low_level::raise(consts::SIGUSR1).unwrap();
        low_level::raise(consts::SIGUSR1).unwrap();
        turn(&one, Wait::Blocking);
        turn(&two, Wait::Blocking);
        for (driver, signal) in &listeners {
            assert!(poll(signal).is_ready());
            assert!(poll(signal).is_ready());
            assert!(poll(signal).is_pending());
            turn(driver, Wait::No);
            assert!(poll(signal).is_pending());
        }
    }

    #[test]
    fn a_signal_wakes_who_waits_for_it() {
        let driver = driver();
        let signal = Signal::on(&driver, SignalKind::USER_DEFINED2).unwrap();
        assert!(poll(&signal).is_pending());
        low_level::raise(consts::SIGUSR2).unwrap();
        while turn(&driver, Wait::Blocking) == 0 {}
        assert!(poll(&signal).is_ready());
    }

    #[test]
    fn a_dropped_listener_is_gone_from_the_driver_and_the_handler() {
        let driver = driver();
        let signal = Signal::on(&driver, SignalKind::WINDOW_CHANGE).unwrap();
        assert!(driver.has_work());
        drop(signal);
        assert!(!driver.has_work());
        low_level::raise(consts::SIGWINCH).unwrap();
        assert_eq!(turn(&driver, Wait::No), 0);
    }

    #[test]
    fn signals_that_cannot_be_caught_are_refused_without_a_panic() {
        let driver = driver();
        for number in [consts::SIGKILL, consts::SIGSEGV, -1, 4711] {
            let error = Signal::on(&driver, SignalKind::from_raw(number)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{number}");
        }
        assert!(!driver.has_work());
    }

    #[test]
    fn listening_outside_a_runtime_is_an_error() {
        assert_eq!(Signal::new(SignalKind::HANGUP).unwrap_err().kind(), io::ErrorKind::Other);
    }
}

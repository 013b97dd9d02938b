//! A runtime: its threads, from the first to the last.

use std::fmt;
use std::io;
use std::panic::Location;
use std::sync::OnceLock;
use std::time::Duration;

use crate::driver::ClockKind;
use crate::sched::{Config, SchedRef, Scheduler, worker};
use crate::sync::{Arc, thread};
use crate::tree::{root, scope::Scope};

/// A runtime: worker threads, a driver for I/O and time, and a pool for calls that block.
///
/// Its threads live from [`Builder::build`] until it is dropped, which waits for them, but for the one that drops it, if that is
/// one of them (a waker may be a runtime's last owner; two runtimes of which each is dropped on a thread of the other wait for ever).
/// Work enters through [`block_on`](Runtime::block_on)
/// only, so a runtime that is dropped has none left. Several roots may be open at a time, on different threads.
///
/// ```
/// let runtime = treescope::Runtime::builder().worker_threads(2).build()?;
/// let mut counts = [0; 4];
/// runtime.block_on(async |scope| {
///     for (n, count) in counts.iter_mut().enumerate() {
///         scope.spawn(async move { *count = n * n });
///     }
/// });
/// assert_eq!(counts, [0, 1, 4, 9]);
/// # std::io::Result::Ok(())
/// ```
pub struct Runtime {
    scheduler: Arc<Scheduler>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Runtime {
    /// A runtime with the default settings.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn new() -> io::Result<Self> {
        Self::builder().build()
    }

    /// Settings for a runtime.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Runs `body`, and everything spawned below it, to the end; the calling thread blocks meanwhile.
    ///
    /// `body` gets the root scope. Children may borrow whatever outlives this call (`'env`), because the call does
    /// not return, nor unwind, before the whole tree has been dropped. The body itself runs on the calling thread
    /// and need not be `Send`.
    ///
    /// # Panics
    /// With the first panic of the tree, after everything has ended; if the root scope was aborted, likewise; and if
    /// called on one of this runtime's own workers, before anything runs.
    #[track_caller]
    pub fn block_on<'env, B, T>(&self, body: B) -> T
    where
        B: for<'scope> AsyncFnOnce(&'scope Scope<'scope, 'env>) -> T,
    {
        // SAFETY: used by the tree that `root::run` waits for, while `self` holds the scheduler.
        let sched: SchedRef = unsafe { self.scheduler.to_ref() };
        root::run(sched, Location::caller(), body)
    }

    /// Moves the clock of a runtime with a [virtual clock](Builder::virtual_clock) on by `duration`.
    ///
    /// # Panics
    /// If the runtime's clock is the system's.
    pub fn advance(&self, duration: Duration) {
        assert!(self.scheduler.driver().advance(duration), "only a virtual clock can be advanced");
    }

    /// How many workers the runtime has.
    pub fn worker_threads(&self) -> usize {
        self.scheduler.worker_count()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.scheduler.shut_down();
        let blocking = self.scheduler.blocking().shut_down();
        // A runtime's last owner may be a user's waker, which one of its own threads drops when it fires a timer, say, or wakes
        // who drains a scope. A worker ends by itself: it holds the scheduler's `Arc`, and returns at its next look at the
        // shutdown flag. A thread of the blocking pool is given it.
        let me = thread::current().id();
        for thread in self.threads.drain(..).chain(blocking) {
            if thread.thread().id() != me {
                // A worker that panicked has ended the process.
                let _ = thread.join();
            }
        }
        self.scheduler.blocking().leave_to_the_last(&self.scheduler);
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("worker_threads", &self.worker_threads()).finish_non_exhaustive()
    }
}

/// Settings for a [`Runtime`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    pub(crate) config: Config,
}

impl Builder {
    /// The most workers a runtime can have.
    const MAX_WORKERS: usize = 1024;

    pub(crate) fn new() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, |n| n.get().min(Self::MAX_WORKERS));
        Self {
            config: Config {
                workers,
                thread_name: "treescope".to_owned(),
                stack_size: None,
                blocking_threads: 64,
                clock: ClockKind::System,
                spin: Duration::ZERO,
            },
        }
    }

    /// How many worker threads. Default: the machine's available parallelism.
    pub fn worker_threads(mut self, workers: usize) -> Self {
        self.config.workers = workers;
        self
    }

    /// How long a worker that has found nothing to do looks on before it sleeps. Default: not at all.
    ///
    /// For a lone connection that is asked and answers, in turns, with a processor to spare: an answer within this time
    /// costs neither the sleep nor the wake-up, which together are most of a round trip on one machine. The price is a
    /// processor that is busy for as long each time there is nothing to do. At most half of the workers look on at a time.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = treescope::Runtime::builder().spin(Duration::from_micros(50)).build()?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn spin(mut self, duration: Duration) -> Self {
        self.config.spin = duration;
        self
    }

    /// The threads' name; a worker's index is appended. Default: `treescope`.
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.config.thread_name = name.into();
        self
    }

    /// The workers' stack size in bytes. Default: `std`'s. Neither depth nor width of the tree needs stack, only what
    /// a single task's poll uses.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.config.stack_size = Some(bytes);
        self
    }

    /// How many threads [`Scope::spawn_blocking`] may use at a time. Default: 64. Further calls wait for one.
    pub fn blocking_threads(mut self, threads: usize) -> Self {
        self.config.blocking_threads = threads;
        self
    }

    /// Lets time stand still while anything can run, and jump to the next timer when nothing can. For tests.
    pub fn virtual_clock(mut self) -> Self {
        self.config.clock = ClockKind::Virtual;
        self
    }

    /// `std` panics when a thread with such a name is started, and a blocking pool starts its threads late.
    pub(crate) fn check_thread_name(&self) -> io::Result<()> {
        if self.config.thread_name.contains('\0') {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "thread_name must not contain a zero byte",
            ));
        }
        Ok(())
    }

    /// Starts the threads.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the number of workers is not between 1 and 1,024, that of
    /// blocking threads is 0, or the threads' name contains a zero byte; otherwise what the system says to a new thread, epoll or kqueue instance.
    pub fn build(self) -> io::Result<Runtime> {
        if !(1..=Self::MAX_WORKERS).contains(&self.config.workers) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "worker_threads must be between 1 and 1024",
            ));
        }
        if self.config.blocking_threads == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "blocking_threads must be at least 1"));
        }
        self.check_thread_name()?;
        let (scheduler, workers) = worker::scheduler(&self.config)?;
        // From here on, an error drops `runtime`, which ends the threads already started.
        let mut runtime = Runtime { scheduler, threads: Vec::new() };
        for (index, worker) in workers.into_iter().enumerate() {
            let mut thread = thread::Builder::new().name(format!("{}-{index}", self.config.thread_name));
            if let Some(bytes) = self.config.stack_size {
                thread = thread.stack_size(bytes);
            }
            runtime.threads.push(thread.spawn(move || worker.run())?);
        }
        Ok(runtime)
    }
}

/// Runs `body` on a default runtime, made at the first call and kept for the life of the process.
///
/// See [`Runtime::block_on`].
///
/// # Panics
/// As [`Runtime::block_on`]; and if the default runtime's threads cannot be started.
#[track_caller]
pub fn block_on<'env, B, T>(body: B) -> T
where
    B: for<'scope> AsyncFnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    static DEFAULT: OnceLock<Runtime> = OnceLock::new();
    let runtime = DEFAULT.get_or_init(|| match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => panic!("cannot start the default runtime: {error}"),
    });
    runtime.block_on(body)
}

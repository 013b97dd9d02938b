//! What must be true of every tree.
//!
//! 1. Everything has one parent, which knows it: a [`Record`] per scope counts what lives below it.
//! 2. A scope's oldest value, its [`Canary`], is dropped after everything below the scope, and nothing that borrowed it
//!    is dropped later.
//! 3. Who has awaited a scope finds it over. A panic arrives at the root, which finds everything over.
//! 4. A handle's fate changes nothing of this.

use std::io::{Write, stderr};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::Duration;

/// Ends the process, naming the seed. Not a panic: this is called where one would be caught.
pub(crate) fn violated(seed: u64, what: &str) -> ! {
    let _ = writeln!(stderr(), "{what} (TREESCOPE_SEED={seed})");
    std::process::abort()
}

/// Runs `tree` under a watchdog that names the seed.
pub(crate) fn watched<R>(seed: u64, tree: impl FnOnce() -> R) -> R {
    let (alive, watch) = channel::<()>();
    thread::scope(|threads| {
        threads.spawn(move || {
            if watch.recv_timeout(Duration::from_secs(120)) == Err(RecvTimeoutError::Timeout) {
                violated(seed, "a root hung for 120 s");
            }
        });
        let result = tree();
        drop(alive);
        result
    })
}

static WAKERS: Mutex<Vec<Waker>> = Mutex::new(Vec::new());

pub(crate) fn leave_waker(waker: Waker) {
    WAKERS.lock().unwrap_or_else(PoisonError::into_inner).push(waker);
}

pub(crate) fn take_wakers() -> Vec<Waker> {
    std::mem::take(&mut *WAKERS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What has been done at all, for a test that does nothing proves nothing.
static DONE: Mutex<Vec<&str>> = Mutex::new(Vec::new());

pub(crate) fn first_time(what: &'static str) {
    DONE.lock().unwrap_or_else(PoisonError::into_inner).push(what);
}

/// Notes that a sort of thing has been done. One lock per place and process, so as not to keep threads in step.
macro_rules! did {
    ($what:expr) => {{
        static BEFORE: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
        if !BEFORE.load(std::sync::atomic::Ordering::Relaxed)
            && !BEFORE.swap(true, std::sync::atomic::Ordering::Relaxed)
        {
            $crate::oracle::first_time($what);
        }
    }};
}
pub(crate) use did;

pub(crate) fn assert_all_sorts_happened(nodes: u64) {
    let mut done = std::mem::take(&mut *DONE.lock().unwrap_or_else(PoisonError::into_inner));
    done.sort_unstable();
    done.dedup();
    assert!(nodes < 50_000 || done.len() == super::tree::SORTS, "{} sorts: {done:?}", done.len());
}

/// One tree.
pub(crate) struct Root {
    pub(crate) seed: u64,
    pub(crate) may_throw: bool,
    /// Somebody has panicked.
    pub(crate) threw: AtomicBool,
    /// Scopes opened and children spawned.
    pub(crate) nodes: AtomicI64,
    record: Arc<Record>,
}

impl Root {
    pub(crate) fn new(seed: u64) -> Self {
        let record =
            Arc::new(Record { seed, above: None, below: AtomicU64::new(0), over: AtomicBool::new(false) });
        Self {
            seed,
            may_throw: seed % 3 == 0,
            threw: AtomicBool::new(false),
            nodes: AtomicI64::new(1),
            record,
        }
    }

    /// The record that the root scope's own is below.
    pub(crate) fn record(&self) -> Arc<Record> {
        self.record.clone()
    }

    pub(crate) fn assert_over(&self) {
        let below = self.record.below.load(Ordering::SeqCst);
        if below != 0 {
            violated(self.seed, &format!("{below} things were alive when the root returned"));
        }
    }
}

/// What is known of one scope. Outlives it.
pub(crate) struct Record {
    seed: u64,
    above: Option<Arc<Record>>,
    /// Bodies, children, scopes and values that have not been dropped; not the canary itself.
    below: AtomicU64,
    over: AtomicBool,
}

impl Record {
    /// A scope below this one.
    pub(crate) fn open(self: &Arc<Self>) -> Arc<Self> {
        self.below.fetch_add(1, Ordering::SeqCst);
        let above = Some(self.clone());
        Arc::new(Self { seed: self.seed, above, below: AtomicU64::new(0), over: AtomicBool::new(false) })
    }

    /// The scope was never entered, or its canary has been dropped.
    fn close(&self) {
        if self.over.swap(true, Ordering::SeqCst) {
            violated(self.seed, "a scope ended twice");
        }
        if let Some(above) = &self.above {
            above.gone();
        }
    }

    fn gone(&self) {
        if self.over.load(Ordering::SeqCst) {
            violated(self.seed, "something was dropped after its scope");
        }
        if self.below.fetch_sub(1, Ordering::SeqCst) == 0 {
            violated(self.seed, "something was dropped twice");
        }
    }

    /// Awaited, so it must be over.
    pub(crate) fn assert_over(&self) {
        if !self.over.load(Ordering::SeqCst) {
            violated(self.seed, "a scope's handle gave a value before the scope was over");
        }
    }
}

/// A scope that has been opened, until its body runs. Then its canary takes over.
pub(crate) struct Opened(Option<Arc<Record>>);

impl Opened {
    pub(crate) fn new(record: Arc<Record>) -> Self {
        Self(Some(record))
    }

    pub(crate) fn enter(mut self) -> Arc<Record> {
        match self.0.take() {
            Some(record) => record,
            None => unreachable!("entered once"),
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(record) = self.0.take() {
            record.close();
        }
    }
}

const ALIVE: u64 = 0x5CA1_AB1E_0DD5_EED5;

/// A scope's first value, which everything below the scope borrows.
pub(crate) struct Canary {
    alive: AtomicU64,
    record: Arc<Record>,
}

impl Canary {
    pub(crate) fn new(record: Arc<Record>) -> Self {
        Self { alive: AtomicU64::new(ALIVE), record }
    }

    pub(crate) fn look(&self) {
        if self.alive.load(Ordering::SeqCst) != ALIVE {
            // Its record may be gone as well: what is left is to say so.
            violated(0, "a value was used after it had been dropped");
        }
    }

    /// Something that lives below this scope.
    pub(crate) fn guard(&self) -> Guard<'_> {
        self.record.below.fetch_add(1, Ordering::SeqCst);
        Guard { canary: self, scope_alive: true }
    }

    pub(crate) fn record(&self) -> &Arc<Record> {
        &self.record
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        let below = self.record.below.load(Ordering::SeqCst);
        if below != 0 {
            violated(self.record.seed, &format!("{below} things outlived the oldest value of their scope"));
        }
        if self.alive.swap(0, Ordering::SeqCst) != ALIVE {
            violated(self.record.seed, "a value was dropped twice");
        }
        self.record.close();
    }
}

/// Lives below a scope, borrows its canary, and looks at it once more when dropped.
pub(crate) struct Guard<'scope> {
    canary: &'scope Canary,
    scope_alive: bool,
}

impl Guard<'_> {
    pub(crate) fn look(&self) {
        self.canary.look();
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !std::mem::replace(&mut self.scope_alive, false) {
            violated(0, "something was dropped twice");
        }
        self.canary.look();
        self.canary.record.gone();
    }
}

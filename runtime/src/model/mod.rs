//! What `loom-tests/` drives: this crate's parts, one verb of theirs per function here. Under `cfg(loom)` only.
//!
//! Nothing here decides anything. Parts that live in the tree or in the scheduler are made here and given out as
//! handles, so that the models know no representation; whole runtimes need none of it and are driven by the public
//! API.

mod cell;
mod idle;
mod lane;
mod sched;
mod tree;

pub use cell::{Run, Way, Yard};
pub use idle::{Driver, Idle, Parker, Readiness, Tick, Timer};
pub use lane::{Owner, Steal, Stealer, Token, lane};
pub use sched::{AwakeRoots, Crew, Entrance, Signal, Visitors};
pub use tree::{Child, Door, Places, Root};

use crate::driver::ClockKind;
use crate::sched::{Config, Scheduler, worker};
use crate::sync::{Arc, UnsafeCell, thread};

/// Every atomic operation reached so far, if `TREESCOPE_RECORD_SITES` is set:
/// `<file>:<line>:<column> <operation> [<orderings>]`.
pub fn reached() -> Vec<String> {
    crate::sync::fault::reached()
}

/// Begins an execution: forgets the steps of the last one.
pub fn begin_execution() {
    crate::sync::fault::begin_execution();
}

/// The steps of the execution under way, if `TREESCOPE_TRACE` is set.
pub fn steps() -> Vec<String> {
    crate::sync::fault::steps()
}

fn config(workers: usize) -> Config {
    Config {
        workers,
        thread_name: String::new(),
        stack_size: None,
        blocking_threads: 1,
        clock: ClockKind::System,
        spin: std::time::Duration::ZERO,
    }
}

/// A scheduler whose one worker never starts.
fn scheduler_without_workers() -> Arc<Scheduler> {
    worker::scheduler(&config(1)).expect("no system resource is needed").0
}

/// Something for children to borrow. loom reports a use that is not before its end, and its leak.
pub struct Borrowed {
    used: UnsafeCell<()>,
    _leaks: loom::alloc::Track<()>,
}

// SAFETY: the cell is accessed by no pointer that it gives out; loom only takes note.
unsafe impl Sync for Borrowed {}

impl Borrowed {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self { used: UnsafeCell::new(()), _leaks: loom::alloc::Track::new(()) }
    }

    /// Counts as a write, as its drop does: nobody uses it any more.
    pub fn ended(&self) {
        self.used.with_mut(|_| ());
    }

    /// Counts as a read.
    pub fn used(&self) {
        self.used.with(|_| ());
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        // Counts as a write.
        self.used.with_mut(|_| ());
    }
}

/// Runs `f` on a thread of its own while the calling one waits: what `std::thread::scope` is for one thread, which loom
/// has not.
pub fn on_another_thread(f: impl FnOnce() + Send) {
    let f: Box<dyn FnOnce() + Send + '_> = Box::new(f);
    // SAFETY: only the lifetime changes. The thread is joined before this function returns, and a panic, in this thread
    // or that one, ends the process (see `loom_tests::models::explore`).
    let f: Box<dyn FnOnce() + Send + 'static> = unsafe { std::mem::transmute(f) };
    let _ = thread::spawn(f).join();
}

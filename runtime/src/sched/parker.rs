//! Where a worker sleeps: on its thread's token, or in the driver.
//!
//! ```text
//!             ┌──park_thread──▶ ON_THREAD ──┐
//!   EMPTY ────┤                             ├──unpark──▶ NOTIFIED ──(the sleeper returns)──▶ EMPTY
//!             └──park_driver──▶ IN_DRIVER ──┘
//!     └──────unpark before the sleep: NOTIFIED, and the sleep is skipped
//! ```
//!
//! The state decides, not the thread's token: a token that the user's own `thread::park` ate, or left behind, costs
//! a turn round the loop and no more.

use crate::driver::{Driver, Turn, Wait};
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{Mutex, thread};

const EMPTY: u32 = 0;
const ON_THREAD: u32 = 1;
const IN_DRIVER: u32 = 2;
const NOTIFIED: u32 = 3;

/// One worker's bed.
#[derive(Debug)]
pub(crate) struct Parker {
    state: AtomicU32,
    /// The worker's thread, once it runs.
    thread: Mutex<Option<thread::Thread>>,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self { state: AtomicU32::new(EMPTY), thread: Mutex::new(None) }
    }

    /// The worker's thread introduces itself, before it first parks.
    pub(crate) fn bind_current_thread(&self) {
        *self.thread.lock() = Some(thread::current());
    }

    /// Goes to sleep as `kind`; `false` if a notification is there already, which is thereby taken.
    fn lie_down(&self, kind: u32) -> bool {
        // Relaxed: on success nothing is handed over, and on failure `get_up` is what takes it.
        match self.state.compare_exchange(EMPTY, kind, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => true,
            Err(_) => {
                self.get_up();
                false
            }
        }
    }

    /// Takes the notification, if any.
    fn get_up(&self) -> bool {
        // Acquire: pairs with Release in `unpark`: what the waker pushed is seen.
        self.state.swap(EMPTY, Ordering::Acquire) == NOTIFIED
    }

    /// Sleeps on the thread's token until [`unpark`](Self::unpark).
    pub(crate) fn park_thread(&self) {
        if !self.lie_down(ON_THREAD) {
            return;
        }
        loop {
            thread::park();
            // Relaxed: `get_up` takes what is handed over.
            if self.state.load(Ordering::Relaxed) == NOTIFIED {
                self.get_up();
                return;
            }
        }
    }

    /// Sleeps in the driver until [`unpark`](Self::unpark), I/O or a timer.
    pub(crate) fn park_driver(&self, mut turn: Turn<'_>, wait: Wait) {
        if !self.lie_down(IN_DRIVER) {
            return;
        }
        turn.run(wait);
        drop(turn);
        self.get_up();
    }

    /// Wakes the worker, or makes its next sleep return at once.
    pub(crate) fn unpark(&self, driver: &Driver) {
        // Release: pairs with Acquire in `get_up`. Two wakers in a row hand both their pushes over, for the second
        // swap continues the release sequence of the first.
        match self.state.swap(NOTIFIED, Ordering::Release) {
            EMPTY | NOTIFIED => {}
            ON_THREAD => {
                let thread = self.thread.lock().clone();
                if let Some(thread) = thread {
                    thread.unpark();
                }
            }
            IN_DRIVER => driver.interrupt(),
            other => unreachable!("no such parker state: {other}"),
        }
    }
}

//! The bounded pool of threads for closures that block.
//!
//! ```text
//!   SchedRef::schedule_blocking ──submit──▶ queue ──▶ thread: task::cell::run
//!                                  │ nobody idle, room left
//!                                  └──▶ a new thread, which leaves after KEEP_ALIVE without work
//! ```
//!
//! What is queued is an ordinary task whose one poll is the call, so that panics, cancel and counting out are
//! those of any child. The queue's length is bounded by the number of live children.

use std::collections::VecDeque;
use std::time::Duration;

use super::{SchedRef, budget};
use crate::context;
use crate::sync::{Condvar, Mutex, thread};
use crate::task::cell::{self, Runnable};

/// How long a thread waits for work before it leaves.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// See the [module](self).
pub(crate) struct BlockingPool {
    state: Mutex<State>,
    work: Condvar,
    max_threads: usize,
    name: String,
}

struct State {
    queue: VecDeque<Runnable>,
    /// Every thread not joined yet: a thread uses the pool's memory until its very end.
    threads: Vec<thread::JoinHandle<()>>,
    live: usize,
    idle: usize,
    shutdown: bool,
}

impl BlockingPool {
    pub(crate) fn new(max_threads: usize, name: String) -> Self {
        Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                threads: Vec::new(),
                live: 0,
                idle: 0,
                shutdown: false,
            }),
            work: Condvar::new(),
            max_threads,
            name,
        }
    }

    /// Queues a task. Gives it back if it would never run: there is no thread, and none can be started.
    pub(crate) fn submit(&self, sched: SchedRef, runnable: Runnable) -> Result<(), Runnable> {
        let mut state = self.state.lock();
        if state.idle < state.queue.len() + 1 && state.live < self.max_threads {
            match self.start_thread(sched) {
                Ok(thread) => {
                    state.threads.push(thread);
                    state.live += 1;
                }
                Err(_) if state.live == 0 => return Err(runnable),
                Err(_) => {}
            }
        }
        state.queue.push_back(runnable);
        // Those that have ended to the last destructor of a thread-local need not be joined; nobody waits for one here.
        state.threads.retain(|thread| !crate::sync::is_finished(thread));
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    fn start_thread(&self, sched: SchedRef) -> std::io::Result<thread::JoinHandle<()>> {
        thread::Builder::new()
            .name(format!("{}-blocking", self.name))
            .spawn(move || sched.blocking().work(sched))
    }

    /// A pool thread's life.
    fn work(&self, sched: SchedRef) {
        let _context = context::enter_root(sched);
        let mut state = self.state.lock();
        loop {
            if let Some(runnable) = state.queue.pop_front() {
                drop(state);
                budget::refill();
                cell::run(runnable);
                state = self.state.lock();
                continue;
            }
            if state.shutdown {
                break;
            }
            state.idle += 1;
            // Not before it counts as idle, and under the lock that `is_idle` takes.
            sched.rested();
            let timed_out;
            (state, timed_out) = crate::sync::wait_timeout(&self.work, state, KEEP_ALIVE);
            state.idle -= 1;
            if timed_out && state.queue.is_empty() {
                break;
            }
        }
        state.live -= 1;
    }

    /// Whether no call is queued or under way.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.state.lock();
        state.queue.is_empty() && state.idle == state.live
    }

    /// Lets all threads return, and gives them for joining.
    pub(crate) fn shut_down(&self) -> Vec<thread::JoinHandle<()>> {
        let mut state = self.state.lock();
        state.shutdown = true;
        let threads = std::mem::take(&mut state.threads);
        drop(state);
        self.work.notify_all();
        threads
    }
}

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

use super::SchedRef;
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
    /// Threads that have left; the next submit joins them.
    left: Vec<thread::ThreadId>,
    live: usize,
    idle: usize,
    shutdown: bool,
}

impl State {
    /// The handles of threads that have left.
    fn take_left(&mut self) -> Vec<thread::JoinHandle<()>> {
        let left = std::mem::take(&mut self.left);
        self.threads.extract_if(.., |thread| left.contains(&thread.thread().id())).collect()
    }
}

/// Joins a pool thread. It cannot have panicked: tasks catch, and what else panics ends the process.
fn join(thread: thread::JoinHandle<()>) {
    let _ = thread.join();
}

impl BlockingPool {
    pub(crate) fn new(max_threads: usize, name: String) -> Self {
        Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                threads: Vec::new(),
                left: Vec::new(),
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
        let left = state.take_left();
        drop(state);
        self.work.notify_one();
        // They have released the lock for the last time, or are about to.
        left.into_iter().for_each(join);
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
                cell::run(runnable);
                sched.rested();
                state = self.state.lock();
                continue;
            }
            if state.shutdown {
                break;
            }
            state.idle += 1;
            let timed_out;
            (state, timed_out) = crate::sync::wait_timeout(&self.work, state, KEEP_ALIVE);
            state.idle -= 1;
            if timed_out && state.queue.is_empty() {
                break;
            }
        }
        state.live -= 1;
        state.left.push(thread::current().id());
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

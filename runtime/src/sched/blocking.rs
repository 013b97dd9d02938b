//! The bounded pool of threads for closures that block.
//!
//! ```text
//!   SchedRef::schedule_blocking ──submit──▶ queue ──▶ thread: task::cell::run
//!                                  │ nobody idle, room left
//!                                  └──▶ a new thread, which leaves after KEEP_ALIVE without work
//! ```
//!
//! Who keeps the pool alive: it lies in the scheduler, which a thread of the pool does not own. The runtime joins all threads
//! before it lets the scheduler go. One it cannot join: the thread that drops the runtime, if that is of the pool (a user's waker may
//! be the runtime's last owner, and is called after the root was told). That one, the last by then, gets the scheduler
//! ([`leave_to_the_last`](BlockingPool::leave_to_the_last)), and frees it when it has done with it.
//!
//! What is queued is an ordinary task whose one poll is the call, so that panics, cancel and counting out are
//! those of any child. The queue's length is bounded by the number of live children.

use std::collections::VecDeque;
use std::time::Duration;

use super::{SchedRef, Scheduler, budget};
use crate::context;
use crate::sync::{Arc, Condvar, Mutex, thread};
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
    /// Every thread that may still use the pool's memory, and some that have left and are not joined yet.
    threads: Vec<thread::JoinHandle<()>>,
    /// Threads that have been started and have not left [`BlockingPool::work`].
    live: usize,
    idle: usize,
    shutdown: bool,
    /// For the last thread, if the runtime was dropped on it.
    left_to_the_last: Option<Arc<Scheduler>>,
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
                left_to_the_last: None,
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
        // Those that have left need not be joined, though destructors of their thread-locals may still run; nobody waits here.
        state.threads.retain(|thread| !crate::sync::is_finished(thread));
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    fn start_thread(&self, sched: SchedRef) -> std::io::Result<thread::JoinHandle<()>> {
        thread::Builder::new()
            .name(format!("{}-blocking", self.name))
            // The scheduler, if there is one to free, is freed out here: the pool lies in it.
            .spawn(move || drop(sched.blocking().work(sched)))
    }

    /// A pool thread's life. Gives what was left to it.
    fn work(&self, sched: SchedRef) -> Option<Arc<Scheduler>> {
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
        state.left_to_the_last.take()
    }

    /// The runtime is being dropped, and all threads are joined but perhaps the calling one, if that is of the pool: whoever still
    /// is at work gets the scheduler, which this pool lies in. (A thread that has left `work` may drop a runtime in a destructor of
    /// a thread-local; it uses the scheduler no more.)
    pub(crate) fn leave_to_the_last(&self, scheduler: &Arc<Scheduler>) {
        let mut state = self.state.lock();
        if state.live > 0 {
            state.left_to_the_last = Some(scheduler.clone());
        }
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

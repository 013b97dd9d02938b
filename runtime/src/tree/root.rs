//! The blocking root: the one place where the tree meets a stack frame.
//!
//! Everything the tree may borrow for `'env` lies in frames below [`run`], and `run` does not return, nor unwind,
//! before the whole tree has ended. That is the entire reason why `'env` borrows are sound, so the order here is
//! fixed: call the body, poll it, **drop it**, wait for every child, drop the node's values, and, because a value's
//! drop may spawn, wait again; only then hand on the value or the panic.
//!
//! The thread sleeps on a flag of its own ([`RootSignal`]) and not on `thread::park`'s token, which a nested root
//! or the user's own `park` would eat. It never runs other tasks while it waits: a task that blocks in a root of
//! another runtime would stack one poll on another without bound.

use std::future::Future;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::sync::Arc as StdArc;
use std::task::{Context, Poll, Wake, Waker};

use super::deferred;
use super::failure::{self, Payload, guard};
use super::node::Node;
use super::scope::Scope;
use crate::context;
use crate::local::{Local, LocalScope};
use crate::sched::budget;
use crate::sched::worker::Worker;
use crate::sched::{RootRest, SchedRef, Scheduler};
use crate::sync::{Arc, Condvar, Mutex, wait};

/// What wakes a root. In an `Arc` of its own, for wakers are `'static` and outlive the root.
pub(crate) struct RootSignal {
    state: Mutex<SignalState>,
    condvar: Condvar,
    /// The scheduler whose worker the root's thread is, if it is one: a local root's.
    local: Option<Arc<Scheduler>>,
}

struct SignalState {
    woken: bool,
    /// The scheduler of a root that sleeps. It is alive: its root leaves `sleep` only once this has been taken.
    asleep: Option<SchedRef>,
}

impl RootSignal {
    pub(crate) fn new(local: Option<Arc<Scheduler>>) -> StdArc<Self> {
        StdArc::new(Self {
            state: Mutex::new(SignalState { woken: false, asleep: None }),
            condvar: Condvar::new(),
            local,
        })
    }

    pub(crate) fn wake_by_ref(&self) {
        let mut state = self.state.lock();
        if state.woken {
            return;
        }
        state.woken = true;
        if let Some(sched) = state.asleep.take() {
            sched.root_woken();
        }
        drop(state);
        match &self.local {
            None => {
                self.condvar.notify_one();
            }
            Some(scheduler) => scheduler.unpark_local_root(),
        }
    }

    /// Sleeps until woken since the last call.
    pub(crate) fn sleep(&self, rest: &RootRest<'_>) {
        let mut state = self.state.lock();
        if !state.woken {
            state.asleep = Some(rest.falls_asleep());
            while !state.woken {
                state = wait(&self.condvar, state);
            }
        }
        state.woken = false;
    }

    /// Whether it was woken since the last call.
    fn take_woken(&self) -> bool {
        std::mem::take(&mut self.state.lock().woken)
    }
}

impl Wake for RootSignal {
    fn wake(self: StdArc<Self>) {
        RootSignal::wake_by_ref(&self);
    }

    fn wake_by_ref(self: &StdArc<Self>) {
        RootSignal::wake_by_ref(self);
    }
}

/// What a root's thread does while the root has nothing to do.
trait Pause {
    /// Returns once `signal` has been given.
    fn pause(&self, signal: &RootSignal);
}

/// It sleeps; other threads run the tree.
impl Pause for RootRest<'_> {
    fn pause(&self, signal: &RootSignal) {
        signal.sleep(self);
    }
}

/// It runs the tree itself.
impl Pause for Worker {
    fn pause(&self, signal: &RootSignal) {
        self.run_until(|| signal.take_woken());
    }
}

/// Ends the process if dropped: the frame that tasks borrow from is about to be unwound.
struct NoUnwind;

impl Drop for NoUnwind {
    fn drop(&mut self) {
        crate::sync::internal_error("a blocking root was about to unwind while its tree may be alive");
    }
}

/// Runs `body` and everything below it to its end on the calling thread and `sched`'s workers.
///
/// # Panics
/// If the calling thread is a worker of the same scheduler; and, after all has ended, with the tree's failure, or if
/// the root scope was aborted.
pub(crate) fn run<'env, B, T>(sched: SchedRef, location: &'static Location<'static>, body: B) -> T
where
    B: for<'scope> AsyncFnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    refuse_own_workers(sched);
    let no_unwind = NoUnwind;
    let context = context::enter_root(sched);
    let rest = RootRest::new(sched);
    let signal = RootSignal::new(None);
    let scope = pin!(Scope::over(Node::root(sched, signal.clone(), location)));
    let waker = Waker::from(signal.clone());
    let root = Root { scope: scope.as_ref(), signal: &signal, waker: &waker, pause: &rest };

    let value = root.run_body(body);
    root.drain();

    let outcome = root.outcome(value);
    drop(rest);
    drop(context);
    std::mem::forget(no_unwind);
    outcome.unwrap_or_else(|failure| fail(failure))
}

/// Runs `body` and everything below it to its end on the calling thread, which is `worker`, the only one.
///
/// # Panics
/// As [`run`].
pub(crate) fn run_local<'env, B, T>(worker: &Worker, location: &'static Location<'static>, body: B) -> T
where
    B: for<'scope> AsyncFnOnce(LocalScope<'scope, 'env>) -> T,
{
    // SAFETY: used by the tree that this function waits for, while `worker` holds the scheduler.
    let sched = unsafe { worker.scheduler().to_ref() };
    refuse_own_workers(sched);
    let no_unwind = NoUnwind;
    worker.bind_current_thread();
    let home = context::HomeLink::new(sched);
    // SAFETY: `worker` and `home` outlive the guard, which is dropped below.
    let context = unsafe { context::enter_worker(worker, &home) };
    let signal = RootSignal::new(Some(worker.scheduler().clone()));
    let scope = pin!(Scope::over(Node::root(sched, signal.clone(), location)));
    let waker = Waker::from(signal.clone());
    let root = Root { scope: scope.as_ref(), signal: &signal, waker: &waker, pause: worker };

    // SAFETY: this root's scheduler has one worker, this thread.
    let value = root.run_body(async |scope| body(unsafe { Local::new(scope) }).await);
    root.drain();

    let outcome = root.outcome(value);
    drop(context);
    std::mem::forget(no_unwind);
    outcome.unwrap_or_else(|failure| fail(failure))
}

fn refuse_own_workers(sched: SchedRef) {
    assert!(
        !context::is_worker_of(sched),
        "a blocking root inside a worker of the same runtime would wait for itself; open a scope instead"
    );
}

/// How a root ends that has no value.
fn fail(failure: Option<Payload>) -> ! {
    match failure {
        Some(payload) => std::panic::resume_unwind(payload),
        None => panic!("the root scope was aborted, so there is no value to return"),
    }
}

/// What the steps of [`run`] share.
struct Root<'a, 'env, P> {
    scope: Pin<&'a Scope<'a, 'env>>,
    signal: &'a RootSignal,
    waker: &'a Waker,
    pause: &'a P,
}

impl<'env, P: Pause> Root<'_, 'env, P> {
    fn node(&self) -> &Node {
        self.scope.get_ref().node()
    }

    /// Calls and polls the body; it is dropped on return. `None`: it panicked or was cancelled.
    fn run_body<B, T>(&self, body: B) -> Option<T>
    where
        B: for<'scope> AsyncFnOnce(&'scope Scope<'scope, 'env>) -> T,
    {
        let outcome = guard(|| {
            // Its children are counted in at once: a body's first part is not polled but called, and the future that
            // would tell where it ends is what it gives.
            let future = body(self.scope.get_ref());
            self.poll_body(future)
        });
        match outcome {
            Ok(value) => value,
            Err(payload) => {
                self.node().fail(payload, None);
                None
            }
        }
    }

    /// Polls the body's future until it is ready or the scope is cancelled, and drops it.
    fn poll_body<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(Some(future));
        let value = loop {
            self.node().keep_time(self.waker);
            if self.node().is_aborted() {
                break None;
            }
            budget::refill();
            // SAFETY: used while the body is polled, in the next lines.
            let before = context::enter_body(unsafe { self.node().to_ref() });
            let polled = guard(|| match future.as_mut().as_pin_mut() {
                Some(future) => future.poll(&mut Context::from_waker(self.waker)),
                None => Poll::Pending,
            });
            context::leave_body(before);
            match polled {
                Ok(Poll::Ready(value)) => break Some(value),
                Ok(Poll::Pending) => self.pause.pause(self.signal),
                Err(payload) => {
                    self.node().fail(payload, None);
                    break None;
                }
            }
        };
        if let Err(payload) = guard(|| future.set(None)) {
            self.node().fail(payload, None);
        }
        value
    }

    /// Waits for every child, runs what was deferred, drops the values, and waits again for what their drops spawned.
    fn drain(&self) {
        // SAFETY: used in this function, which ends before the node does.
        let node = unsafe { self.node().to_ref() };
        let mut running = None;
        loop {
            budget::refill();
            node.keep_time(self.waker);
            if deferred::poll(node, &mut running, self.waker).is_pending() {
                self.pause.pause(self.signal);
                continue;
            }
            // SAFETY: `run_body` has dropped the body, no deferred future is left, and the node is drained.
            if !unsafe { node.drop_values() } {
                node.disarm();
                return;
            }
        }
    }

    /// What the root comes to, after the drain; `Err` has the failure, or nothing if the scope was aborted.
    fn outcome<T>(&self, value: Option<T>) -> Result<T, Option<Payload>> {
        let failure = self.node().take_failure();
        match value {
            Some(value) if failure.is_none() && !self.node().is_aborted() => Ok(value),
            value => {
                // An aborted scope has no value, even if its body had one by then.
                if let Err(second) = guard(|| drop(value)) {
                    failure::discard(second);
                }
                Err(failure)
            }
        }
    }
}

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
use std::pin::{Pin, pin};
use std::sync::Arc as StdArc;
use std::task::{Context, Poll, Wake, Waker};

use super::failure::{self, guard};
use super::node::Node;
use super::scope::Scope;
use crate::context;
use crate::sched::budget;
use crate::sched::{RootRest, SchedRef};
use crate::sync::{Condvar, Mutex, wait};

/// What wakes a blocked root. In an `Arc` of its own, for wakers are `'static` and outlive the root.
pub(crate) struct RootSignal {
    state: Mutex<SignalState>,
    condvar: Condvar,
}

struct SignalState {
    woken: bool,
    /// The scheduler of a root that sleeps. It is alive: its root leaves `sleep` only once this has been taken.
    asleep: Option<SchedRef>,
}

impl RootSignal {
    fn new() -> StdArc<Self> {
        StdArc::new(Self {
            state: Mutex::new(SignalState { woken: false, asleep: None }),
            condvar: Condvar::new(),
        })
    }

    pub(crate) fn wake_by_ref(&self) {
        let mut state = self.state.lock();
        if !state.woken {
            state.woken = true;
            if let Some(sched) = state.asleep.take() {
                sched.root_woken();
            }
            drop(state);
            self.condvar.notify_one();
        }
    }

    /// Sleeps until woken since the last call.
    fn sleep(&self, rest: &RootRest<'_>) {
        let mut state = self.state.lock();
        if !state.woken {
            state.asleep = Some(rest.falls_asleep());
            while !state.woken {
                state = wait(&self.condvar, state);
            }
        }
        state.woken = false;
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

/// Ends the process if dropped: the frame that tasks borrow from is about to be unwound.
struct NoUnwind;

impl Drop for NoUnwind {
    fn drop(&mut self) {
        eprintln!(
            "treescope: internal error: a blocking root was about to unwind while its tree may be alive"
        );
        std::process::abort();
    }
}

/// Runs `body` and everything below it to its end on the calling thread and `sched`'s workers.
///
/// # Panics
/// If the calling thread is a worker of the same scheduler; and, after all has ended, with the tree's failure, or if
/// the root scope was aborted.
pub(crate) fn run<'env, B, T>(sched: SchedRef, body: B) -> T
where
    B: for<'scope> AsyncFnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    assert!(
        !context::is_worker_of(sched),
        "a blocking root inside a worker of the same runtime would wait for itself; open a scope instead"
    );
    let no_unwind = NoUnwind;
    let context = context::enter_root(sched);
    let rest = RootRest::new(sched);
    let signal = RootSignal::new();
    let waker = Waker::from(signal.clone());
    let scope = pin!(Scope::over(Node::root(sched, signal.clone())));
    let root = Root { scope: scope.as_ref(), signal: &signal, waker: &waker, rest: &rest };

    let value = root.run_body(body);
    root.drain();

    let failure = scope.node().take_failure();
    let aborted = scope.node().is_cancelled();
    drop(rest);
    drop(context);
    std::mem::forget(no_unwind);
    match (value, failure) {
        (Some(value), None) if !aborted => value,
        (value, failure) => {
            // An aborted scope has no value, even if its body had one by then.
            if let Err(second) = guard(|| drop(value)) {
                failure::discard(second);
            }
            match failure {
                Some(payload) => std::panic::resume_unwind(payload),
                None => panic!("the root scope was aborted, so there is no value to return"),
            }
        }
    }
}

/// What the steps of [`run`] share.
struct Root<'a, 'env> {
    scope: Pin<&'a Scope<'a, 'env>>,
    signal: &'a RootSignal,
    waker: &'a Waker,
    rest: &'a RootRest<'a>,
}

impl<'env> Root<'_, 'env> {
    fn node(&self) -> &Node {
        self.scope.get_ref().node()
    }

    /// Calls and polls the body; it is dropped on return. `None`: it panicked or was cancelled.
    fn run_body<B, T>(&self, body: B) -> Option<T>
    where
        B: for<'scope> AsyncFnOnce(&'scope Scope<'scope, 'env>) -> T,
    {
        let outcome = guard(|| {
            let future = body(self.scope.get_ref());
            self.poll_body(future)
        });
        match outcome {
            Ok(value) => value,
            Err(payload) => {
                self.node().fail(payload);
                None
            }
        }
    }

    /// Polls the body's future until it is ready or the scope is cancelled, and drops it.
    fn poll_body<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(Some(future));
        let mut cx = Context::from_waker(self.waker);
        let value = loop {
            if self.node().is_cancelled() {
                break None;
            }
            budget::refill();
            let polled = guard(|| match future.as_mut().as_pin_mut() {
                Some(future) => future.poll(&mut cx),
                None => Poll::Pending,
            });
            match polled {
                Ok(Poll::Ready(value)) => break Some(value),
                Ok(Poll::Pending) => self.signal.sleep(self.rest),
                Err(payload) => {
                    self.node().fail(payload);
                    break None;
                }
            }
        };
        if let Err(payload) = guard(|| future.set(None)) {
            self.node().fail(payload);
        }
        value
    }

    /// Waits for every child, drops the values, and waits again for what their drops spawned.
    fn drain(&self) {
        loop {
            while self.node().poll_drained(self.waker).is_pending() {
                self.signal.sleep(self.rest);
            }
            // SAFETY: `run_body` has dropped the body, and the node is drained.
            if !unsafe { self.node().drop_values() } {
                return;
            }
        }
    }
}

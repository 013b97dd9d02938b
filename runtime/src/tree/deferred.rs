//! Async cleanup: futures that run after everything else in a scope has ended, whatever the way out.
//!
//! They run in the node's own task, after the body and all children are gone and before the values are dropped, newest
//! first, one at a time. No cancel reaches them; what ends one that does not end by itself is its own limit.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::failure::guard;
use super::node::{Node, NodeRef};
use crate::context;
use crate::sched::TimerKey;

/// A deferred future and how long it may take.
pub(crate) struct Deferred {
    /// Its lifetime is erased: it may borrow for `'scope`. The node drops it before its values, and before it ends.
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    limit: Duration,
}

impl Deferred {
    /// # Safety
    /// Whatever `future` borrows stays alive until the deferred future is dropped. If it is not `Send`, the node's
    /// scheduler runs tasks on this thread only.
    pub(crate) unsafe fn new<'a>(future: impl Future<Output = ()> + 'a, limit: Duration) -> Self {
        let future: Pin<Box<dyn Future<Output = ()> + 'a>> = Box::pin(future);
        // SAFETY: only the lifetime and `Send` change, which the contract stands in for.
        let future = unsafe {
            std::mem::transmute::<
                Pin<Box<dyn Future<Output = ()> + 'a>>,
                Pin<Box<dyn Future<Output = ()> + Send + 'static>>,
            >(future)
        };
        Self { future, limit }
    }
}

/// The deferred future that is under way.
pub(crate) struct Running {
    /// `None` once dropped.
    future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// `None`: its limit is past what an `Instant` can say.
    deadline: Option<Instant>,
    timer: Option<TimerKey>,
}

impl Running {
    fn start(deferred: Deferred, node: &Node) -> Self {
        let deadline = node.sched().now().checked_add(deferred.limit);
        Self { future: Some(deferred.future), deadline, timer: None }
    }

    /// Polls it; `Ready` if it has ended, run out of time or panicked, and has been dropped.
    fn poll(&mut self, node: NodeRef, waker: &Waker) -> Poll<()> {
        let before = context::enter_body(node);
        let polled = guard(|| match &mut self.future {
            Some(future) => future.as_mut().poll(&mut Context::from_waker(waker)),
            None => Poll::Ready(()),
        });
        context::leave_body(before);
        let late = self.deadline.is_some_and(|deadline| deadline <= node.sched().now());
        match polled {
            Ok(Poll::Pending) if !late => {
                if let (None, Some(deadline)) = (self.timer, self.deadline) {
                    self.timer = node.sched().arm(deadline, waker);
                }
                return Poll::Pending;
            }
            Ok(_) => {}
            Err(payload) => node.fail(payload, None),
        }
        if let Err(payload) = guard(|| self.future = None) {
            node.fail(payload, None);
        }
        if let Some(timer) = self.timer {
            node.sched().disarm(timer);
        }
        Poll::Ready(())
    }
}

/// Waits until no child of `node` lives, and runs what was deferred on it, newest first; `running` is the one under way. `Ready`: no
/// child lives, and nothing deferred is left.
///
/// Children that one of them spawned are waited for before the next, but not while it is under way: they may wait for it.
#[inline]
pub(crate) fn poll(node: NodeRef, running: &mut Option<Running>, waker: &Waker) -> Poll<()> {
    loop {
        if let Some(now) = running {
            if now.poll(node, waker).is_pending() {
                return Poll::Pending;
            }
            *running = None;
        }
        if node.poll_drained(waker).is_pending() {
            return Poll::Pending;
        }
        let Some(deferred) = node.pop_deferred() else { return Poll::Ready(()) };
        *running = Some(Running::start(deferred, &node));
    }
}

impl Node {
    /// Keeps a future for the end.
    pub(crate) fn defer(&self, deferred: Deferred) {
        self.held.lock().rare().deferred.push(deferred);
        self.state.set_holds();
    }

    /// The newest future that was deferred. Asked once the node is drained.
    #[inline]
    fn pop_deferred(&self) -> Option<Deferred> {
        if self.state.holds() { self.pop_kept_deferred() } else { None }
    }

    #[cold]
    fn pop_kept_deferred(&self) -> Option<Deferred> {
        self.held.lock().rare_if_any().and_then(|rare| rare.deferred.pop())
    }
}

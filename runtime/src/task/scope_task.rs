//! The wrapper of a child scope: its body's future and, inline, the node that the body's children hang from.
//!
//! ```text
//!   Start(body) ──call──▶ Body(future) ──ready, panic, cancelled──▶ Drain(value) ──drained, no values──▶ end
//!        └──cancelled or panicked before there is a future──────────────▲   └─values' drops spawned─┘
//! ```
//!
//! The node is part of the task's own pinned future: one allocation per scope, an address that holds, and nothing
//! that user code could move, forget or leak. The body's future borrows the node, which makes this a self-reference;
//! what keeps it sound is the order above: the future is dropped before the wait, the wait ends before the values
//! are dropped, and the node goes last, with the task.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::{pin_project, pinned_drop};

use super::cell;
use super::join::JoinHandle;
use super::outcome::{Outcome, drop_into};
use crate::context;
use crate::tree::body::ScopeBody;
use crate::tree::body::sealed::Token;
use crate::tree::failure::guard;
use crate::tree::node::{Node, NodeRef, Park};
use crate::tree::scope::Scope;

/// Spawns `body` over a new node below `node`.
///
/// A plain function that erases the body's type: an `async fn` that held the closure across an await would ask
/// for an `AsyncFnOnce` "general enough", which the compiler cannot see.
#[inline]
pub(crate) fn spawn<'scope, B, T>(node: &'scope Node, body: B) -> JoinHandle<'scope, T>
where
    B: for<'inner> ScopeBody<&'inner Scope<'inner, 'scope>, T> + 'scope,
    T: Send + 'scope,
{
    let sched = node.sched();
    // SAFETY: the child uses the reference, and the next line sees to it that it is counted; `Node` is pinned
    // wherever a scope lends it.
    let parent = unsafe { node.to_ref() };
    node.child_added();
    let task = ScopeTask::<'scope, B, T> {
        parent,
        parked: false,
        scope: Scope::over(Node::below(parent)),
        stage: Stage::Start(body),
    };
    // SAFETY: what the body borrows lives for `'scope`, and `node`, which counts the task, ends after it; the
    // scheduler outlives every node. Body, future and value are `Send`, and so is a node.
    let (runnable, slot) = unsafe { cell::new(sched, task) };
    sched.schedule_child(runnable);
    JoinHandle::new(slot)
}

/// The body's future. `'inner` is instantiated at `'scope`: the body is generic over it and cannot tell, and no
/// lifetime could name what really holds, "until this task ends".
type BodyFuture<'scope, B, T> = <B as ScopeBody<&'scope Scope<'scope, 'scope>, T>>::Future;

/// See the [module](self). `!Unpin` through the node, whatever the body's future is: with an `Unpin` body
/// (`Pin<Box<dyn Future>>`) an auto-`Unpin` task would be polled through a `&mut` that claims to be the only
/// pointer to the node while children use it.
#[pin_project(PinnedDrop)]
struct ScopeTask<'scope, B, T>
where
    B: ScopeBody<&'scope Scope<'scope, 'scope>, T>,
{
    /// Counts this task until it has been run to its end.
    parent: NodeRef,
    /// Whether the node's link was ever put on the parent's list.
    parked: bool,
    #[pin]
    scope: Scope<'scope, 'scope>,
    #[pin]
    stage: Stage<B, BodyFuture<'scope, B, T>, T>,
}

#[pin_project(project = StageNow, project_replace = StageTaken)]
enum Stage<B, F, T> {
    Start(B),
    Body(#[pin] F),
    Drain(Option<T>),
    Ended,
}

impl<'scope, B, T> Future for ScopeTask<'scope, B, T>
where
    B: ScopeBody<&'scope Scope<'scope, 'scope>, T>,
{
    type Output = Outcome<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        context::begin_poll(self.parent);
        loop {
            let cancelled = self.node().is_cancelled_from_above();
            // SAFETY: used while the body is polled, below.
            let node = unsafe { self.node().to_ref() };
            let polled = match self.as_mut().project().stage.project() {
                StageNow::Start(_) => {
                    self.as_mut().start(cancelled);
                    continue;
                }
                StageNow::Body(_) if cancelled => {
                    self.as_mut().drop_body(None);
                    continue;
                }
                StageNow::Body(future) => {
                    let before = context::enter_body(node);
                    let polled = guard(|| future.poll(cx));
                    context::leave_body(before);
                    polled
                }
                StageNow::Drain(_) => match self.as_mut().drain(cx) {
                    Drain::Ended(outcome) => return Poll::Ready(outcome),
                    Drain::Parked => return Poll::Pending,
                    Drain::Again => continue,
                },
                StageNow::Ended => unreachable!("async-task polls no task that has ended"),
            };
            match polled {
                Ok(Poll::Ready(value)) => self.as_mut().drop_body(Some(value)),
                Ok(Poll::Pending) => match self.as_mut().park(cx) {
                    Park::Parked => return Poll::Pending,
                    Park::Cancelled => {}
                },
                Err(payload) => {
                    self.node().fail(payload);
                    self.as_mut().drop_body(None);
                }
            }
        }
    }
}

/// What [`ScopeTask::drain`] came to.
enum Drain<T> {
    Parked,
    Again,
    Ended(Outcome<T>),
}

impl<'scope, B, T> ScopeTask<'scope, B, T>
where
    B: ScopeBody<&'scope Scope<'scope, 'scope>, T>,
{
    fn node(&self) -> &Node {
        self.scope.node()
    }

    fn pinned_node(self: Pin<&Self>) -> Pin<&Node> {
        // SAFETY: a projection: the node lies inline in the pinned task, is never moved out of it, and a `Node`
        // gives out no `&mut` of itself.
        unsafe { self.map_unchecked(|task| task.scope.node()) }
    }

    /// Calls the body, unless the scope is cancelled before it began.
    fn start(mut self: Pin<&mut Self>, cancelled: bool) {
        let StageTaken::Start(body) = self.as_mut().project().stage.project_replace(Stage::Drain(None))
        else {
            unreachable!("start is called in stage Start");
        };
        if cancelled {
            drop_into(body, self.node());
            return;
        }
        let scope: *const Scope<'scope, 'scope> = &*self.as_ref().project_ref().scope;
        // SAFETY: the scope lies in this pinned task. Whatever uses the reference is the body's future, which is
        // dropped before the drain, and descendants, for which the drain waits; the task goes away after it.
        let scope: &'scope Scope<'scope, 'scope> = unsafe { &*scope };
        // SAFETY: used while the body is called, in the next lines.
        let before = context::enter_body(unsafe { self.node().to_ref() });
        let called = guard(|| body.call(scope, Token));
        context::leave_body(before);
        match called {
            Ok(future) => self.as_mut().project().stage.set(Stage::Body(future)),
            Err(payload) => self.node().fail(payload),
        }
    }

    /// Drops the body's future and goes on to drain, with the body's value if there is one.
    fn drop_body(mut self: Pin<&mut Self>, value: Option<T>) {
        // `set` drops the future in place; if that panics, the pinned slot still takes the new stage.
        let dropped = guard(|| self.as_mut().project().stage.set(Stage::Drain(value)));
        if let Err(payload) = dropped {
            self.node().fail(payload);
        }
    }

    /// Waits for the children, drops the node's values, and ends.
    fn drain(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Drain<T> {
        if self.node().poll_drained(cx.waker()).is_pending() {
            return match self.park(cx) {
                Park::Parked => Drain::Parked,
                // The cancel has been passed on by `is_cancelled_from_above`, or was the node's own. Nobody has
                // to wake this task for it any more; the last child will.
                Park::Cancelled => Drain::Parked,
            };
        }
        // SAFETY: the body's future was dropped on the way into stage Drain, and the node is drained.
        if unsafe { self.node().drop_values() } {
            return Drain::Again;
        }
        let StageTaken::Drain(value) = self.as_mut().project().stage.project_replace(Stage::Ended) else {
            unreachable!("drain is called in stage Drain");
        };
        Drain::Ended(self.end(value))
    }

    /// Hands a failure up, leaves the parent's list and notes that the parent is to be told.
    fn end(self: Pin<&mut Self>, mut value: Option<T>) -> Outcome<T> {
        let node = self.node();
        let parent = self.parent;
        let failure = node.take_failure();
        if (failure.is_some() || node.is_cancelled())
            && let Some(value) = value.take()
        {
            drop_into(value, &parent);
        }
        if let Some(payload) = failure {
            parent.fail(payload);
        }
        if self.parked {
            self.as_ref().pinned_node().unpark_self();
        }
        context::note_ended(parent);
        Outcome::new(value, parent)
    }

    fn park(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Park {
        if self.parked {
            // As in `Child::poll`.
            return if self.node().is_cancelled_from_above() { Park::Cancelled } else { Park::Parked };
        }
        let park = self.as_ref().pinned_node().park_self(cx.waker());
        if park == Park::Parked {
            *self.as_mut().project().parked = true;
        }
        park
    }
}

#[pinned_drop]
impl<'scope, B, T> PinnedDrop for ScopeTask<'scope, B, T>
where
    B: ScopeBody<&'scope Scope<'scope, 'scope>, T>,
{
    fn drop(self: Pin<&mut Self>) {
        if !matches!(self.stage, Stage::Ended) {
            // As in `child.rs`: would leave dangling pointers behind.
            eprintln!("treescope: internal error: a scope was dropped before its end");
            std::process::abort();
        }
    }
}

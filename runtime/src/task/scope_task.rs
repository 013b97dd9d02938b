//! The wrapper of a child scope: its body's future and, inline, the node that the body's children hang from.
//!
//! ```text
//!   Start(body) ──call──▶ Body(future) ──ready, panic, aborted──▶ Drain(value) ──▶ ended
//!        └──aborted or panicked before there is a future─────────────▲
//!
//!   Drain: wait for the children; run a deferred future; wait again; drop the values; wait again; end
//! ```
//!
//! The node is part of the task's own pinned future: one allocation per scope, an address that holds, and nothing
//! that user code could move, forget or leak. The body's future borrows the node, which makes this a self-reference;
//! what keeps it sound is the order above: the future is dropped before the wait, the wait ends before the values
//! are dropped, and the node goes last, with the task.

use std::future::Future;
use std::marker::PhantomPinned;
use std::ops::Deref;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::{pin_project, pinned_drop};

use super::body::{Body, Kind};
use super::cell;
use super::join::JoinHandle;
use super::outcome::{Outcome, drop_into};
use crate::context;
use crate::tree::cancel::Park;
use crate::tree::deferred::{self, Running};
use crate::tree::failure::guard;
use crate::tree::node::Node;
use crate::tree::scope::Scope;
use crate::tree::setup::Setup;

/// Spawns `body` over a new node of kind `kind` below `node`.
///
/// A plain function that erases the body's type: an `async fn` that held the closure across an await would ask
/// for an `AsyncFnOnce` "general enough", which the compiler cannot see.
///
/// # Panics
/// If `node` is closed.
///
/// # Safety
/// The body does not tell `'inner` from `'scope`: it is callable with the scope for every lifetime `'inner` that
/// `'scope` outlives. If body, future, kind or values are not `Send`, the node's scheduler runs tasks on this thread only.
#[inline]
pub(crate) unsafe fn spawn<'scope, K, B>(
    node: &'scope Node,
    setup: Option<Box<Setup>>,
    location: &'static Location<'static>,
    kind: K,
    body: B,
) -> JoinHandle<'scope, K::Output>
where
    K: Kind<'scope> + 'scope,
    B: Body<K::Arg, K::Value> + 'scope,
{
    // SAFETY: the child uses the reference, and the next line sees to it that it is counted; `Node` is pinned
    // wherever a scope lends it.
    let parent = unsafe { node.to_ref() };
    assert!(Node::child_added(parent), "the scope is closed: it takes no more children");
    let task = |task| ScopeTask::<'scope, K, B> {
        ended: false,
        scope: Scope::over(Node::below(parent, task, setup, location)),
        kind: Lent { kind, _pinned: PhantomPinned },
        stage: Stage::Start(body),
    };
    // SAFETY: what the body borrows lives for `'scope`, and `node`, which counts the task, ends after it; the
    // scheduler outlives every node. Body, future and value are `Send`, or stay on this thread, by contract.
    let (runnable, slot) = unsafe { cell::new_scope(parent, task) };
    let handle = JoinHandle::new(slot);
    node.sched().schedule_child(runnable);
    handle
}

/// The body's future. `'inner` is instantiated at `'scope`: the body is generic over it and cannot tell, and no
/// lifetime could name what really holds, "until this task ends".
type BodyFuture<'scope, K, B> = <B as Body<<K as Kind<'scope>>::Arg, <K as Kind<'scope>>::Value>>::Future;

/// See the [module](self). `!Unpin` through the node, whatever the body's future is: with an `Unpin` body
/// (`Pin<Box<dyn Future>>`) an auto-`Unpin` task would be polled through a `&mut` that claims to be the only
/// pointer to the node while children use it.
#[pin_project(PinnedDrop)]
struct ScopeTask<'scope, K, B>
where
    K: Kind<'scope>,
    B: Body<K::Arg, K::Value>,
{
    /// Not a stage: the last one holds nothing any more, and to replace it costs a look at each thing that it could.
    ended: bool,
    #[pin]
    scope: Scope<'scope, 'scope>,
    #[pin]
    kind: Lent<K>,
    #[pin]
    stage: Stage<B, BodyFuture<'scope, K, B>, K::Value>,
}

/// A kind, lent to the body like the node, so pinned and `!Unpin` like it: children on other threads use it (places, errors) while the
/// task is polled through a `&mut`.
struct Lent<K> {
    kind: K,
    _pinned: PhantomPinned,
}

impl<K> Deref for Lent<K> {
    type Target = K;

    fn deref(&self) -> &K {
        &self.kind
    }
}

#[pin_project(project = StageNow, project_replace = StageTaken)]
enum Stage<B, F, V> {
    Start(B),
    Body(#[pin] F),
    Drain { value: Option<V>, deferred: Option<Running> },
}

impl<B, F, V> Stage<B, F, V> {
    fn drain(value: Option<V>) -> Self {
        Self::Drain { value, deferred: None }
    }
}

impl<'scope, K, B> Future for ScopeTask<'scope, K, B>
where
    K: Kind<'scope> + 'scope,
    B: Body<K::Arg, K::Value>,
{
    type Output = Outcome<K::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: used while this task is polled, and no longer: `note_ended` replaces it.
        let own = unsafe { self.node().to_ref() };
        // SAFETY: no link.
        unsafe { context::set_current(own, None) };
        debug_assert!(!self.ended, "no cell polls a task that has ended");
        own.hear();
        loop {
            // Straight on from stage to stage, for most scopes go through all of them in their first poll; but each stage
            // looks again for what the one before, being user code, may have brought about.
            if matches!(self.stage, Stage::Start(_)) {
                let aborted = self.look(cx);
                self.as_mut().start(aborted);
            }
            if matches!(self.stage, Stage::Body(_)) {
                if self.look(cx) {
                    self.as_mut().drop_body(None);
                } else if self.as_mut().poll_body(cx).is_pending() {
                    return Poll::Pending;
                }
            }
            if matches!(self.stage, Stage::Drain { .. }) {
                self.look(cx);
                match self.as_mut().drain(cx) {
                    Drain::Ended(outcome) => return Poll::Ready(outcome),
                    Drain::Parked => return Poll::Pending,
                    Drain::Again => {}
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

impl<'scope, K, B> ScopeTask<'scope, K, B>
where
    K: Kind<'scope> + 'scope,
    B: Body<K::Arg, K::Value>,
{
    fn node(&self) -> &Node {
        self.scope.node()
    }

    /// Takes over what the scope above asks for, and what time has brought; whether the scope is aborted.
    #[inline]
    fn look(&self, cx: &Context<'_>) -> bool {
        !self.node().is_undisturbed() && self.look_closer(cx)
    }

    #[cold]
    fn look_closer(&self, cx: &Context<'_>) -> bool {
        self.node().take_orders();
        self.node().keep_time(cx.waker());
        self.node().is_aborted()
    }

    /// Calls the body, unless the scope is aborted before it began.
    fn start(mut self: Pin<&mut Self>, aborted: bool) {
        let StageTaken::Start(body) = self.as_mut().project().stage.project_replace(Stage::drain(None))
        else {
            unreachable!("start is called in stage Start");
        };
        if aborted {
            drop_into(body, self.node());
            return;
        }
        let this = self.as_ref().project_ref();
        let scope: *const Scope<'scope, 'scope> = &*this.scope;
        let kind: *const K = &**this.kind;
        // SAFETY: the scope lies in this pinned task. Whatever uses the reference is the body's future, which is
        // dropped before the drain, and descendants, for which the drain waits; the task goes away after it.
        let scope: &'scope Scope<'scope, 'scope> = unsafe { &*scope };
        // SAFETY: likewise; it is as `!Unpin` as the scope, so no `&mut` of the task claims it for itself.
        let kind: &'scope K = unsafe { &*kind };
        // SAFETY: used while the body is called, in the next lines.
        let before = context::enter_body(unsafe { self.node().to_ref() });
        let called = guard(|| body.call(kind.arg(scope)));
        context::leave_body(before);
        match called {
            Ok(future) => self.as_mut().project().stage.set(Stage::Body(future)),
            Err(payload) => self.node().fail(payload, None),
        }
    }

    /// Polls the body. `Pending`: parked; `Ready`: it has ended, or an abort kept it from parking.
    fn poll_body(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: used while the body is polled, in the next lines.
        let before = context::enter_body(unsafe { self.node().to_ref() });
        // A context of its own, for the body may put another in its place.
        let mut lent = Context::from_waker(cx.waker());
        let polled = guard(|| match self.as_mut().project().stage.project() {
            StageNow::Body(future) => future.poll(&mut lent),
            _ => unreachable!("poll_body is called in stage Body"),
        });
        let has_asked = context::leave_body(before);
        match polled {
            Ok(Poll::Ready(value)) => {
                let value = guard(|| self.kind.body_ended(self.node(), value)).unwrap_or_else(|payload| {
                    self.node().fail(payload, None);
                    None
                });
                self.as_mut().drop_body(value);
            }
            // A scope below wakes this task when it ends, and so do cancels until then: see `tree/listing.rs`.
            Ok(Poll::Pending) if has_asked && !self.node().is_listed() && self.node().is_undisturbed() => {
                return Poll::Pending;
            }
            Ok(Poll::Pending) => {
                if self.park(cx) == Park::Parked {
                    return Poll::Pending;
                }
            }
            Err(payload) => {
                self.node().fail(payload, None);
                self.as_mut().drop_body(None);
            }
        }
        Poll::Ready(())
    }

    /// Drops the body's future and goes on to drain, with the body's value if there is one.
    fn drop_body(mut self: Pin<&mut Self>, value: Option<K::Value>) {
        // `set` drops the future in place; if that panics, the pinned slot still takes the new stage.
        let dropped = guard(|| self.as_mut().project().stage.set(Stage::drain(value)));
        if let Err(payload) = dropped {
            self.node().fail(payload, None);
        }
    }

    /// Waits for the children, runs what was deferred, drops the node's values, and ends.
    fn drain(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Drain<K::Output> {
        // Most scopes have had nothing but children: one look instead of one for each thing that there could be.
        let is_blank = self.node().is_blank();
        if !is_blank {
            // Parked or aborted is all the same here: what wakes this task is the last child, or the deferred future; and
            // `park` has passed on what came from above.
            if self.as_mut().poll_deferred(cx).is_pending() {
                let _ = self.park(cx);
                return Drain::Parked;
            }
            // SAFETY: the body's future was dropped on the way into stage Drain, no deferred future is left, and the node
            // is drained.
            if unsafe { self.node().drop_values() } {
                return Drain::Again;
            }
        }
        let StageNow::Drain { value, .. } = self.as_mut().project().stage.project() else {
            unreachable!("drain is called in stage Drain");
        };
        let value = value.take();
        *self.as_mut().project().ended = true;
        let output = if is_blank {
            self.finish(value)
        } else {
            let output = self.settle(value);
            self.node().disarm();
            output
        };
        Drain::Ended(self.end(output))
    }

    /// Waits for the children and runs what was deferred, one after the other, each within its limit.
    fn poll_deferred(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: used while a deferred future is polled or dropped, in this function.
        let node = unsafe { self.node().to_ref() };
        let StageNow::Drain { deferred: running, .. } = self.as_mut().project().stage.project() else {
            unreachable!("poll_deferred is called in stage Drain");
        };
        deferred::poll(node, running, cx.waker())
    }

    /// What the scope's value becomes, be it that the scope failed or was aborted; a failure is handed up.
    fn settle(&self, value: Option<K::Value>) -> Option<K::Output> {
        let node = self.node();
        let parent = context::parent();
        if let Some(payload) = node.take_failure() {
            let output = self.kind.failed(payload).map_err(|payload| {
                if let Some(cause) = node.own_cause() {
                    parent.inherit_cause(cause);
                }
                parent.fail(payload, None);
            });
            drop_into(value, &parent);
            // What the kind has come to hold is dropped here too: the task's run would abort if that panicked.
            match guard(|| self.kind.finish(node, None)) {
                Ok(leftover) => drop_into(leftover, &parent),
                Err(second) => parent.fail(second, None),
            }
            output.ok()
        } else {
            // An aborted scope has no value, even if its body had one by then.
            let (value, late) = if node.is_aborted() { (None, value) } else { (value, None) };
            drop_into(late, &parent);
            self.finish(value)
        }
    }

    /// What the value of a scope without a failure becomes.
    #[inline]
    fn finish(&self, value: Option<K::Value>) -> Option<K::Output> {
        guard(|| self.kind.finish(self.node(), value)).unwrap_or_else(|payload| {
            context::parent().fail(payload, None);
            None
        })
    }

    /// Leaves the parent's list and notes that the parent is to be told.
    fn end(self: Pin<&mut Self>, output: Option<K::Output>) -> Outcome<K::Output> {
        if self.node().is_listed() {
            self.node().unpark_self();
        }
        context::note_ended(context::parent());
        Outcome::new(output)
    }

    fn park(self: &Pin<&mut Self>, cx: &mut Context<'_>) -> Park {
        let park = if self.node().is_listed() && self.node().is_still_parked() {
            // As in `Child::poll`.
            Park::Parked
        } else {
            self.node().park_self()
        };
        // What this poll itself has asked of the scope, and what the scope above asked for between this poll's look and now: a cancel
        // that found no link on its list wakes nobody, so nobody but this task can pass it on.
        if self.look(cx) { Park::Aborted } else { park }
    }
}

#[pinned_drop]
impl<'scope, K, B> PinnedDrop for ScopeTask<'scope, K, B>
where
    K: Kind<'scope>,
    B: Body<K::Arg, K::Value>,
{
    fn drop(self: Pin<&mut Self>) {
        if !self.ended {
            // As in `child.rs`: would leave dangling pointers behind.
            crate::sync::internal_error("a scope was dropped before its end");
        }
    }
}

//! The wrapper of a spawned future.
//!
//! It polls the future under a panic guard, ends it when the scope is cancelled, and sees to it that the future is
//! dropped *inside* a poll: what is dropped after that ends the process if it panics.

use std::future::Future;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use pin_project::{pin_project, pinned_drop};

use super::cell::{self, Runnable};
use super::join::JoinHandle;
use super::outcome::Outcome;
use crate::context;
use crate::tree::cancel::Park;
use crate::tree::failure::guard;
use crate::tree::node::{Node, NodeRef};
use crate::tree::parked::Link;
use crate::tree::setup::Label;
use crate::tree::state::Orders;

/// Spawns `future` below `node`; gives it back if the node is closed.
///
/// The lifetimes are the caller's: `Scope::spawn` asks that the future and its output live for `'scope`.
///
/// # Safety
/// If the future or its output is not `Send`, the node's scheduler runs tasks on this thread only.
#[inline]
pub(crate) unsafe fn spawn<'scope, F>(
    node: &'scope Node,
    label: Label,
    future: F,
) -> Result<JoinHandle<'scope, F::Output>, F>
where
    F: Future + 'scope,
    F::Output: 'scope,
{
    let Some(parent) = count_in(node) else { return Err(future) };
    // SAFETY: what the future borrows lives for `'scope`, and the node, which counts the child, ends after it; the
    // scheduler outlives every node. The future and its output are `Send`, or stay on this thread, by contract.
    let (runnable, slot) = unsafe { cell::new_child(parent, || Child::new(label, future)) };
    node.sched().schedule_child(runnable);
    Ok(JoinHandle::new(slot))
}

/// [`spawn`] for a child of a local scope: see [`new_unhurried`](cell::new_unhurried).
///
/// # Safety
/// As for [`spawn`].
pub(crate) unsafe fn spawn_unhurried<'scope, F>(
    node: &'scope Node,
    label: Label,
    future: F,
) -> Result<JoinHandle<'scope, F::Output>, F>
where
    F: Future + 'scope,
    F::Output: 'scope,
{
    // SAFETY: by contract.
    let (runnable, handle) = unsafe { prepare_unhurried(node, label, future) }?;
    node.sched().schedule_child(runnable);
    Ok(handle)
}

/// Counts a child in below `node` and makes its task; the caller queues it. Gives the future back if the node is
/// closed.
///
/// # Safety
/// As for [`spawn`].
pub(crate) unsafe fn prepare_unhurried<'scope, F>(
    node: &'scope Node,
    label: Label,
    future: F,
) -> Result<(Runnable, JoinHandle<'scope, F::Output>), F>
where
    F: Future + 'scope,
    F::Output: 'scope,
{
    let Some(parent) = count_in(node) else { return Err(future) };
    // SAFETY: as in `spawn`.
    let (runnable, slot) = unsafe { cell::new_unhurried(parent, || Child::new(label, future)) };
    Ok((runnable, JoinHandle::new(slot)))
}

/// Counts a child in, unless the node is closed.
#[inline]
fn count_in(node: &Node) -> Option<NodeRef> {
    // SAFETY: the child uses the reference, and the next line sees to it that it is counted; `Node` is pinned
    // wherever a scope lends it.
    let parent = unsafe { node.to_ref() };
    Node::child_added(parent).then_some(parent)
}

/// See the [module](self). `!Unpin` through `Link`: the parent's list points into it while it is borrowed
/// mutably for a poll, and only a `!Unpin` type's `&mut` is not taken for the sole pointer to it.
#[pin_project(PinnedDrop)]
struct Child<F> {
    /// Whether `link` was ever put on the parent's list.
    parked: bool,
    #[pin]
    link: Link,
    /// `None` once the task has ended.
    #[pin]
    future: Option<F>,
}

impl<F> Child<F> {
    #[inline]
    fn new(label: Label, future: F) -> Self {
        Self { parked: false, link: Link::of_child(label), future: Some(future) }
    }
}

impl<F: Future> Future for Child<F> {
    type Output = Outcome<F::Output>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let parent = context::parent();
        // SAFETY: `link` lies in this pinned task, which is being polled; `note_ended` takes it out again.
        unsafe { context::set_current(parent, Some(NonNull::from(&self.link))) };
        if parent.orders() == Orders::Abort {
            return self.end(parent, None);
        }
        // The task's own. The future may put another context in the place of this one.
        let waker = cx.waker();
        let mut this = self.as_mut().project();
        let polled = guard(|| match this.future.as_mut().as_pin_mut() {
            Some(future) => future.poll(cx),
            None => unreachable!("no cell polls a task that has ended"),
        });
        match polled {
            Ok(Poll::Ready(value)) => self.end(parent, Some(value)),
            Err(payload) => {
                parent.fail(payload, Some(self.link.label()));
                self.end(parent, None)
            }
            // On the parent's list, unless a cancel has taken it off: that cancel's wake polls this task again,
            // whatever this look at its mark sees.
            Ok(Poll::Pending) if *this.parked && parent.orders() == Orders::GoOn => Poll::Pending,
            Ok(Poll::Pending) => {
                let link = NonNull::from(this.link.as_ref().get_ref());
                // SAFETY: pinned with the task, whose waker it is; `end` takes it off before the task goes away.
                match unsafe { parent.park(link, waker) } {
                    Park::Parked => {
                        *this.parked = true;
                        Poll::Pending
                    }
                    Park::Aborted => self.end(parent, None),
                }
            }
        }
    }
}

impl<F: Future> Child<F> {
    /// Drops the future and leaves the parent's list. What is left for the parent is to be told.
    #[inline]
    fn end(self: Pin<&mut Self>, parent: NodeRef, value: Option<F::Output>) -> Poll<Outcome<F::Output>> {
        let mut this = self.project();
        if let Err(payload) = guard(|| this.future.set(None)) {
            parent.fail(payload, Some(this.link.label()));
        }
        if *this.parked {
            // SAFETY: the link lies in this task, a child of `parent`.
            unsafe { parent.unpark(NonNull::from(this.link.as_ref().get_ref())) };
        }
        context::note_ended(parent);
        Poll::Ready(Outcome::new(value))
    }
}

#[pinned_drop]
impl<F> PinnedDrop for Child<F> {
    fn drop(self: Pin<&mut Self>) {
        if self.future.is_some() {
            // Would leave a dangling link and a count that never falls. No queue drops a task while a root
            // blocks, our own cells hold themselves until their end, and async-task closes no task that has a reference in a link or
            // a queue.
            crate::sync::internal_error("a task was dropped before its end");
        }
    }
}

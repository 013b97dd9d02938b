//! The tree without tasks: `tree/`, `kinds/bounded.rs`.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc as StdArc;
use std::task::Waker;

use super::scheduler_without_workers;
use crate::kinds::bounded;
use crate::sched::{RootRest, Scheduler};
use crate::sync::Arc;
use crate::tree::cancel::Park;
use crate::tree::node;
use crate::tree::parked::Link;
use crate::tree::root::RootSignal;
use crate::tree::setup::Label;
use crate::tree::state::Orders;

/// A root node without a body: its waiting thread and its children are the model's threads.
pub struct Root {
    /// From `Box::leak`, so that its end is a free that nobody may come after.
    node: NonNull<node::Node>,
    signal: StdArc<RootSignal>,
    scheduler: Arc<Scheduler>,
}

impl Root {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let scheduler = scheduler_without_workers();
        let signal = RootSignal::new(None);
        // SAFETY: the root holds the scheduler.
        let sched = unsafe { scheduler.to_ref() };
        let node = Box::leak(Box::new(node::Node::root(sched, signal.clone(), Location::caller())));
        Self { node: NonNull::from(node), signal, scheduler }
    }

    fn node(&self) -> &node::Node {
        // SAFETY: freed in `end` only.
        unsafe { self.node.as_ref() }
    }

    /// Counts a child in.
    pub fn child(&self) -> Child {
        // SAFETY: counted.
        let parent = unsafe { self.node().to_ref() };
        assert!(node::Node::child_added(parent), "nobody has closed it");
        Child { parent, link: Box::pin(Link::of_child(Label::here())) }
    }

    /// For a foreign thread that the root's body waits for.
    pub fn door(&self) -> Door {
        // SAFETY: models join the thread before they end the root.
        Door(unsafe { self.node().to_ref() })
    }

    pub fn close(&self) {
        self.node().close();
    }

    /// The first poll of a wait of the body's own for the children; `true` if none lives.
    pub fn poll_drain(&self, waker: &Waker) -> bool {
        self.node().poll_drain(&mut None, waker).is_ready()
    }

    /// How many are named as alive.
    pub fn survivors(&self) -> u64 {
        self.node().survivors().children()
    }

    /// What wakes the waiting thread.
    pub fn waker(&self) -> Waker {
        Waker::from(self.signal.clone())
    }

    pub fn is_drained(&self, waker: &Waker) -> bool {
        self.node().poll_drained(waker).is_ready()
    }

    /// Sleeps until woken.
    pub fn sleep(&self) {
        // SAFETY: the root holds the scheduler.
        self.signal.sleep(&RootRest::new(unsafe { self.scheduler.to_ref() }));
    }

    pub fn drain(&self, waker: &Waker) {
        while !self.is_drained(waker) {
            self.sleep();
        }
    }

    pub fn cancel(&self) {
        self.node().abort(|node| node.cause_at(Location::caller(), String::new()));
    }

    pub fn is_cancelled(&self) -> bool {
        self.node().is_aborted()
    }

    /// How many marks have been made, as a scope that is opened hears it.
    pub fn marks(&self) -> u32 {
        self.node().sched().marks().so_far()
    }

    /// The number that the first failure carried.
    pub fn take_failure(&self) -> Option<usize> {
        self.node().take_failure().map(|payload| *payload.downcast().expect("models fail with numbers"))
    }

    /// Frees the node.
    pub fn end(self) {
        // SAFETY: from `Box::leak` in `new`; `self` goes away. Whether nobody uses it is what is checked.
        drop(unsafe { Box::from_raw(self.node.as_ptr()) });
    }
}

/// A way into a scope from outside.
pub struct Door(node::NodeRef);

impl Door {
    /// Counts a child in, unless the scope is closed.
    pub fn child(&self) -> Option<Child> {
        node::Node::child_added(self.0)
            .then(|| Child { parent: self.0, link: Box::pin(Link::of_child(Label::here())) })
    }
}

/// A child that the root counts.
pub struct Child {
    parent: node::NodeRef,
    link: Pin<Box<Link>>,
}

impl Child {
    fn link(&self) -> NonNull<Link> {
        NonNull::from(&*self.link)
    }

    /// Counts a sibling in.
    pub fn sibling(&self) -> Self {
        assert!(node::Node::child_added(self.parent), "nobody has closed it");
        Self { parent: self.parent, link: Box::pin(Link::of_child(Label::here())) }
    }

    /// Whether the child is parked; if not, the scope is cancelled.
    pub fn park(&self, waker: &Waker) -> bool {
        // SAFETY: pinned, of this child, and unparked by the model before it ends.
        let park = unsafe { self.parent.park(self.link(), waker) };
        park == Park::Parked
    }

    pub fn unpark(&self) {
        // SAFETY: of this child.
        unsafe { self.parent.unpark(self.link()) };
    }

    pub fn cancel_scope(&self) {
        self.parent.abort(|node| node.cause_at(Location::caller(), String::new()));
    }

    pub fn is_scope_cancelled(&self) -> bool {
        self.parent.is_aborted()
    }

    /// What a child asks before a poll.
    pub fn is_to_end(&self) -> bool {
        self.parent.orders() == Orders::Abort
    }

    /// Fails the scope with a number.
    pub fn fail_scope(&self, number: usize) {
        self.parent.fail(Box::new(number), None);
    }

    /// Counts the child out.
    pub fn end(self) {
        let Self { parent, link } = self;
        drop(link);
        node::Node::children_ended(parent, 1);
    }
}

/// The places of a bounded scope.
pub struct Places(bounded::Places);

impl Places {
    pub fn new(free: usize) -> Self {
        Self(bounded::Places::new(free))
    }

    /// Waits for a place.
    pub fn place(&self) -> impl Future<Output = bounded::Place<'_>> {
        self.0.take()
    }
}

//! Waiting for a scope's children from inside its body.
//!
//! The node's own wait for its children is by its own task, with its own waker, after the body is gone. A body that
//! drains its scope begins that wait earlier, maybe with another waker (a `select` hands out its own), maybe more than once at
//! a time, and may give it up again while the children go on. So what lies in the node's waiter slot for a drain is a
//! [`DrainSignal`], with a list of who waits, each [`Drained`] under a key of its own, and a place for the node's own task, which
//! waits when its turn comes. A cleanup may drain likewise.
//!
//! ```text
//!   Drained::poll ────put────▶ DrainSignal ──wake──▶ the node's own task, then everybody on the list, once
//!   Drained::drop ────remove──▶     ▲ ▲
//!   Node::poll_drained ──put_own────┘ └── Node::children_ended, the last child
//! ```
//!
//! *No lost wake.* Whoever waits leaves its waker and then looks at the node's state; the last child changes the state
//! (`waiter_taken`) and then takes the list. Both go through the list's lock, so one that is not on the list when it is taken
//! sees that the node is drained. The node's own task comes first: the others' wakers are users', and may block until it has gone on.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc as StdArc;
use std::task::{Context, Poll, Wake, Waker};

use super::node::Node;
use super::state::{Seen, Wait};
use super::watchers::Watchers;
use crate::context;
use crate::sync::Mutex;

/// Passes the last child's wake on to whoever waits then.
pub(crate) struct DrainSignal(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// The node's own task.
    own: Option<Waker>,
    drains: Watchers,
}

impl DrainSignal {
    fn new() -> Self {
        Self(Mutex::new(Waiting::default()))
    }

    /// Has `waker` woken as well, in place of the one kept under `key`. A wake that has come already is seen in the node's
    /// state.
    fn put(&self, key: Option<u64>, waker: &Waker) -> u64 {
        let waker = waker.clone();
        let (key, old) = self.0.lock().drains.put(key, waker);
        drop(old);
        key
    }

    /// As [`put`](Self::put), for the node's own task.
    pub(super) fn put_own(&self, waker: &Waker) {
        let waker = waker.clone();
        let old = self.0.lock().own.replace(waker);
        drop(old);
    }

    fn remove(&self, key: u64) {
        let old = self.0.lock().drains.remove(key);
        drop(old);
    }
}

impl Wake for DrainSignal {
    fn wake(self: StdArc<Self>) {
        let mut waiting = self.0.lock();
        let (own, drains) = (waiting.own.take(), waiting.drains.take());
        drop(waiting);
        if let Some(own) = own {
            own.wake();
        }
        drains.wake();
    }
}

/// Waits, in the body of a scope that is closed, until no child lives.
pub(super) struct Drained<'a> {
    node: &'a Node,
    /// What the node's signal knows this future by, once it has been polled.
    key: Option<u64>,
}

impl<'a> Drained<'a> {
    pub(super) fn of(node: &'a Node) -> Self {
        Self { node, key: None }
    }
}

impl Future for Drained<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let node = self.node;
        assert!(context::is_body_of(node), "a scope is drained from its own body");
        node.poll_drain(&mut self.key, cx.waker())
    }
}

impl Drop for Drained<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.node.drain_signal().remove(key);
        }
    }
}

impl Node {
    /// Waits, from inside the body, until no child lives. The node is closed, so that none comes after. `key` is what the signal knows
    /// the caller by.
    pub(crate) fn poll_drain(&self, key: &mut Option<u64>, waker: &Waker) -> Poll<()> {
        context::count_in(self);
        let signal = self.drain_signal();
        *key = Some(signal.put(*key, waker));
        match self.state.seen() {
            Seen::Drained => Poll::Ready(()),
            Seen::Waiting => Poll::Pending,
            Seen::Counting => match self.begin_wait(Waker::from(signal)) {
                Wait::Drained => Poll::Ready(()),
                Wait::Pending => Poll::Pending,
            },
        }
    }

    /// The node's signal, made at the first drain.
    fn drain_signal(&self) -> StdArc<DrainSignal> {
        let mut held = self.held.lock();
        held.rare().draining.get_or_insert_with(|| StdArc::new(DrainSignal::new())).clone()
    }
}

//! Waiting for a scope's children from inside its body.
//!
//! The node's own wait for its children is by its own task, with its own waker, after the body is gone. A body that
//! drains its scope begins that wait earlier, maybe with another waker (a `select` hands out its own), and may give
//! it up again while the children go on. So what lies in the node's waiter slot for a drain is a [`DrainSignal`],
//! whose waker can be replaced: by the next poll of the drain, or by the node's own task when its turn comes.

use std::sync::Arc as StdArc;
use std::task::{Poll, Wake, Waker};

use super::node::Node;
use super::state::{Seen, Wait};
use crate::context;
use crate::sync::Mutex;

/// Passes the last child's wake on to whoever waits now.
pub(crate) struct DrainSignal(Mutex<Option<Waker>>);

impl DrainSignal {
    /// Passes a wake that comes from now on to `waker`. One that has come already is seen in the node's state.
    pub(crate) fn hand_over(&self, waker: &Waker) {
        let waker = waker.clone();
        let old = self.0.lock().replace(waker);
        drop(old);
    }
}

impl Wake for DrainSignal {
    fn wake(self: StdArc<Self>) {
        let waker = self.0.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Node {
    /// Waits, from inside the body, until no child lives. The node is closed, so that none comes after.
    pub(crate) fn poll_drain(&self, waker: &Waker) -> Poll<()> {
        context::count_in(self);
        let signal = {
            let mut held = self.held.lock();
            let draining = &mut held.rare().draining;
            draining.get_or_insert_with(|| StdArc::new(DrainSignal(Mutex::new(None)))).clone()
        };
        signal.hand_over(waker);
        match self.state.seen() {
            Seen::Drained => Poll::Ready(()),
            Seen::Waiting => Poll::Pending,
            Seen::Counting => match self.begin_wait(Waker::from(signal)) {
                Wait::Drained => Poll::Ready(()),
                Wait::Pending => Poll::Pending,
            },
        }
    }
}

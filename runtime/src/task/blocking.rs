//! A closure as a child: an ordinary task whose one poll runs the closure, queued to the blocking pool instead of a
//! worker. It never pends, so it is scheduled exactly once.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::child;
use super::join::JoinHandle;
use crate::tree::node::Node;
use crate::tree::setup::Label;

/// Spawns `work` below `node`, on the blocking pool; gives it back if the node is closed.
pub(crate) fn spawn<'scope, F, T>(
    node: &'scope Node,
    label: Label,
    work: F,
) -> Result<JoinHandle<'scope, T>, F>
where
    F: FnOnce() -> T + Send + 'scope,
    T: Send + 'scope,
{
    // SAFETY: closure and value are `Send`.
    match unsafe { child::prepare_unhurried(node, label, Call(Some(work))) } {
        Ok((runnable, handle)) => {
            node.sched().schedule_blocking(runnable);
            Ok(handle)
        }
        Err(Call(Some(work))) => Err(work),
        Err(Call(None)) => unreachable!("it was not polled"),
    }
}

/// Calls a closure in its only poll.
struct Call<F>(Option<F>);

// The closure is called by value and never pinned.
impl<F> Unpin for Call<F> {}

impl<F: FnOnce() -> T, T> Future for Call<F> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        match self.0.take() {
            Some(work) => Poll::Ready(work()),
            None => unreachable!("polled after it was ready"),
        }
    }
}

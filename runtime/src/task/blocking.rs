//! A closure as a child: an ordinary task whose one poll runs the closure, queued to the blocking pool instead of a
//! worker. It never pends, so it is scheduled exactly once.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::child;
use super::join::JoinHandle;
use crate::tree::node::Node;

/// Spawns `work` below `node`, on the blocking pool.
pub(crate) fn spawn<'scope, F, T>(node: &'scope Node, work: F) -> JoinHandle<'scope, T>
where
    F: FnOnce() -> T + Send + 'scope,
    T: Send + 'scope,
{
    let (runnable, handle) = child::prepare(node, Call(Some(work)));
    node.sched().schedule_blocking(runnable);
    handle
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

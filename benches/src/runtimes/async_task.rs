//! async-task's tasks and a queue on the calling thread, and nothing else: no tree, no other worker, no I/O. What a task of
//! async-task's costs by itself: of treescope's only closures on the blocking pool and plain children of a local scope are such.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use async_task::{Runnable, Task};

use super::Started;
use crate::works::{Sample, Work};

pub(super) struct AsyncTask;

impl Started for AsyncTask {
    fn run(&self, work: &dyn Work) -> Sample {
        work.async_task()
    }
}

thread_local! {
    /// The end is run next: new tasks newest first, then woken ones oldest first, as on treescope.
    static QUEUE: RefCell<VecDeque<Runnable>> = const { RefCell::new(VecDeque::new()) };
}

/// Makes a task and queues it.
pub fn spawn<F>(future: F) -> Task<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let (runnable, task) = async_task::spawn(future, woken);
    QUEUE.with_borrow_mut(|queue| queue.push_back(runnable));
    task
}

/// Awaits all and adds up what they give.
pub async fn sum(tasks: Vec<Task<u64>>) -> u64 {
    let mut sum = 0;
    for task in tasks {
        sum += task.await;
    }
    sum
}

fn woken(runnable: Runnable) {
    QUEUE.with_borrow_mut(|queue| queue.push_front(runnable));
}

/// Runs `future` as a task, and all that it spawns, until nothing is left.
///
/// # Panics
/// If it has not ended by then.
pub fn run<F>(future: F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let task = spawn(future);
    while let Some(runnable) = QUEUE.with_borrow_mut(VecDeque::pop_back) {
        runnable.run();
    }
    match pin!(task).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a work waits for its own tasks only"),
    }
}

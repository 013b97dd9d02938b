//! async-executor, in the form that spawns cheapest: a leaked, static one. Its threads are ours: each runs the executor
//! until the channel closes.

use std::future::Future;
use std::{io, thread};

use async_channel::Sender;
use async_executor::{Executor, StaticExecutor};
use futures_lite::future::block_on;

use super::Started;
use crate::works::{Sample, Work};

/// The executor.
pub type Static = &'static StaticExecutor;
/// What a spawn gives.
pub type Handle<T> = async_executor::Task<T>;

struct Smol {
    executor: Static,
    stop: Sender<()>,
    threads: Vec<thread::JoinHandle<()>>,
}

pub(super) fn start(workers: usize) -> io::Result<impl Started> {
    let executor = Executor::new().leak();
    let (stop, stopped) = async_channel::bounded::<()>(1);
    let mut smol = Smol { executor, stop, threads: Vec::new() };
    for _ in 0..workers {
        let stopped = stopped.clone();
        smol.threads.push(thread::Builder::new().spawn(move || {
            // Closed, which is what ends it: nothing is ever sent.
            let _ = block_on(executor.run(stopped.recv()));
        })?);
    }
    Ok(smol)
}

impl Started for Smol {
    fn run(&self, work: &dyn Work) -> Sample {
        work.async_executor(self.executor)
    }
}

impl Drop for Smol {
    fn drop(&mut self) {
        self.stop.close();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Runs `future` as a task and waits for it.
pub fn on_worker<T: Send + 'static>(executor: Static, future: impl Future<Output = T> + Send + 'static) -> T {
    block_on(executor.spawn(future))
}

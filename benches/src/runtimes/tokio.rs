//! tokio, in both flavours. `block_on`'s future runs on the calling thread, which is no worker; works go through
//! [`on_worker`], as tokio's documentation advises.

use std::future::Future;
use std::io;

use tokio::runtime::{Builder, Runtime};

use super::Started;
use crate::works::{Sample, Work};

pub(super) fn start(workers: usize) -> io::Result<impl Started> {
    Builder::new_multi_thread().worker_threads(workers).enable_all().build()
}

pub(super) fn start_current_thread() -> io::Result<impl Started> {
    Builder::new_current_thread().enable_all().build()
}

impl Started for Runtime {
    fn run(&self, work: &dyn Work) -> Sample {
        work.tokio(self)
    }
}

/// Runs `future` as a task and waits for it.
pub fn on_worker<T: Send + 'static>(
    runtime: &Runtime,
    future: impl Future<Output = T> + Send + 'static,
) -> T {
    runtime.block_on(async { tokio::spawn(future).await.expect("the work panicked") })
}

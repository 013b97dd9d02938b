//! What the current thread is to the runtime: a worker, a blocking root, or neither.
//! placeholder of branch `driver`: the scheduler's takes its place
use crate::driver::Driver;
use crate::sync::Arc;

/// The driver of the runtime whose worker or root this thread is.
pub(crate) fn with_driver<R>(f: impl FnOnce(&Arc<Driver>) -> R) -> Option<R> {
    let _ = f;
    None
}

//! The blocking pool.

use treescope::model::Borrowed;

use super::Model;
use super::whole::runtime;
use crate::seed::{Fault, Seed};

pub(super) const MODELS: &[Model] = &[Model {
    name: "blocking::call",
    checks: "a call goes to the blocking pool and back",
    threads: 3,
    quick: Some(3),
    full: 4,
    body: call,
    bug: "the pool's thread is not told to leave",
    seed: Seed::Operation {
        file: "sched/blocking.rs",
        anchor: "pub(crate) fn shut_down",
        operation: "notify_all",
        fault: Fault::Remove,
    },
}];

fn call() {
    let runtime = runtime(1);
    let value = runtime.block_on(async |scope| scope.spawn_blocking(Borrowed::new).await);
    drop(runtime);
    drop(value);
}

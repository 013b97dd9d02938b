//! What the attacks share: a ledger of drops, a watchdog, and small tools for misusing futures.

// Every test file is a crate of its own and uses a part of this.
#![allow(dead_code, unused_imports, unused_macros)]

mod ledger;
mod order;
mod tools;
mod watchdog;

pub(crate) use ledger::{Item, Ledger, OnDrop};
pub(crate) use order::{FOREIGN_EVERY, SPAWNED_RUN, order_of_passing};
pub(crate) use tools::{
    Gate, Thrown, Trap, block_here, caught, join_apart, poll_once, throw, thrown, wait_here,
};
pub(crate) use watchdog::watched;

use treescope::Runtime;

/// A runtime with `workers` workers.
pub(crate) fn runtime(workers: usize) -> Runtime {
    Runtime::builder().worker_threads(workers).build().expect("a runtime")
}

/// Runs an attack on one worker and on two, each with a ledger of its own and under the watchdog.
pub(crate) fn each_runtime(attack: impl Fn(&Runtime, &Ledger)) {
    for workers in [1, 2] {
        watched(|| attack(&runtime(workers), &Ledger::new()));
    }
}

/// As [`each_runtime`], on a clock that stands still while anything can run and jumps when nothing can.
pub(crate) fn each_virtual_runtime(attack: impl Fn(&Runtime, &Ledger)) {
    for workers in [1, 2] {
        let runtime = Runtime::builder().worker_threads(workers).virtual_clock().build().expect("a runtime");
        watched(|| attack(&runtime, &Ledger::new()));
    }
}

/// Runs an async body in a scope three levels below a root, and gives what the root gives.
///
/// What the body uses is moved into it level by level, so it is given references.
macro_rules! three_deep {
    ($runtime:expr, async |$scope:ident| $body:block) => {
        $runtime.block_on(async |one| {
            one.scope(async move |two| {
                two.scope(async move |three| three.scope(async move |$scope| $body).await).await
            })
            .await
        })
    };
}
pub(crate) use three_deep;

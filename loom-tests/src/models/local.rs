//! Local trees: the root's thread is the only worker, and wakes come from other threads (`local.rs`, `tree/root.rs`).

use treescope::local::LocalRuntime;

use super::whole::{Shared, builder, giver, taker};
use super::{ALL, Model};
use crate::bugs::{SILENT_VISIT, WORKER_SLEEPS_ON};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "local::child_woken_from_outside",
        checks: "a thread wakes a child of a local tree; tree and runtime may end before its wake returns",
        threads: 2,
        quick: Some(3),
        full: 5,
        body: child_woken_from_outside,
        bug: "a foreign waker signs out without publishing what it did",
        seed: SILENT_VISIT,
    },
    Model {
        name: "local::root_woken_from_outside",
        checks: "a thread wakes the root's own body while its thread goes to sleep in the driver",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: root_woken_from_outside,
        bug: "a wake does not reach the parker's state",
        seed: WORKER_SLEEPS_ON,
    },
];

fn runtime() -> LocalRuntime {
    builder().build_local().expect("no system resource is needed under loom")
}

fn child_woken_from_outside() {
    let shared = Shared::default();
    let giver = giver(&shared);
    let runtime = runtime();
    runtime.block_on(async |scope| {
        scope.spawn(taker(&shared));
    });
    drop(runtime);
    giver.join().unwrap();
}

fn root_woken_from_outside() {
    let shared = Shared::default();
    let giver = giver(&shared);
    let runtime = runtime();
    runtime.block_on(async |_| taker(&shared).await);
    // A root's waker shares the scheduler by an `Arc` inside `std`'s, whose count loom does not see: after this.
    giver.join().unwrap();
    drop(runtime);
}

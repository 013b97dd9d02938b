//! Local trees: the root's thread is the only worker, and wakes come from other threads (`local.rs`, `tree/root.rs`).

use std::future::poll_fn;
use std::task::{Poll, Waker};

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread::{self, JoinHandle};
use treescope::Runtime;
use treescope::local::LocalRuntime;

use super::{ALL, Model};
use crate::seed::{Fault, Seed};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "local::child_woken_from_outside",
        checks: "a thread wakes a child of a local tree; tree and runtime may end before its wake returns",
        threads: 2,
        quick: Some(3),
        full: 5,
        body: child_woken_from_outside,
        bug: "a foreign waker signs out without publishing what it did",
        seed: Seed::Operation {
            file: "sched/mod.rs",
            anchor: "Release: pairs with Acquire in `wait_until_none`",
            operation: "fetch_sub",
            fault: Fault::Weaken(0, "Relaxed"),
        },
    },
    Model {
        name: "local::root_woken_from_outside",
        checks: "a thread wakes the root's own body while its thread goes to sleep in the driver",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: root_woken_from_outside,
        bug: "a wake does not reach the parker's state",
        seed: Seed::Operation {
            file: "sched/parker.rs",
            anchor: "pub(crate) fn unpark(",
            operation: "swap",
            fault: Fault::Remove,
        },
    },
];

fn runtime() -> LocalRuntime {
    Runtime::builder().build_local().expect("no system resource is needed under loom")
}

/// What is waited for, and who waits.
type Shared = Arc<(AtomicBool, Mutex<Option<Waker>>)>;

/// Gives what is waited for, and wakes who waits, perhaps when that is over.
fn giver(shared: &Shared) -> JoinHandle<()> {
    let shared = shared.clone();
    thread::spawn(move || {
        shared.0.store(true, Ordering::Release);
        let waker = shared.1.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    })
}

async fn taker(shared: Shared) {
    poll_fn(|cx| {
        *shared.1.lock().unwrap() = Some(cx.waker().clone());
        if shared.0.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn child_woken_from_outside() {
    let shared = Shared::default();
    let giver = giver(&shared);
    let runtime = runtime();
    runtime.block_on(async |scope| {
        scope.spawn(taker(shared.clone()));
    });
    drop(runtime);
    giver.join().unwrap();
}

fn root_woken_from_outside() {
    let shared = Shared::default();
    let giver = giver(&shared);
    let runtime = runtime();
    runtime.block_on(async |_| taker(shared.clone()).await);
    // A root's waker shares the scheduler by an `Arc` inside `std`'s, whose count loom does not see: after this.
    giver.join().unwrap();
    drop(runtime);
}

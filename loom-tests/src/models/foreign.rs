//! Foreign threads that wake and spawn, before a tree ends and after.

use std::future::poll_fn;
use std::task::{Poll, Waker};

use loom::sync::{Arc, Mutex};
use loom::thread;
use treescope::model::{Borrowed, on_another_thread};

use super::whole::{LastUse, Shared, giver, runtime, taker};
use super::{Model, asleep};
use crate::bugs::{ROOT_SLEEPS_ON, SILENT_VISIT, STATE};
use crate::seed::{Fault, Seed};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "foreign::wake_and_shutdown",
        checks: "a thread wakes a child; the tree, the root and the runtime may end before its wake returns",
        threads: 3,
        quick: Some(2),
        full: 2,
        body: wake_and_shutdown,
        bug: "a foreign waker signs out without publishing what it did",
        seed: SILENT_VISIT,
    },
    Model {
        name: "foreign::late_wake",
        checks: "a waker is used by a thread after its task, and perhaps the runtime, have ended",
        threads: 3,
        quick: Some(2),
        full: 3,
        body: late_wake,
        bug: "the sleeping root is not notified",
        seed: ROOT_SLEEPS_ON,
    },
    Model {
        name: "foreign::late_root_wake",
        checks: "a thread wakes the root's body, which may have returned, and the runtime be gone, before the wake does",
        threads: 3,
        quick: Some(4),
        full: 5,
        body: late_root_wake,
        bug: "the sleeping root is not notified",
        seed: ROOT_SLEEPS_ON,
    },
    Model {
        name: "foreign::spawn",
        checks: "a foreign thread spawns into a scope whose body waits for it",
        threads: 3,
        quick: Some(3),
        full: 4,
        body: spawn,
        bug: "a child is not counted in",
        seed: Seed::Operation {
            file: STATE,
            anchor: "pub(crate) fn child_added_if_open",
            operation: "fetch_update",
            fault: Fault::Remove,
        },
    },
];

fn wake_and_shutdown() {
    let shared = Shared::default();
    let giver = giver(&shared);
    let runtime = runtime(1);
    runtime.block_on(async |scope| {
        scope.spawn(taker(&shared));
    });
    drop(runtime);
    giver.join().unwrap();
}

fn late_wake() {
    let runtime = asleep(|| runtime(1));
    let waker = Arc::new(Mutex::new(None::<Waker>));
    let foreign = thread::spawn({
        let waker = waker.clone();
        move || {
            let waker = waker.lock().unwrap().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    });
    let given = waker.clone();
    runtime.block_on(async |scope| {
        scope
            .spawn(async move {
                let mut first = true;
                poll_fn(|cx| {
                    *given.lock().unwrap() = Some(cx.waker().clone());
                    if std::mem::take(&mut first) {
                        cx.waker().wake_by_ref()
                    } else {
                        return Poll::Ready(());
                    }
                    Poll::Pending
                })
                .await;
            })
            .await;
    });
    drop(runtime);
    foreign.join().unwrap();
}

fn late_root_wake() {
    let shared = Shared::default();
    let giver = giver(&shared);
    let runtime = runtime(1);
    runtime.block_on(async |_| taker(&shared).await);
    drop(runtime);
    giver.join().unwrap();
}

fn spawn() {
    let runtime = runtime(1);
    let borrowed = Borrowed::new();
    runtime.block_on(async |scope| {
        on_another_thread(|| {
            let last = LastUse(&borrowed);
            scope.spawn(async move { drop(last) });
        });
    });
    drop(borrowed);
}

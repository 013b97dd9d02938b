//! Whole runtimes through the public API, async-task's state word included.

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::{Poll, Waker};
use std::time::Duration;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;
use treescope::model::{Borrowed, Signal, on_another_thread};
use treescope::{Runtime, time, yield_now};

use super::{Model, all_is_shown, asleep};
use crate::seed::{Fault, Seed};

const STATE: &str = "tree/state.rs";

/// A child counts itself out without publishing what it did.
const SILENT_END: Seed = Seed::Operation {
    file: STATE,
    anchor: "pub(crate) fn children_ended",
    operation: "fetch_sub",
    fault: Fault::Weaken(0, "Acquire"),
};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "runtime::join",
        checks: "a handle is awaited while the child completes; the value comes whole",
        threads: 2,
        quick: Some(3),
        full: 3,
        body: join,
        bug: "the sleeping root is not notified",
        seed: Seed::Operation {
            file: "tree/root.rs",
            anchor: "pub(crate) fn wake_by_ref",
            operation: "notify_one",
            fault: Fault::Remove,
        },
    },
    Model {
        name: "runtime::dropped_handle",
        checks: "the root returns after the child's future and the output that nobody takes are dropped",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: dropped_handle,
        bug: "a child counts itself out without publishing what it did to borrowed memory",
        seed: SILENT_END,
    },
    Model {
        name: "runtime::scope_in_scope",
        checks: "a child scope's value outlives the scope's own child, on whatever thread that ends",
        threads: 2,
        quick: Some(3),
        full: 3,
        body: scope_in_scope,
        bug: "a child is not counted in",
        seed: Seed::Operation {
            file: STATE,
            anchor: "pub(crate) fn children_added",
            operation: "fetch_add",
            fault: Fault::Remove,
        },
    },
    Model {
        name: "runtime::abort_against_park",
        checks: "the root is aborted while its child parks for ever",
        threads: 2,
        quick: Some(3),
        full: 3,
        body: abort_against_park,
        bug: "a cancel wakes who is parked, and leaves no mark for who is about to",
        seed: Seed::Operation {
            file: STATE,
            anchor: "pub(crate) fn mark(&self",
            operation: "fetch_or",
            fault: Fault::Remove,
        },
    },
    Model {
        name: "runtime::abort_against_second_park",
        checks: "the same with a child that is on the list of the parked already, and runs",
        threads: 2,
        quick: Some(3),
        full: 3,
        body: abort_against_second_park,
        bug: "a cancel leaves no mark",
        seed: Seed::Operation {
            file: STATE,
            anchor: "pub(crate) fn mark(&self",
            operation: "fetch_or",
            fault: Fault::Remove,
        },
    },
    Model {
        name: "runtime::abort_against_scope",
        checks: "the root is aborted while a child scope parks, or waits for its own child",
        threads: 2,
        quick: Some(3),
        full: 3,
        body: abort_against_scope,
        bug: "a cancel leaves no mark",
        seed: Seed::Operation {
            file: STATE,
            anchor: "pub(crate) fn mark(&self",
            operation: "fetch_or",
            fault: Fault::Remove,
        },
    },
    Model {
        name: "runtime::panic_against_sibling",
        checks: "a child panics while its sibling parks; the root resumes the panic after both are dropped",
        threads: 2,
        quick: Some(3),
        full: 3,
        body: panic_against_sibling,
        bug: "a failure does not mark the scope",
        seed: Seed::Operation {
            file: STATE,
            anchor: "pub(crate) fn mark(&self",
            operation: "fetch_or",
            fault: Fault::Remove,
        },
    },
    Model {
        name: "runtime::foreign_wake_and_shutdown",
        checks: "a thread wakes a child; the tree, the root and the runtime may end before its wake returns",
        threads: 3,
        quick: Some(2),
        full: 2,
        body: foreign_wake_and_shutdown,
        bug: "a foreign waker signs out without publishing what it did",
        seed: Seed::Operation {
            file: "sched/mod.rs",
            anchor: "Release: pairs with Acquire in `wait_until_none`",
            operation: "fetch_sub",
            fault: Fault::Weaken(0, "Relaxed"),
        },
    },
    Model {
        name: "runtime::blocking_call",
        checks: "a call goes to the blocking pool and back",
        threads: 3,
        quick: Some(3),
        full: 3,
        body: blocking_call,
        bug: "the pool's thread is not told to leave",
        seed: Seed::Operation {
            file: "sched/blocking.rs",
            anchor: "pub(crate) fn shut_down",
            operation: "notify_all",
            fault: Fault::Remove,
        },
    },
    Model {
        name: "runtime::two_children_of_two_scopes",
        checks: "a worker counts children of different scopes out late, and none too late",
        threads: 2,
        quick: Some(2),
        full: 3,
        body: two_children_of_two_scopes,
        bug: "counting out is a read and a write",
        seed: Seed::Operation {
            file: STATE,
            anchor: "pub(crate) fn children_ended",
            operation: "fetch_sub",
            fault: Fault::Split,
        },
    },
    Model {
        name: "runtime::count_taken_over",
        checks: "an ended child leaves its count to a new sibling; the root waits for all and sees what all did",
        threads: 2,
        quick: Some(3),
        full: 3,
        body: count_taken_over,
        bug: "a child counts itself out without publishing what was done to borrowed memory",
        seed: SILENT_END,
    },
    Model {
        name: "runtime::count_taken_over_and_stolen",
        checks: "the same on two workers: the new sibling may be stolen and end before the one that spawned it",
        threads: 3,
        quick: Some(1),
        full: 2,
        body: count_taken_over_and_stolen,
        bug: "a child counts itself out without publishing what was done to borrowed memory",
        seed: SILENT_END,
    },
    Model {
        name: "runtime::timer_against_abort",
        checks: "a sleeping child is aborted, with a clock that jumps as soon as all are idle",
        threads: 2,
        quick: Some(3),
        full: 3,
        body: timer_against_abort,
        bug: "a ring does not reach the driver's bell",
        seed: Seed::Operation {
            file: "driver/bell.rs",
            anchor: "pub(super) fn ring(",
            operation: "swap",
            fault: Fault::Remove,
        },
    },
    Model {
        name: "runtime::clock_jumps_when_all_is_quiet",
        checks: "a virtual clock does not jump while a task is still to be run",
        threads: 2,
        quick: Some(3),
        full: 3,
        body: clock_jumps_when_all_is_quiet,
        bug: "a root that falls asleep does not say so",
        seed: Seed::Operation {
            file: "sched/mod.rs",
            anchor: "pub(crate) fn leave(&self) {\n        // Release: pairs with Acquire in `is_none`",
            operation: "fetch_sub",
            fault: Fault::Remove,
        },
    },
    Model {
        name: "runtime::handle_awaited_elsewhere",
        checks: "a handle is polled by a foreign thread while its child completes",
        threads: 3,
        quick: Some(3),
        full: 3,
        body: handle_awaited_elsewhere,
        bug: "the sleeping root is not notified",
        seed: Seed::Operation {
            file: "tree/root.rs",
            anchor: "pub(crate) fn wake_by_ref",
            operation: "notify_one",
            fault: Fault::Remove,
        },
    },
    Model {
        name: "runtime::late_wake",
        checks: "a waker is used by a thread after its task, and perhaps the runtime, have ended",
        threads: 3,
        quick: Some(2),
        full: 2,
        body: late_wake,
        bug: "the sleeping root is not notified",
        seed: Seed::Operation {
            file: "tree/root.rs",
            anchor: "pub(crate) fn wake_by_ref",
            operation: "notify_one",
            fault: Fault::Remove,
        },
    },
    Model {
        name: "runtime::spawn_from_outside",
        checks: "a foreign thread spawns into a scope whose body waits for it",
        threads: 3,
        quick: Some(3),
        full: 3,
        body: spawn_from_outside,
        bug: "a child is not counted in",
        seed: Seed::Operation {
            file: STATE,
            anchor: "pub(crate) fn child_added_if_open",
            operation: "fetch_update",
            fault: Fault::Remove,
        },
    },
    Model {
        name: "runtime::late_root_wake",
        checks: "a thread wakes the root's body, which may have returned, and the runtime be gone, before the wake does",
        threads: 3,
        quick: Some(4),
        full: 4,
        body: late_root_wake,
        bug: "the sleeping root is not notified",
        seed: Seed::Operation {
            file: "tree/root.rs",
            anchor: "pub(crate) fn wake_by_ref",
            operation: "notify_one",
            fault: Fault::Remove,
        },
    },
    Model {
        name: "runtime::handle_given_up",
        checks: "a handle is polled and dropped while its child completes: the output is dropped before the root returns",
        threads: 2,
        quick: Some(3),
        full: 3,
        body: handle_given_up,
        bug: "a child counts itself out without publishing what it did to borrowed memory",
        seed: SILENT_END,
    },
    Model {
        name: "runtime::scope_on_two_workers",
        checks: "a scope's last child may end on another worker than the scope waits on",
        threads: 3,
        quick: Some(1),
        full: 1,
        body: scope_on_two_workers,
        bug: "a child counts itself out without publishing what it did to borrowed memory",
        seed: SILENT_END,
    },
    Model {
        name: "runtime::two_workers",
        checks: "two children on two workers",
        threads: 3,
        quick: Some(2),
        full: 2,
        body: two_workers,
        bug: "a child counts itself out without publishing what it did to borrowed memory",
        seed: SILENT_END,
    },
];

fn runtime(workers: usize) -> Runtime {
    Runtime::builder().worker_threads(workers).build().expect("no system resource is needed under loom")
}

/// Uses what it borrows when it is dropped.
struct LastUse<'a>(&'a Borrowed);

impl Drop for LastUse<'_> {
    fn drop(&mut self) {
        self.0.used();
    }
}

fn join() {
    let runtime = runtime(1);
    let value = runtime.block_on(async |scope| {
        let child = scope.spawn(async { Borrowed::new() });
        child.await
    });
    drop(value);
}

fn dropped_handle() {
    let runtime = runtime(1);
    let borrowed = Borrowed::new();
    runtime.block_on(async |scope| {
        let output = LastUse(&borrowed);
        scope.spawn(async { output });
    });
    drop(borrowed);
}

fn scope_in_scope() {
    let runtime = runtime(1);
    runtime.block_on(async |scope| {
        scope.scope(async |inner| {
            let value = &*inner.alloc(Borrowed::new());
            inner.spawn(async move {
                let _last = LastUse(value);
            });
        });
    });
}

fn abort_against_park() {
    let runtime = runtime(1);
    let borrowed = Borrowed::new();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async |scope| {
            let capture = LastUse(&borrowed);
            scope.spawn(async move {
                let _capture = capture;
                pending::<()>().await;
            });
            scope.abort();
        });
    }));
    assert!(ended.is_err(), "an aborted root has no value");
    drop(borrowed);
}

fn abort_against_second_park() {
    let runtime = runtime(1);
    let borrowed = Borrowed::new();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async |scope| {
            let capture = LastUse(&borrowed);
            scope.spawn(async move {
                let _capture = capture;
                yield_now().await;
                pending::<()>().await;
            });
            scope.abort();
        });
    }));
    assert!(ended.is_err(), "an aborted root has no value");
    drop(borrowed);
}

fn abort_against_scope() {
    let runtime = runtime(1);
    let borrowed = Borrowed::new();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async |scope| {
            let capture = LastUse(&borrowed);
            scope.scope(async move |inner| {
                let value = &*inner.alloc(Borrowed::new());
                let (inner_capture, _capture) = (LastUse(value), capture);
                inner.spawn(async move {
                    let _capture = inner_capture;
                    pending::<()>().await;
                });
            });
            scope.abort();
        });
    }));
    assert!(ended.is_err(), "an aborted root has no value");
    drop(borrowed);
}

/// The drop that a model is about, in the place of its value.
struct LastOfAll(Borrowed);

impl Drop for LastOfAll {
    fn drop(&mut self) {
        // Nobody uses it any more.
        self.0.ended();
        all_is_shown();
    }
}

fn scope_on_two_workers() {
    let runtime = asleep(|| runtime(2));
    runtime.block_on(async |scope| {
        scope.scope(async |inner| {
            let value = &*inner.alloc(LastOfAll(Borrowed::new()));
            inner.spawn(async move {
                let _last = LastUse(&value.0);
            });
        });
    });
}

fn panic_against_sibling() {
    let runtime = runtime(1);
    let borrowed = Borrowed::new();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async |scope| {
            let capture = LastUse(&borrowed);
            scope.spawn(async move {
                let _capture = capture;
                pending::<()>().await;
            });
            // Quietly: a panic with a message is taken for the model's own failure.
            scope.spawn(async { resume_unwind(Box::new(7_u32)) });
        });
    }));
    let payload = ended.expect_err("the child's panic is the root's");
    assert_eq!(payload.downcast_ref(), Some(&7_u32));
    drop(borrowed);
}

fn foreign_wake_and_shutdown() {
    let shared = Arc::new((AtomicBool::new(false), Mutex::new(None::<Waker>)));
    let foreign = thread::spawn({
        let shared = shared.clone();
        move || {
            shared.0.store(true, Ordering::Release);
            let waker = shared.1.lock().unwrap().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    });
    let runtime = runtime(1);
    runtime.block_on(async |scope| {
        let shared = &shared;
        scope.spawn(poll_fn(move |cx| {
            *shared.1.lock().unwrap() = Some(cx.waker().clone());
            if shared.0.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
        }));
    });
    drop(runtime);
    foreign.join().unwrap();
}

fn blocking_call() {
    let runtime = runtime(1);
    let value = runtime.block_on(async |scope| scope.spawn_blocking(Borrowed::new).await);
    drop(runtime);
    drop(value);
}

fn two_workers() {
    let runtime = asleep(|| runtime(2));
    let borrowed = Borrowed::new();
    runtime.block_on(async |scope| {
        for _ in 0..2 {
            let capture = LastUse(&borrowed);
            scope.spawn(async move { drop(capture) });
        }
    });
    drop(borrowed);
    all_is_shown();
}

fn two_children_of_two_scopes() {
    let runtime = runtime(1);
    let borrowed = Borrowed::new();
    runtime.block_on(async |scope| {
        let outer = LastUse(&borrowed);
        scope.scope(async |inner| {
            let value = &*inner.alloc(Borrowed::new());
            for _ in 0..2 {
                let last = LastUse(value);
                inner.spawn(async move { drop(last) });
            }
        });
        scope.spawn(async move { drop(outer) });
    });
    drop(borrowed);
    all_is_shown();
}

fn count_taken_over() {
    take_over_a_count(1);
}

fn count_taken_over_and_stolen() {
    take_over_a_count(2);
}

fn take_over_a_count(workers: usize) {
    let runtime = asleep(|| runtime(workers));
    let borrowed = [Borrowed::new(), Borrowed::new(), Borrowed::new()];
    runtime.block_on(async |scope| {
        let [first, second, third] = borrowed.each_ref().map(LastUse);
        // The worker comes to them in this order: `first` has ended and is still counted when `third` is spawned.
        scope.spawn(async move { drop(first) });
        scope.spawn(async move {
            scope.spawn(async move { drop(third) });
            drop(second);
        });
    });
    drop(borrowed);
    all_is_shown();
}

fn with_virtual_clock() -> Runtime {
    let builder = Runtime::builder().worker_threads(1).virtual_clock();
    builder.build().expect("no system resource is needed under loom")
}

const TICK: Duration = Duration::from_millis(1);

fn timer_against_abort() {
    let runtime = with_virtual_clock();
    let borrowed = Borrowed::new();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async |scope| {
            let last = LastUse(&borrowed);
            scope.spawn(async move {
                time::sleep(TICK).await;
                drop(last);
            });
            scope.abort();
        });
    }));
    assert!(ended.is_err(), "an aborted root has no value");
    drop(borrowed);
}

fn clock_jumps_when_all_is_quiet() {
    let runtime = with_virtual_clock();
    runtime.block_on(async |scope| {
        let start = time::now();
        scope.spawn(async move {
            time::sleep(TICK).await;
            assert_eq!(time::now(), start + TICK);
        });
        scope.spawn(async move {
            assert_eq!(time::now(), start, "the clock jumped although this could run");
        });
    });
}

fn handle_awaited_elsewhere() {
    let runtime = runtime(1);
    runtime.block_on(async |scope| {
        let handle = scope.spawn(async { Borrowed::new() });
        on_another_thread(move || drop(Signal::new().block_on(handle)));
    });
}

fn late_root_wake() {
    let shared = Arc::new((AtomicBool::new(false), Mutex::new(None::<Waker>)));
    let foreign = thread::spawn({
        let shared = shared.clone();
        move || {
            shared.0.store(true, Ordering::Release);
            let waker = shared.1.lock().unwrap().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    });
    let runtime = runtime(1);
    runtime.block_on(async |_| {
        poll_fn(|cx| {
            *shared.1.lock().unwrap() = Some(cx.waker().clone());
            if shared.0.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    });
    drop(runtime);
    foreign.join().unwrap();
}

fn handle_given_up() {
    let runtime = runtime(1);
    let borrowed = Borrowed::new();
    runtime.block_on(async |scope| {
        let output = LastUse(&borrowed);
        let mut handle = scope.spawn(async { output });
        poll_fn(|cx| {
            let _ = std::pin::Pin::new(&mut handle).poll(cx);
            Poll::Ready(())
        })
        .await;
    });
    drop(borrowed);
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

fn spawn_from_outside() {
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

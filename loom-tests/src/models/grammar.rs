//! The grammar's races: closing and draining, requests and grace periods, shields, deadlines, places.
//!
//! What a scope's own task does with time needs a whole runtime; its clock is virtual, and jumps when nothing else can
//! happen, so that a deadline that is forgotten is a deadlock.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use loom::sync::Arc;
use loom::thread::{self, JoinHandle};
use treescope::model::{Borrowed, Door, Places, Root, Signal};
use treescope::{Runtime, time, yield_now};

use super::{ALL, Model, all_is_shown, asleep, bug};
use crate::seed::{Fault, Seed};

const STATE: &str = "tree/state.rs";

/// A mark is not set.
const NO_MARK: Seed = Seed::Operation {
    file: STATE,
    anchor: "pub(crate) fn mark(&self",
    operation: "fetch_or",
    fault: Fault::Remove,
};

/// An instant is put down where nobody looks.
const NOT_TIMED: Seed = Seed::Operation {
    file: STATE,
    anchor: "pub(crate) fn set_timed(&self",
    operation: "fetch_or",
    fault: Fault::Remove,
};

/// A child counts itself out without publishing what it did.
const SILENT_END: Seed = Seed::Operation {
    file: STATE,
    anchor: "pub(crate) fn children_ended",
    operation: "fetch_sub",
    fault: Fault::Weaken(0, "Acquire"),
};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "grammar::close_against_spawn",
        checks: "a foreign thread spawns while the scope is closed and drained: it is refused, or waited for",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: close_against_spawn,
        bug: "closing leaves no mark",
        seed: NO_MARK,
    },
    Model {
        name: "grammar::refused_spawn_against_last_child",
        checks: "a refused spawn is not taken for the last child of the drain that is under way",
        threads: 3,
        quick: Some(5),
        full: ALL,
        body: refused_spawn_against_last_child,
        bug: "counting in is a read and a write",
        seed: Seed::Operation {
            file: STATE,
            anchor: "pub(crate) fn child_added_if_open",
            operation: "fetch_update",
            fault: Fault::Split,
        },
    },
    Model {
        name: "grammar::drain_given_up",
        checks: "a body gives its drain up; the last child's wake reaches the scope's own wait all the same",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: drain_given_up,
        bug: "the scope's own wait does not take the wake over",
        seed: Seed::Caller("waits where the drain waited"),
    },
    Model {
        name: "grammar::survivors_against_end",
        checks: "a parked child ends while the walk over the parked names it",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: survivors_against_end,
        bug: "a child counts itself out without publishing what it did",
        seed: SILENT_END,
    },
    Model {
        name: "grammar::place_against_leaving_waiter",
        checks: "a place is given back while the first who waits for it gives up: the second gets it",
        threads: 3,
        quick: Some(4),
        full: ALL,
        body: place_against_leaving_waiter,
        bug: "who gives up stays in the queue",
        seed: Seed::Caller("stays in the queue"),
    },
    Model {
        name: "grammar::request_against_watch",
        checks: "a request comes while a child begins to wait for one",
        threads: 2,
        quick: Some(2),
        full: 3,
        body: request_against_watch,
        bug: "a request leaves no mark",
        seed: NO_MARK,
    },
    Model {
        name: "grammar::grace_against_park",
        checks: "a grace period begins while a child parks for ever, and ends",
        threads: 2,
        quick: Some(2),
        full: 3,
        body: grace_against_park,
        bug: "nobody keeps the end of the grace period",
        seed: NOT_TIMED,
    },
    Model {
        name: "grammar::grace_against_scope_park",
        checks: "a scope's child, on a thread of its own, begins a grace period while the scope's task parks",
        threads: 3,
        quick: None,
        full: 1,
        body: grace_against_scope_park,
        bug: "nobody keeps the end of the grace period",
        seed: NOT_TIMED,
    },
    Model {
        name: "grammar::abort_against_shield",
        checks: "an abort from above while a shielded scope parks: its shield's time begins, and ends it",
        threads: 2,
        quick: Some(2),
        full: 3,
        body: abort_against_shield,
        bug: "nobody keeps the end of the shield",
        seed: NOT_TIMED,
    },
    Model {
        name: "grammar::deadline_against_completion",
        checks: "a deadline passes while the scope completes: a value or none, and in either case it has ended",
        threads: 2,
        quick: Some(2),
        full: 3,
        body: deadline_against_completion,
        bug: "a child counts itself out without publishing what it did to borrowed memory",
        seed: SILENT_END,
    },
    Model {
        name: "grammar::deadline_against_abort",
        checks: "a deadline passes while the scope is aborted from above and drops its timer",
        threads: 2,
        quick: Some(3),
        full: 3,
        body: deadline_against_abort,
        bug: "neither leaves a mark",
        seed: NO_MARK,
    },
    Model {
        name: "grammar::spawn_against_abort",
        checks: "a child spawns a sibling that waits for ever while the scope is aborted",
        threads: 2,
        quick: Some(3),
        full: 3,
        body: spawn_against_abort,
        bug: "an abort leaves no mark",
        seed: NO_MARK,
    },
    Model {
        name: "grammar::two_errors",
        checks: "a fallible scope's body and its child fail on two workers: one error is first, the other later or none",
        threads: 3,
        quick: Some(1),
        full: 1,
        body: two_errors,
        bug: "a child counts itself out without publishing what it did to borrowed memory",
        seed: SILENT_END,
    },
    Model {
        name: "grammar::race",
        checks: "a race's winner is handed out to another thread after the loser has ended",
        threads: 2,
        quick: Some(2),
        full: 3,
        body: race,
        bug: "a scope believes that its children have ended",
        seed: Seed::Operation {
            file: STATE,
            anchor: "pub(crate) fn seen(&self)",
            operation: "load",
            fault: Fault::Remove,
        },
    },
];

/// Uses what it borrows when it is dropped.
struct LastUse<'a>(&'a Borrowed);

impl Drop for LastUse<'_> {
    fn drop(&mut self) {
        self.0.used();
    }
}

// ---- a node and its children's threads -----------------------------------------------------------------------------

/// A foreign thread that spawns a child, which uses what is borrowed and ends, if there is still a way in.
fn spawner(door: Door, borrowed: &Arc<Borrowed>) -> JoinHandle<()> {
    let borrowed = borrowed.clone();
    thread::spawn(move || {
        if let Some(child) = door.child() {
            borrowed.used();
            child.end();
        }
    })
}

/// The body's drain: closes, and waits until no child lives.
fn close_and_drain(root: &Root) {
    root.close();
    let waker = root.waker();
    while !root.poll_drain(&waker) {
        root.sleep();
    }
}

fn close_against_spawn() {
    let root = Root::new();
    let borrowed = Arc::new(Borrowed::new());
    let foreign = spawner(root.door(), &borrowed);
    close_and_drain(&root);
    // As a drop would: nobody may come now.
    borrowed.ended();
    // The body waits for the thread before it ends.
    foreign.join().unwrap();
    root.end();
}

fn refused_spawn_against_last_child() {
    let root = Root::new();
    let borrowed = Arc::new(Borrowed::new());
    let (child, used) = (root.child(), borrowed.clone());
    let last = thread::spawn(move || {
        used.used();
        child.end();
    });
    let foreign = spawner(root.door(), &borrowed);
    close_and_drain(&root);
    borrowed.ended();
    last.join().unwrap();
    foreign.join().unwrap();
    root.end();
}

fn drain_given_up() {
    let root = Root::new();
    let child = root.child();
    let child = thread::spawn(move || child.end());
    root.close();
    // Who drained, a timeout say, and has given up.
    let gone = Signal::new();
    let _ = root.poll_drain(&gone.waker());
    let waker = if bug("waits where the drain waited") { gone.waker() } else { root.waker() };
    root.drain(&waker);
    root.end();
    child.join().unwrap();
}

fn survivors_against_end() {
    let root = Root::new();
    let borrowed = Arc::new(Borrowed::new());
    let child = root.child();
    let nobody = Signal::new().waker();
    assert!(child.park(&nobody), "nobody cancels");
    let ending = thread::spawn({
        let borrowed = borrowed.clone();
        move || {
            borrowed.used();
            child.unpark();
            child.end();
        }
    });
    assert!(root.survivors() <= 1);
    close_and_drain(&root);
    borrowed.ended();
    assert_eq!(root.survivors(), 0);
    root.end();
    ending.join().unwrap();
}

// ---- places --------------------------------------------------------------------------------------------------------

fn place_against_leaving_waiter() {
    let places = Arc::new(Places::new(1));
    let signal = Signal::new();
    let taken = signal.block_on(places.place());
    let leaving = thread::spawn({
        let places = places.clone();
        move || {
            // A place that it gets is given back at once.
            let mut place = std::mem::ManuallyDrop::new(Box::pin(places.place()));
            let signal = Signal::new();
            let waker = signal.waker();
            let polled = place.as_mut().poll(&mut Context::from_waker(&waker));
            if !bug("stays in the queue") {
                drop(std::mem::ManuallyDrop::into_inner(place));
            }
            drop(polled);
        }
    });
    let staying = thread::spawn({
        let places = places.clone();
        move || drop(Signal::new().block_on(places.place()))
    });
    drop(taken);
    leaving.join().unwrap();
    staying.join().unwrap();
    let mut again = pin!(places.place());
    let waker = signal.waker();
    assert!(
        matches!(again.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(_)),
        "a place is lost"
    );
}

// ---- whole runtimes ------------------------------------------------------------------------------------------------

const TICK: Duration = Duration::from_millis(1);

fn runtime() -> Runtime {
    let builder = Runtime::builder().worker_threads(1).virtual_clock();
    builder.build().expect("no system resource is needed under loom")
}

/// Runs `body`, whose root is aborted.
fn aborted(body: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(body)).is_err(), "an aborted root has no value");
}

fn request_against_watch() {
    let runtime = runtime();
    let borrowed = Borrowed::new();
    runtime.block_on(async |scope| {
        let last = LastUse(&borrowed);
        scope.spawn(async move {
            scope.cancelled().await;
            drop(last);
        });
        scope.cancel(Duration::MAX);
    });
    drop(borrowed);
    all_is_shown();
}

fn grace_against_park() {
    let runtime = runtime();
    let borrowed = Borrowed::new();
    aborted(|| {
        runtime.block_on(async |scope| {
            let last = LastUse(&borrowed);
            scope.spawn(async move {
                let _last = last;
                pending::<()>().await;
            });
            scope.cancel(TICK);
        });
    });
    drop(borrowed);
    all_is_shown();
}

fn grace_against_scope_park() {
    let runtime = asleep(runtime);
    let borrowed = Borrowed::new();
    runtime.block_on(async |scope| {
        let last = LastUse(&borrowed);
        scope.scope(async move |inner| {
            let _last = last;
            inner.spawn_blocking(move || inner.cancel(TICK));
            pending::<()>().await;
        });
    });
    drop(borrowed);
    all_is_shown();
}

fn abort_against_shield() {
    let runtime = runtime();
    let borrowed = Borrowed::new();
    aborted(|| {
        runtime.block_on(async |scope| {
            let last = LastUse(&borrowed);
            scope.open().shield(TICK).scope(async move |_| {
                let _last = last;
                pending::<()>().await;
            });
            scope.abort();
        });
    });
    drop(borrowed);
    all_is_shown();
}

fn deadline_against_completion() {
    let runtime = runtime();
    let borrowed = Borrowed::new();
    let ended = runtime.block_on(async |scope| {
        let last = LastUse(&borrowed);
        let handle = scope.deadline(time::now() + TICK, async move |_| {
            let _last = last;
            yield_now().await;
            7
        });
        runtime.advance(TICK);
        handle.await
    });
    assert!(matches!(ended, Ok(7) | Err(_)));
    drop(borrowed);
    all_is_shown();
}

fn two_workers() -> Runtime {
    Runtime::builder().worker_threads(2).build().expect("no system resource is needed under loom")
}

fn two_errors() {
    let runtime = asleep(two_workers);
    let borrowed = Borrowed::new();
    runtime.block_on(async |scope| {
        let shared = &borrowed;
        let failing = scope.try_scope(async move |scope| {
            let last = LastUse(shared);
            scope.spawn(async move {
                drop(last);
                Err::<(), u32>(1)
            });
            Err::<(), u32>(2)
        });
        let failed = failing.await.expect_err("both fail");
        // Nobody uses it any more.
        borrowed.ended();
        all_is_shown();
        assert!(matches!((failed.first(), failed.later()), (1, [] | [2]) | (2, [] | [1])), "{failed:?}");
    });
}

fn race() {
    let runtime = asleep(runtime);
    let borrowed = Borrowed::new();
    runtime.block_on(async |scope| {
        let racer = |wins: bool| {
            let last = LastUse(&borrowed);
            async move {
                let _last = last;
                if !wins {
                    pending::<()>().await;
                }
            }
        };
        scope.race([false, true].map(racer)).await;
        // Nobody uses it any more.
        borrowed.ended();
        all_is_shown();
    });
}

fn deadline_against_abort() {
    let runtime = runtime();
    let borrowed = Borrowed::new();
    aborted(|| {
        runtime.block_on(async |scope| {
            let last = LastUse(&borrowed);
            scope.deadline(time::now() + TICK, async move |_| {
                let _last = last;
                pending::<()>().await;
            });
            runtime.advance(TICK);
            scope.abort();
        });
    });
    drop(borrowed);
}

fn spawn_against_abort() {
    let runtime = runtime();
    let borrowed = Borrowed::new();
    aborted(|| {
        runtime.block_on(async |scope| {
            let last = LastUse(&borrowed);
            scope.spawn(async move {
                scope.spawn(async move {
                    let _last = last;
                    pending::<()>().await;
                });
            });
            scope.abort();
        });
    });
    drop(borrowed);
}

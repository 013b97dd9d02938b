//! A scope's handle, whose task lies in a cell of our own: awaited by whom, given up, and polled with one waker after the other, while
//! the scope ends.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;
use treescope::JoinHandle;
use treescope::model::{Borrowed, Signal, on_another_thread};

use super::whole::{LastUse, runtime};
use super::{Model, all_is_shown, asleep};
use crate::bugs::{
    CELL, SILENT_OUTPUT, SILENT_WAKE, SPLIT_LEAVE_TO_ABOVE, SPLIT_LEAVE_WAKER, SPLIT_TAKE_BACK,
};
use crate::seed::{Fault, Seed};

const fn weakened(anchor: &'static str, operation: &'static str, ordering: &'static str) -> Seed {
    Seed::Operation { file: CELL, anchor, operation, fault: Fault::Weaken(0, ordering) }
}

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "scope_handle::awaited",
        checks: "a scope's handle is awaited by the root while the scope ends; the value comes whole",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: awaited,
        bug: "the scope's end does not publish the output",
        seed: SILENT_OUTPUT,
    },
    Model {
        name: "scope_handle::awaited_elsewhere",
        checks: "a scope's handle is polled by a foreign thread while the scope ends",
        threads: 3,
        quick: Some(2),
        full: 3,
        body: awaited_elsewhere,
        bug: "the handle leaves its waker without publishing it",
        seed: weakened("pub(super) fn leave_waker(&self)", "fetch_update", "Relaxed"),
    },
    Model {
        name: "scope_handle::given_up",
        checks: "a scope's handle is polled and dropped while the scope ends: the output is dropped before the root returns",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: given_up,
        bug: "the handle goes without publishing what it did to the cell",
        seed: weakened(
            "pub(super) fn let_go(&self) -> bool {\n        // Acquire: as in `taken`",
            "fetch_add",
            "Acquire",
        ),
    },
    Model {
        name: "scope_handle::polled_again",
        checks: "a scope's handle is polled with two wakers and dropped while the scope ends",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: polled_again,
        bug: "the handle takes the waker back with a load and a store",
        seed: SPLIT_TAKE_BACK,
    },
    Model {
        name: "scope_handle::awaited_above",
        checks: "a scope's handle is awaited by the scope above while the scope ends on another worker",
        threads: 3,
        quick: None,
        full: 2,
        body: awaited_above,
        bug: "the scope above says with a load and a store that it awaits",
        seed: SPLIT_LEAVE_TO_ABOVE,
    },
    Model {
        name: "scope_handle::awaited_above_and_by_others",
        checks: "a scope's handle is awaited by the scope above, by another waker, and by the scope above again, and given up",
        threads: 3,
        quick: None,
        full: 2,
        body: awaited_above_and_by_others,
        bug: "the handle leaves its waker with a load and a store",
        seed: SPLIT_LEAVE_WAKER,
    },
    Model {
        name: "scope_handle::woken_while_it_runs",
        checks: "a scope is woken by another thread while it is polled, parks, or has ended; what it is woken for is seen",
        threads: 3,
        quick: Some(3),
        full: 3,
        body: woken_while_it_runs,
        bug: "a wake does not publish what it is for",
        seed: SILENT_WAKE,
    },
];

/// Polls the handle once with `waker`; the value is dropped if it is there.
fn poll_with<T>(handle: &mut JoinHandle<'_, T>, waker: &Waker) -> bool {
    Pin::new(handle).poll(&mut Context::from_waker(waker)).is_ready()
}

/// Polls the handle once with the caller's own waker.
pub(super) async fn poll_once<T>(handle: &mut JoinHandle<'_, T>) -> bool {
    poll_fn(|cx| Poll::Ready(poll_with(handle, cx.waker()))).await
}

fn awaited() {
    let runtime = asleep(|| runtime(1));
    let value = runtime.block_on(async |scope| scope.scope(async |_| Borrowed::new()).await);
    drop(value);
    all_is_shown();
}

fn awaited_elsewhere() {
    let runtime = asleep(|| runtime(1));
    runtime.block_on(async |scope| {
        let handle = scope.scope(async |_| Borrowed::new());
        on_another_thread(move || drop(Signal::new().block_on(handle)));
    });
    all_is_shown();
}

fn given_up() {
    let runtime = asleep(|| runtime(1));
    let borrowed = Borrowed::new();
    runtime.block_on(async |scope| {
        let output = LastUse(&borrowed);
        let mut handle = scope.scope(async move |_| output);
        poll_once(&mut handle).await;
    });
    drop(borrowed);
    all_is_shown();
}

fn polled_again() {
    let runtime = asleep(|| runtime(1));
    let borrowed = Borrowed::new();
    runtime.block_on(async |scope| {
        let output = LastUse(&borrowed);
        let mut handle = scope.scope(async move |_| output);
        if !poll_with(&mut handle, Waker::noop()) {
            poll_once(&mut handle).await;
        }
    });
    drop(borrowed);
    all_is_shown();
}

fn awaited_above() {
    let runtime = asleep(|| runtime(2));
    runtime.block_on(async |scope| {
        scope.scope(async |above| drop(above.scope(async |_| Borrowed::new()).await));
    });
    all_is_shown();
}

fn awaited_above_and_by_others() {
    let runtime = asleep(|| runtime(2));
    runtime.block_on(async |scope| {
        scope.scope(async |above| {
            let mut handle = above.scope(async |_| Borrowed::new());
            if !poll_once(&mut handle).await && !poll_with(&mut handle, Waker::noop()) {
                poll_once(&mut handle).await;
            }
        });
    });
    all_is_shown();
}

/// Given with no more order than the wake's.
#[derive(Default)]
struct Gift {
    given: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

fn woken_while_it_runs() {
    let runtime = asleep(|| runtime(1));
    let gift = Arc::new(Gift::default());
    let giver = thread::spawn({
        let gift = gift.clone();
        move || {
            gift.given.store(true, Ordering::Relaxed);
            let waker = gift.waker.lock().unwrap().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    });
    runtime.block_on(async |scope| {
        let gift = &gift;
        scope.scope(async move |_| {
            let mut left = false;
            poll_fn(|cx| {
                // Once: the lock would order what the wake is to order.
                if !std::mem::replace(&mut left, true) {
                    *gift.waker.lock().unwrap() = Some(cx.waker().clone());
                }
                if gift.given.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        });
    });
    giver.join().unwrap();
    all_is_shown();
}

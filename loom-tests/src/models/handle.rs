//! A handle: awaited, given up and dropped while its child completes.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use treescope::model::{Borrowed, Signal, on_another_thread};

use super::whole::{LastUse, runtime};
use super::{Model, all_is_shown, asleep};
use crate::bugs::{ROOT_SLEEPS_ON, SILENT_END};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "handle::awaited",
        checks: "a handle is awaited while the child completes; the value comes whole",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: awaited,
        bug: "the sleeping root is not notified",
        seed: ROOT_SLEEPS_ON,
    },
    Model {
        name: "handle::awaited_elsewhere",
        checks: "a handle is polled by a foreign thread while its child completes",
        threads: 3,
        quick: Some(3),
        full: 4,
        body: awaited_elsewhere,
        bug: "the sleeping root is not notified",
        seed: ROOT_SLEEPS_ON,
    },
    Model {
        name: "handle::given_up",
        checks: "a handle is polled and dropped while its child completes: the output is dropped before the root returns",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: given_up,
        bug: "a child counts itself out without publishing what it did to borrowed memory",
        seed: SILENT_END,
    },
    Model {
        name: "handle::dropped",
        checks: "the root returns after the child's future and the output that nobody takes are dropped",
        threads: 2,
        quick: Some(3),
        full: 5,
        body: dropped,
        bug: "a child counts itself out without publishing what it did to borrowed memory",
        seed: SILENT_END,
    },
];

fn awaited() {
    let runtime = runtime(1);
    let value = runtime.block_on(async |scope| {
        let child = scope.spawn(async { Borrowed::new() });
        child.await
    });
    drop(value);
}

fn awaited_elsewhere() {
    let runtime = asleep(|| runtime(1));
    runtime.block_on(async |scope| {
        let handle = scope.spawn(async { Borrowed::new() });
        on_another_thread(move || drop(Signal::new().block_on(handle)));
    });
}

fn given_up() {
    let runtime = asleep(|| runtime(1));
    let borrowed = Borrowed::new();
    runtime.block_on(async |scope| {
        let output = LastUse(&borrowed);
        let mut handle = scope.spawn(async { output });
        poll_fn(|cx| {
            let _ = Pin::new(&mut handle).poll(cx);
            Poll::Ready(())
        })
        .await;
    });
    drop(borrowed);
    all_is_shown();
}

fn dropped() {
    let runtime = asleep(|| runtime(1));
    let borrowed = Borrowed::new();
    runtime.block_on(async |scope| {
        let output = LastUse(&borrowed);
        scope.spawn(async { output });
    });
    drop(borrowed);
    all_is_shown();
}

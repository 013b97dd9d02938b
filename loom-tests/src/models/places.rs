//! The places of a bounded scope.

use std::pin::pin;
use std::task::{Context, Poll};

use loom::sync::Arc;
use loom::thread;
use treescope::model::{Places, Signal};

use super::{ALL, Model, bug};
use crate::seed::Seed;

pub(super) const MODELS: &[Model] = &[Model {
    name: "places::against_leaving_waiter",
    checks: "a place is given back while the first who waits for it gives up: the second gets it",
    threads: 3,
    quick: Some(4),
    full: ALL,
    body: against_leaving_waiter,
    bug: "who gives up stays in the queue",
    seed: Seed::Caller("stays in the queue"),
}];

fn against_leaving_waiter() {
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

//! Counts that a worker keeps back: children counted out late, and counts that a new sibling takes over.

use treescope::model::Borrowed;

use super::whole::{LastUse, runtime};
use super::{Model, all_is_shown, asleep};
use crate::bugs::{SILENT_END, SPLIT_END};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "counts::of_two_scopes",
        checks: "a worker counts children of different scopes out late, and none too late",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: of_two_scopes,
        bug: "counting out is a read and a write",
        seed: SPLIT_END,
    },
    Model {
        name: "counts::taken_over",
        checks: "an ended child leaves its count to a new sibling; the root waits for all and sees what all did",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: taken_over,
        bug: "a child counts itself out without publishing what was done to borrowed memory",
        seed: SILENT_END,
    },
    Model {
        name: "counts::taken_over_and_stolen",
        checks: "the same on two workers: the new sibling may be stolen and end before the one that spawned it",
        threads: 3,
        quick: Some(2),
        full: 2,
        body: taken_over_and_stolen,
        bug: "a child counts itself out without publishing what was done to borrowed memory",
        seed: SILENT_END,
    },
];

fn of_two_scopes() {
    let runtime = asleep(|| runtime(1));
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

fn taken_over() {
    take_over_a_count(1);
}

fn taken_over_and_stolen() {
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

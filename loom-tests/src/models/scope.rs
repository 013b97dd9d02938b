//! A child scope, its value and its children, on one worker and on two.

use treescope::model::Borrowed;

use super::whole::{LastUse, runtime};
use super::{Model, all_is_shown, asleep, explored_from_here, not_yet_explored};
use crate::bugs::{SILENT_END, STATE};
use crate::seed::{Fault, Seed};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "scope::value_outlives_child",
        checks: "a child scope's value outlives the scope's own child, on whatever thread that ends",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: value_outlives_child,
        bug: "a child is not counted in",
        seed: Seed::Operation {
            file: STATE,
            anchor: "pub(crate) fn children_added",
            operation: "fetch_add",
            fault: Fault::Remove,
        },
    },
    Model {
        name: "scope::on_two_workers",
        checks: "a scope's last child may end on another worker than the scope waits on",
        threads: 3,
        quick: Some(2),
        full: 2,
        body: on_two_workers,
        bug: "a child counts itself out without publishing what it did to borrowed memory",
        seed: SILENT_END,
    },
    Model {
        name: "scope::two_children_on_two_workers",
        checks: "two children on two workers",
        threads: 3,
        quick: Some(2),
        full: 3,
        body: two_children_on_two_workers,
        bug: "a child counts itself out without publishing what it did to borrowed memory",
        seed: SILENT_END,
    },
];

/// The drop that a model is about, in the place of its value.
struct LastOfAll(Borrowed);

impl Drop for LastOfAll {
    fn drop(&mut self) {
        // Nobody uses it any more.
        self.0.ended();
        all_is_shown();
    }
}

fn value_outlives_child() {
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

fn on_two_workers() {
    let runtime = asleep(|| runtime(2));
    not_yet_explored();
    runtime.block_on(async |scope| {
        scope.scope(async |inner| {
            explored_from_here();
            let value = &*inner.alloc(LastOfAll(Borrowed::new()));
            inner.spawn(async move {
                let _last = LastUse(&value.0);
            });
        });
    });
}

fn two_children_on_two_workers() {
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

//! What a scope comes to if its children disagree: a panic, an error, a winner.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use loom::thread;
use treescope::model::Borrowed;

use super::whole::{LastUse, runtime, with_virtual_clock};
use super::{Model, all_is_shown, asleep, explored_from_here, not_yet_explored};
use crate::bugs::{NO_MARK, SILENT_END, STATE};
use crate::seed::{Fault, Seed};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "outcome::panic_against_sibling",
        checks: "a child panics while its sibling parks; the root resumes the panic after both are dropped",
        threads: 2,
        quick: Some(3),
        full: 4,
        body: panic_against_sibling,
        bug: "a failure does not mark the scope",
        seed: NO_MARK,
    },
    Model {
        name: "outcome::two_errors",
        checks: "a fallible scope's body and its child fail on two workers: one error is first, the other later or none",
        threads: 3,
        quick: Some(2),
        full: 2,
        body: two_errors,
        bug: "a child counts itself out without publishing what it did to borrowed memory",
        seed: SILENT_END,
    },
    Model {
        name: "outcome::race",
        checks: "a race's winner is handed out to another thread after the loser has ended",
        threads: 2,
        quick: Some(3),
        full: 4,
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

fn panic_against_sibling() {
    let runtime = asleep(|| runtime(1));
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
    all_is_shown();
}

fn two_errors() {
    let runtime = asleep(|| runtime(2));
    let borrowed = Borrowed::new();
    not_yet_explored();
    runtime.block_on(async |scope| {
        let shared = &borrowed;
        let failing = scope.try_scope(async move |scope| {
            let last = LastUse(shared);
            scope.spawn(async move {
                explored_from_here();
                drop(last);
                Err::<(), u32>(1)
            });
            // The other worker has it.
            thread::yield_now();
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
    let runtime = asleep(with_virtual_clock);
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

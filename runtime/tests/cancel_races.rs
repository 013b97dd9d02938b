//! A cancel that comes at the worst moment: whoever is about to sleep must be reached all the same.

mod common;

use common::{Ledger, runtime, watched};
use std::future::pending;
use std::hint::spin_loop;

/// Spins for a while that differs from round to round, to meet a window of a few instructions.
fn spin(round: u32) {
    (0..round % 977).for_each(|_| spin_loop());
}

/// The inner scope's body ends at once, so its task goes straight to waiting for its child, and is cancelled from above
/// between its look at the cancel mark and its entry on the list of those to be woken.
#[test]
fn cancel_that_races_a_scope_on_its_way_to_wait_for_its_children() {
    let runtime = runtime(2);
    let rounds = if cfg!(debug_assertions) { 30_000 } else { 200_000 };
    watched(|| {
        for round in 0..rounds {
            let ledger = Ledger::new();
            let item = ledger.item("child");
            runtime.block_on(async |root| {
                root.scope(async move |outer| {
                    outer.scope(async move |inner| {
                        inner.spawn(async move {
                            pending::<()>().await;
                            drop(item);
                        });
                    });
                    spin(round);
                    outer.abort();
                });
            });
            ledger.assert_settled();
        }
    });
}

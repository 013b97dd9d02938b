//! In which order tasks have their turns.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use treescope::yield_now;

use super::{Gate, runtime};

/// `SPAWNED_RUN` of `sched/worker.rs`.
pub(crate) const SPAWNED_RUN: u64 = 16;
/// `FOREIGN_EVERY` of `sched/worker.rs`.
pub(crate) const FOREIGN_EVERY: u64 = 61;

/// Lets `tasks` wait at gates on one worker, opens the gates by `open`, and gives the order in which they passed.
pub(crate) fn order_of_passing(tasks: usize, open: impl Fn(&[Gate]) + Send + Sync) -> Vec<usize> {
    let order = &Mutex::new(Vec::new());
    let open = &open;
    runtime(1).block_on(async |root| {
        root.scope(async move |scope| {
            let gates: &[Gate] = &*scope.alloc(Vec::from_iter((0..tasks).map(|_| Gate::new())));
            let parked = &*scope.alloc(AtomicUsize::new(0));
            for (n, gate) in gates.iter().enumerate() {
                scope.spawn(async move {
                    parked.fetch_add(1, Ordering::SeqCst);
                    gate.pass().await;
                    order.lock().unwrap().push(n);
                });
            }
            while parked.load(Ordering::SeqCst) < tasks {
                yield_now().await;
            }
            open(gates);
        });
    });
    std::mem::take(&mut *order.lock().unwrap())
}

//! What the regression guard counts: one operation each, over and over, on a runtime with one worker.
//!
//! Small on purpose, and not the works: a count of instructions should change when the operation does, and not with
//! the growth of a vector of handles.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use futures_util::task::AtomicWaker;
use treescope::Runtime;

/// A probe: its name, and what one operation of it is.
#[derive(Debug)]
pub struct Probe {
    /// As in the baseline.
    pub name: &'static str,
    /// In words.
    pub about: &'static str,
    run: fn(&Runtime, u64),
}

/// All of them.
pub const PROBES: &[Probe] = &[
    Probe { name: "spawn", about: "spawn a child that is ready at once, and await it", run: spawn },
    Probe { name: "yield", about: "a task yields, with another to go on with", run: yielding },
    Probe { name: "wake", about: "a task wakes another and waits for its wake", run: wake },
    Probe { name: "scope", about: "open a child scope with one child, and await both", run: scope },
];

impl Probe {
    /// Does the operation `times` times.
    ///
    /// # Errors
    /// If the runtime cannot be started.
    pub fn run(&self, times: u64) -> io::Result<()> {
        let runtime = Runtime::builder().worker_threads(1).build()?;
        (self.run)(&runtime, times);
        Ok(())
    }
}

/// Children at a time, as a parent with a handful of them would have.
const BATCH: u64 = 10;

fn spawn(runtime: &Runtime, times: u64) {
    let sum = runtime.block_on(async |root| {
        root.scope(async move |scope| {
            let mut sum = 0;
            for _ in 0..times / BATCH {
                let handles: [_; BATCH as usize] = std::array::from_fn(|_| scope.spawn(async { 1 }));
                for handle in handles {
                    sum += handle.await;
                }
            }
            sum
        })
        .await
    });
    assert_eq!(sum, times / BATCH * BATCH);
}

fn yielding(runtime: &Runtime, times: u64) {
    let yielder = || async {
        for _ in 0..times / 2 {
            treescope::yield_now().await;
        }
    };
    runtime.block_on(async |root| {
        root.scope(async move |scope| {
            scope.spawn(yielder());
            scope.spawn(yielder());
        })
        .await;
    });
}

fn wake(runtime: &Runtime, times: u64) {
    let (turn, wakers) = (AtomicU64::new(0), [AtomicWaker::new(), AtomicWaker::new()]);
    let (turn, wakers) = (&turn, &wakers);
    // Waits until it is its turn, then makes it the other's.
    let player = move |me: usize| async move {
        for round in 0..times / 2 {
            let mine = 2 * round + me as u64;
            poll_fn(|cx| {
                wakers[me].register(cx.waker());
                if turn.load(Ordering::Acquire) == mine { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            turn.store(mine + 1, Ordering::Release);
            wakers[1 - me].wake();
        }
    };
    runtime.block_on(async |root| {
        root.scope(async move |scope| {
            scope.spawn(player(0));
            scope.spawn(player(1));
        })
        .await;
    });
    assert_eq!(turn.load(Ordering::Relaxed), times / 2 * 2);
}

fn scope(runtime: &Runtime, times: u64) {
    let sum = runtime.block_on(async |root| {
        root.scope(async move |scope| {
            let mut sum = 0;
            for _ in 0..times {
                sum += scope.scope(async |inner| inner.spawn(async { 1 }).await).await;
            }
            sum
        })
        .await
    });
    assert_eq!(sum, times);
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_probe_runs_to_its_end() {
        for probe in super::PROBES {
            probe.run(20).expect("a thread can be had");
        }
    }
}

//! 100,000 levels: nothing recurses, neither running nor ending, so small stacks do.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use treescope::{Runtime, Scope};

const LEVELS: u32 = 100_000;

/// On 1 and 2 workers, with stacks that a recursion of a few thousand levels would overflow.
fn each_runtime(test: impl Fn(&Runtime)) {
    for workers in [1, 2] {
        let runtime = Runtime::builder().worker_threads(workers).stack_size(256 * 1024).build();
        test(&runtime.expect("threads"));
    }
}

/// Counts its drop.
struct Guard<'a>(&'a AtomicU32);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the lowest level does.
#[derive(Clone, Copy)]
enum Bottom<'a> {
    Return,
    Panic,
    /// Says that it is there, and stays.
    Stay(&'a AtomicU32),
    /// Says that it is there, and returns when a cancel is requested.
    WindUp(&'a AtomicU32),
}

/// Opens a scope per level; each level has a guard in its body and one in its node.
fn descend<'scope, 'env: 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    left: u32,
    dropped: &'scope AtomicU32,
    bottom: Bottom<'scope>,
) -> impl Future<Output = u32> + Send {
    async move {
        let _guard = Guard(dropped);
        if left > 0 {
            let below = scope.scope(async move |inner| {
                inner.alloc(Guard(dropped));
                descend(inner, left - 1, dropped, bottom).await
            });
            return below.await + 1;
        }
        match bottom {
            Bottom::Return => {}
            Bottom::Panic => resume_unwind(Box::new("at the bottom")),
            Bottom::Stay(there) => {
                there.store(1, Ordering::Release);
                pending().await
            }
            Bottom::WindUp(there) => {
                there.store(1, Ordering::Release);
                scope.cancelled().await;
            }
        }
        0
    }
}

async fn until(there: &AtomicU32) {
    while there.load(Ordering::Acquire) == 0 {
        treescope::yield_now().await;
    }
}

/// Every level's two guards, the lowest has one.
const GUARDS: u32 = 2 * LEVELS + 1;

#[test]
fn hundred_thousand_levels_run_and_end() {
    each_runtime(|runtime| {
        let dropped = AtomicU32::new(0);
        let depth = runtime.block_on(async |root| {
            let dropped = &dropped;
            root.scope(async move |scope| descend(scope, LEVELS, dropped, Bottom::Return).await).await
        });
        assert_eq!(depth, LEVELS);
        assert_eq!(dropped.into_inner(), GUARDS);
    });
}

#[test]
fn hundred_thousand_levels_are_aborted() {
    each_runtime(|runtime| {
        let (dropped, there) = (AtomicU32::new(0), AtomicU32::new(0));
        runtime.block_on(async |root| {
            let (dropped, there) = (&dropped, &there);
            root.spawn(async move {
                until(there).await;
                root.abort_children();
            });
            drop(root.scope(async move |scope| descend(scope, LEVELS, dropped, Bottom::Stay(there)).await));
        });
        assert_eq!(dropped.into_inner(), GUARDS);
    });
}

#[test]
fn panic_climbs_a_hundred_thousand_levels() {
    each_runtime(|runtime| {
        let dropped = AtomicU32::new(0);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async |root| {
                let dropped = &dropped;
                root.scope(async move |scope| descend(scope, LEVELS, dropped, Bottom::Panic).await).await
            })
        }));
        assert_eq!(panicked.expect_err("it panics").downcast_ref(), Some(&"at the bottom"));
        assert_eq!(dropped.into_inner(), GUARDS);
    });
}

#[test]
fn request_to_cancel_descends_a_hundred_thousand_levels() {
    each_runtime(|runtime| {
        let (dropped, there) = (AtomicU32::new(0), AtomicU32::new(0));
        let depth = runtime.block_on(async |root| {
            let (dropped, there) = (&dropped, &there);
            root.spawn(async move {
                until(there).await;
                root.cancel(Duration::MAX);
            });
            root.scope(async move |scope| descend(scope, LEVELS, dropped, Bottom::WindUp(there)).await).await
        });
        assert_eq!(depth, LEVELS);
        assert_eq!(dropped.into_inner(), GUARDS);
    });
}

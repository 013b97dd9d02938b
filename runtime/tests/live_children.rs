//! `Scope::live_children`, as a body sees it that bounds by it what it spawns.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use treescope::{Runtime, yield_now};

/// What takes that long never comes.
const NEVER: Duration = Duration::from_secs(30);

#[test]
fn body_sees_the_children_that_it_spawned_in_the_same_poll() {
    for workers in [1, 2] {
        let runtime = Runtime::builder().worker_threads(workers).build().expect("threads");
        let (at_once, later, go) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        runtime.block_on(async |root| {
            root.scope(async |scope| {
                for _ in 0..5 {
                    drop(scope.spawn(async {
                        while !go.load(Ordering::Acquire) {
                            yield_now().await;
                        }
                    }));
                }
                at_once.store(scope.live_children(), Ordering::Relaxed);
                yield_now().await;
                later.store(scope.live_children(), Ordering::Relaxed);
                go.store(true, Ordering::Release);
            })
            .await;
        });
        assert_eq!(at_once.into_inner(), 5, "in the poll that spawned them, on {workers} workers");
        assert_eq!(later.into_inner(), 5, "in a later poll, on {workers} workers");
    }
}

#[test]
fn child_sees_that_its_siblings_have_ended() {
    for workers in [1, 2] {
        let runtime = Runtime::builder().worker_threads(workers).build().expect("threads");
        let began = Instant::now();
        let seen = runtime.block_on(async |root| {
            root.scope(async |scope| {
                let last = scope.spawn(async {
                    // Not `> 1`: those that the body is just spawning may not be in the figure yet.
                    while scope.live_children() != 1 && began.elapsed() < NEVER {
                        yield_now().await;
                    }
                    scope.live_children() == 1
                });
                for _ in 0..5 {
                    drop(scope.spawn(yield_now()));
                }
                last.await
            })
            .await
        });
        assert!(seen, "the siblings' ends were never seen, on {workers} workers");
    }
}

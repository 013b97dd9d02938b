//! Memory is O(live children): what has ended leaves nothing behind. A counting allocator sees every byte, so this file's
//! tests take turns.

mod common;

use common::{runtime, watched};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use treescope::{oneshot, yield_now};

/// The system's allocator, counting.
struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: both calls go to the system's allocator, which keeps the contract; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = BYTES.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        // SAFETY: by contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: by contract.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// By how many bytes the heap was larger than before, at most, while `work` ran.
fn peak_of(work: impl FnOnce()) -> usize {
    let before = BYTES.load(Ordering::SeqCst);
    PEAK.store(before, Ordering::SeqCst);
    work();
    PEAK.load(Ordering::SeqCst) - before
}

const CHILDREN: usize = if cfg!(debug_assertions) { 200_000 } else { 1_000_000 };
/// Children spawned before the spawner yields.
const BATCH: usize = 100;
/// Far below what even one byte for every child that has ended would take.
const LIMIT: usize = 100_000;

#[test]
fn a_million_ended_children_whose_handles_were_dropped_take_no_memory() {
    let _alone = alone();
    for workers in [1, 2] {
        let rt = runtime(workers);
        let ran = &AtomicUsize::new(0);
        let peak = peak_of(|| {
            watched(|| {
                rt.block_on(async |root| {
                    root.scope(async move |scope| {
                        for n in 1..=CHILDREN {
                            scope.spawn(async { ran.fetch_add(1, Ordering::SeqCst) });
                            while n % BATCH == 0 && ran.load(Ordering::SeqCst) < n {
                                yield_now().await;
                            }
                        }
                    });
                });
            });
        });
        assert!(peak < LIMIT, "{peak} bytes for children that had ended");
    }
}

#[test]
fn children_of_a_roots_body_which_is_on_no_worker_take_no_memory_when_they_have_ended() {
    let _alone = alone();
    let rt = runtime(1);
    let peak = peak_of(|| {
        watched(|| {
            rt.block_on(async |root| {
                for n in 0..CHILDREN / 20 {
                    assert_eq!(root.spawn(async move { n }).await, n);
                }
            });
        });
    });
    assert!(peak < LIMIT, "{peak} bytes for children that had ended");
}

#[test]
fn channels_made_in_a_roots_body_and_received_from_on_a_worker_take_no_memory_when_they_have_ended() {
    let _alone = alone();
    let rt = runtime(1);
    let peak = peak_of(|| {
        watched(|| {
            rt.block_on(async |root| {
                for n in 0..CHILDREN / 20 {
                    let (sender, receiver) = oneshot::channel();
                    assert_eq!(sender.send([n; 60]), Ok(()));
                    assert_eq!(root.spawn(receiver).await, Ok([n; 60]));
                }
            });
        });
    });
    assert!(peak < LIMIT, "{peak} bytes for channels that had ended");
}

#[test]
fn a_million_ended_scopes_that_parked_and_owned_values_take_no_memory() {
    let _alone = alone();
    let rt = runtime(2);
    let ended = &AtomicUsize::new(0);
    let peak = peak_of(|| {
        watched(|| {
            rt.block_on(async |root| {
                root.scope(async move |scope| {
                    for n in 1..=CHILDREN / 4 {
                        let handle = scope.scope(async move |inner| {
                            inner.alloc([0_u8; 100]);
                            inner.spawn(yield_now());
                            yield_now().await;
                            ended.fetch_add(1, Ordering::SeqCst);
                        });
                        if n % 3 == 0 {
                            handle.await;
                        }
                        while n % BATCH == 0 && ended.load(Ordering::SeqCst) < n {
                            yield_now().await;
                        }
                    }
                });
            });
        });
    });
    // A scope's task is gone a little later than its body.
    assert!(peak < 3 * LIMIT, "{peak} bytes for scopes that had ended");
}

#[test]
fn what_a_peak_has_left_is_given_back_as_the_workers_come_to_rest() {
    const PEAK: usize = 50_000;
    /// What is kept for good: the depot's, the lanes', whose rings have grown, and a watchdog.
    const REST: usize = (1 << 20) + 2 * (PEAK.next_power_of_two() * 8) + LIMIT;
    let _alone = alone();
    let rt = runtime(2);
    let spawn = |children: usize| {
        watched(|| {
            rt.block_on(async |root| {
                root.scope(async move |scope| {
                    let handles: Vec<_> =
                        (0..children).map(|n| scope.spawn(async move { [n; 20] })).collect();
                    for handle in handles {
                        handle.await;
                    }
                })
                .await;
            });
        });
    };
    let before = BYTES.load(Ordering::SeqCst);
    let kept = || BYTES.load(Ordering::SeqCst).saturating_sub(before);
    spawn(PEAK);
    assert!(kept() < 40 << 20, "{} bytes kept after a peak", kept());
    // A root of its own each, so that the workers come to rest in between.
    let turns = (0..20_000).take_while(|_| kept() > REST).inspect(|_| spawn(1)).count();
    assert!(kept() <= REST, "{} bytes still there after {turns} turns", kept());
}

#[test]
fn roots_leave_nothing_behind() {
    let _alone = alone();
    let rt = runtime(2);
    let once = || {
        watched(|| {
            let sum = rt.block_on(async |root| {
                let of_root = root.alloc([1_u32; 10]);
                let children: Vec<_> =
                    of_root.iter_mut().map(|one| root.spawn(async move { *one })).collect();
                let mut sum = 0;
                for child in children {
                    sum += child.await;
                }
                root.scope(async move |scope| scope.spawn(async move { sum }).await).await
            });
            assert_eq!(sum, 10);
        });
    };
    (0..200).for_each(|_| once());
    // Queues have grown by now, and the watchdogs' threads may not all have ended.
    let before = BYTES.load(Ordering::SeqCst);
    (0..200).for_each(|_| once());
    let more = BYTES.load(Ordering::SeqCst).saturating_sub(before);
    assert!(more < LIMIT, "{more} bytes after 200 roots");
}

#[test]
fn a_runtime_that_is_dropped_leaves_nothing_behind() {
    let _alone = alone();
    let once = || {
        let rt = runtime(2);
        watched(|| {
            rt.block_on(async |root| {
                root.spawn_blocking(|| 1).await;
                (0..1_000).for_each(|n| drop(root.spawn(async move { n })));
            });
        });
    };
    (0..20).for_each(|_| once());
    let before = BYTES.load(Ordering::SeqCst);
    (0..100).for_each(|_| once());
    let more = BYTES.load(Ordering::SeqCst).saturating_sub(before);
    assert!(more < LIMIT, "{more} bytes after 100 runtimes");
}

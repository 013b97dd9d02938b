//! What children do to borrowed memory, seen by ThreadSanitizer (`.ci/sanitize`): plain writes that only the runtime orders.
//!
//! Without the test harness, whose threads and channels are in the precompiled `std` that ThreadSanitizer does not see into.
//! An ordinary `cargo test` runs it too, for what it asserts. `TREESCOPE_ROUNDS`: how often. Default: 5.

use std::cell::UnsafeCell;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use treescope::{Runtime, Scope, time, yield_now};

/// Its name, and what it does on a runtime.
type Step = (&'static str, fn(&Runtime));

fn main() {
    // `cargo test -- --list` and filters are for harnesses; this is all or nothing.
    if std::env::args().any(|arg| arg == "--list") {
        return;
    }
    let rounds = std::env::var("TREESCOPE_ROUNDS").map_or(5, |text| text.parse().expect("a number"));
    let steps: [Step; 7] = [
        ("halves", halves),
        ("values and outputs", values_and_outputs),
        ("aborts", aborts),
        ("foreign wakes", foreign_wakes),
        ("blocking calls", blocking_calls),
        ("places", places),
        ("timers", timers),
    ];
    for round in 0..rounds {
        let runtime = Runtime::builder().worker_threads(4).blocking_threads(3).build().expect("threads");
        for (name, step) in steps {
            if round == 0 {
                println!("{name}");
            }
            step(&runtime);
        }
    }
    println!("{rounds} rounds");
}

/// Plain memory that is written by whoever has it. The runtime's order is all that keeps two from having it at once.
struct Plain(UnsafeCell<u64>);

// SAFETY: it is not: that no two threads use it at once is what the programs here check, by what the sanitizer sees.
unsafe impl Sync for Plain {}

impl Plain {
    const fn new() -> Self {
        Self(UnsafeCell::new(0))
    }

    /// Adds one, as nobody may at the same time.
    fn touch(&self) -> u64 {
        let pointer = self.0.get();
        // SAFETY: the caller is ordered after whoever touched it before, or the sanitizer reports it.
        let before = unsafe { pointer.read() };
        // SAFETY: as above.
        unsafe { pointer.write(before + 1) };
        before + 1
    }
}

/// Splits a slice until its pieces are small; these are written on whatever thread.
fn sum<'scope>(
    scope: &'scope Scope<'scope, '_>,
    cells: &'scope mut [u64],
) -> impl Future<Output = u64> + Send {
    async move {
        if cells.len() <= 4 {
            cells.iter_mut().for_each(|cell| *cell += 1);
            return cells.iter().sum();
        }
        let (left, right) = cells.split_at_mut(cells.len() / 2);
        let left = scope.scope(async move |inner| sum(inner, left).await);
        let right = scope.scope(async move |inner| sum(inner, right).await);
        left.await + right.await
    }
}

fn halves(runtime: &Runtime) {
    let mut cells = vec![0_u64; 4096];
    assert_eq!(runtime.block_on(async |scope| sum(scope, &mut cells).await), 4096);
    assert!(cells.iter().all(|&cell| cell == 1));
}

/// One after the other, on whatever thread: a handle's output is written by the child and by whoever awaits it.
fn values_and_outputs(runtime: &Runtime) {
    let plain = Plain::new();
    runtime.block_on(async |scope| {
        for _ in 0..200 {
            let plain = &plain;
            scope
                .scope(async move |inner| {
                    let own = &*inner.alloc(Plain::new());
                    let mut output = inner
                        .spawn(async move {
                            own.touch();
                            yield_now().await;
                            plain.touch();
                            Box::new(1_u64)
                        })
                        .await;
                    *output += 1;
                    assert_eq!(own.touch(), *output);
                })
                .await;
            plain.touch();
        }
    });
    assert_eq!(plain.touch(), 401);
}

/// Children that are dropped, not ended: what they hold is touched by their drops, and then by the root.
fn aborts(runtime: &Runtime) {
    struct Last<'a>(&'a Plain);
    impl Drop for Last<'_> {
        fn drop(&mut self) {
            self.0.touch();
        }
    }
    for _ in 0..50 {
        let plains: Vec<_> = (0..8).map(|_| Plain::new()).collect();
        let ended = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async |scope| {
                for plain in &plains {
                    let last = Last(plain);
                    scope.scope(async move |_| {
                        let _last = last;
                        yield_now().await;
                        pending::<()>().await;
                    });
                }
                scope.spawn(async { std::panic::resume_unwind(Box::new(7_u32)) });
            });
        }));
        assert!(ended.is_err(), "a child panics");
        assert!(plains.iter().all(|plain| plain.touch() == 2));
    }
}

/// What a thread wrote before its wake is read by the task that it woke.
fn foreign_wakes(runtime: &Runtime) {
    let places: Vec<_> =
        (0..4).map(|_| (AtomicU32::new(0), Mutex::new(None::<Waker>), Plain::new())).collect();
    std::thread::scope(|threads| {
        for (given, waker, plain) in &places {
            threads.spawn(move || {
                for turn in 1..=100 {
                    while given.load(Ordering::Acquire) != 2 * turn - 1 {
                        std::thread::yield_now();
                    }
                    plain.touch();
                    given.store(2 * turn, Ordering::Release);
                    let waker = waker.lock().take();
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                }
            });
        }
        runtime.block_on(async |scope| {
            for (given, waker, plain) in &places {
                scope.spawn(async move {
                    for turn in 1..=100 {
                        plain.touch();
                        given.store(2 * turn - 1, Ordering::Release);
                        poll_fn(|cx| {
                            *waker.lock() = Some(cx.waker().clone());
                            let ready = given.load(Ordering::Acquire) == 2 * turn;
                            if ready { Poll::Ready(()) } else { Poll::Pending }
                        })
                        .await;
                    }
                });
            }
        });
    });
    assert!(places.iter().all(|(_, _, plain)| plain.touch() == 201));
}

/// To the pool and back.
fn blocking_calls(runtime: &Runtime) {
    let plain = Plain::new();
    runtime.block_on(async |scope| {
        for _ in 0..100 {
            plain.touch();
            scope.spawn_blocking(|| plain.touch()).await;
        }
    });
    assert_eq!(plain.touch(), 201);
}

/// One place: whoever has it is alone, after whoever had it.
fn places(runtime: &Runtime) {
    let plain = Plain::new();
    runtime.block_on(async |scope| {
        let plain = &plain;
        scope.bounded(1, async move |bounded| {
            for _ in 0..100 {
                drop(bounded.spawn(async move { plain.touch() }).await);
            }
        });
    });
    assert_eq!(plain.touch(), 101);
}

/// What was written before a deadline passed is read by whoever waited for it.
fn timers(runtime: &Runtime) {
    let plain = Plain::new();
    runtime.block_on(async |scope| {
        let plain = &plain;
        for _ in 0..10 {
            let late = scope
                .deadline(time::now() + Duration::from_millis(1), async move |inner| {
                    inner.spawn(async move {
                        time::sleep(Duration::from_micros(10)).await;
                        plain.touch();
                        pending::<()>().await;
                    });
                })
                .await;
            assert!(late.is_err(), "it never ends by itself");
            plain.touch();
        }
    });
}

//! Larger programs than loom can explore, run under random schedules by [shuttle](https://docs.rs/shuttle).
//!
//! Each is a whole runtime with eight or more threads, and a tree that is partly random (shuttle's random numbers belong to
//! the schedule, so a seed gives the same tree). What is borrowed is an [`Owned`]: whoever uses it after its end is found.

use std::future::{pending, poll_fn};
use std::panic::{self, AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::{Arc, Mutex};
use shuttle::{Config, FailurePersistence, Runner, thread};
use treescope::{Runtime, Scope, time, yield_now};

use crate::bugs::{NO_MARK, SILENT_BELL, STATE, WORKER_SLEEPS_ON};
use crate::child::EXECUTIONS;
use crate::seed::{Fault, Seed};

/// A program and the bug it catches.
#[derive(Debug)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a few words.
    pub checks: &'static str,
    /// Threads, the main one included.
    pub threads: usize,
    /// One execution.
    pub body: fn(),
    /// A bug that makes it fail, in words.
    pub bug: &'static str,
    /// The same for the machine.
    pub seed: Seed,
}

/// All programs.
pub const PROGRAMS: &[Program] = &[
    Program {
        name: "tree",
        checks: "two roots at once; scopes in scopes, four deep, whose children borrow from all above and yield",
        threads: 8,
        body: tree,
        bug: "counting in is a read and a write",
        seed: Seed::Operation {
            file: STATE,
            anchor: "pub(crate) fn children_added",
            operation: "fetch_add",
            fault: Fault::Split,
        },
    },
    Program {
        name: "aborts",
        checks: "scopes are aborted from inside, from above and by panics, while their children park, yield and spawn",
        threads: 8,
        body: aborts,
        bug: "an abort leaves no mark",
        seed: NO_MARK,
    },
    Program {
        name: "foreign_wakes",
        checks: "four threads wake children again and again, and late: tree and runtime end meanwhile",
        threads: 9,
        body: foreign_wakes,
        bug: "no wake reaches a worker that sleeps",
        seed: WORKER_SLEEPS_ON,
    },
    Program {
        name: "places",
        checks: "children and blocking calls in a bounded scope; waiters that give up",
        threads: 9,
        body: places,
        bug: "the pool's threads are not told of work",
        seed: Seed::Operation {
            file: "sched/blocking.rs",
            anchor: "drop(state);\n        self.work.notify_one()",
            operation: "notify_one",
            fault: Fault::Remove,
        },
    },
    Program {
        name: "deadlines",
        checks: "sleeps, deadlines, grace periods and shields under a clock that jumps when all are idle",
        threads: 8,
        body: deadlines,
        bug: "a ring does not reach the driver's bell",
        seed: SILENT_BELL,
    },
];

/// How the next thread is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Any, at every step.
    Random,
    /// By priorities that change at three steps: probabilistic concurrency testing.
    Pct,
}

static EXPLORED: AtomicU64 = AtomicU64::new(0);

/// Runs `program` `executions` times, with schedules that `seed` determines. Any panic that is not part of a program ends
/// the process, on the spot.
pub fn explore(program: &Program, choice: Choice, seed: u64, executions: usize) {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        // What a user gets for aborting the root; programs that do so expect it.
        if info.payload_as_str().is_some_and(|message| message.starts_with("the root scope was aborted")) {
            return;
        }
        report(info);
        println!("{EXECUTIONS}{}", EXPLORED.load(Ordering::Relaxed));
        process::exit(101);
    }));
    let mut config = Config::new();
    config.stack_size = 256 * 1024;
    // The seed and the number say all.
    config.failure_persistence = FailurePersistence::None;
    config.silence_warnings = true;
    let body = program.body;
    let body = move || {
        EXPLORED.fetch_add(1, Ordering::Relaxed);
        body();
    };
    match choice {
        Choice::Random => {
            Runner::new(RandomScheduler::new_from_seed(seed, executions), config).run(body);
        }
        Choice::Pct => {
            Runner::new(PctScheduler::new_from_seed(seed, 3, executions), config).run(body);
        }
    }
    println!("{EXECUTIONS}{}", EXPLORED.load(Ordering::Relaxed));
}

// ---- what programs borrow ------------------------------------------------------------------------------------------

/// Something to borrow.
#[derive(Debug, Default)]
struct Owned(std::sync::Arc<AtomicBool>);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Owned {
    /// Borrows it, and looks whether it lives when the loan is dropped. The look is at shared memory, not at the borrowed
    /// one, so that it is safe to find out.
    fn lend(&self) -> Loan<'_> {
        Loan { ended: self.0.clone(), _of: self }
    }
}

struct Loan<'a> {
    ended: std::sync::Arc<AtomicBool>,
    _of: &'a Owned,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        assert!(!self.ended.load(Ordering::Relaxed), "what a child borrows has ended before it");
    }
}

fn runtime(workers: usize) -> Runtime {
    let builder = Runtime::builder().worker_threads(workers).blocking_threads(2).virtual_clock();
    builder.build().expect("no system resource is needed under shuttle")
}

fn chance(percent: u32) -> bool {
    thread_rng().gen_range(0..100) < percent
}

/// Runs `body`, whose root may be aborted, or panic with a number.
fn may_fail(body: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(body));
}

// ---- the programs --------------------------------------------------------------------------------------------------

/// A tree of scopes, with a value in each; gives the number of leaves.
fn grow<'scope>(scope: &'scope Scope<'scope, '_>, depth: u32) -> impl Future<Output = u32> + Send {
    async move {
        let value = &*scope.alloc(Owned::default());
        if chance(30) {
            yield_now().await;
        }
        if depth == 0 {
            return 1;
        }
        let left = scope.scope(async move |inner| grow(inner, depth - 1).await);
        let right = scope.scope(async move |inner| {
            let _loan = value.lend();
            grow(inner, depth - 1).await
        });
        for _ in 0..2 {
            let loan = value.lend();
            scope.spawn(async move {
                if chance(50) {
                    yield_now().await;
                }
                drop(loan);
            });
        }
        if chance(20) {
            drop(left);
            return right.await + (1 << (depth - 1));
        }
        left.await + right.await
    }
}

fn tree() {
    let runtime = Arc::new(runtime(6));
    let root = |runtime: &Runtime| {
        let owned = Owned::default();
        let leaves = runtime.block_on(async |scope| {
            let loan = owned.lend();
            scope.spawn(async move { drop(loan) });
            grow(scope, 3).await
        });
        assert_eq!(leaves, 8);
    };
    let other = thread::spawn({
        let runtime = runtime.clone();
        move || root(&runtime)
    });
    root(&runtime);
    other.join().expect("no root panics");
}

/// Children that do anything but end by themselves, and somebody who ends them.
fn storm<'scope>(scope: &'scope Scope<'scope, '_>, depth: u32) -> impl Future<Output = ()> + Send {
    async move {
        let value = &*scope.alloc(Owned::default());
        for _ in 0..3 {
            let loan = value.lend();
            scope.spawn(async move {
                let _loan = loan;
                while chance(60) {
                    yield_now().await;
                }
                pending::<()>().await;
            });
        }
        if depth > 0 {
            scope.scope(async move |inner| {
                let _loan = value.lend();
                storm(inner, depth - 1).await;
                pending::<()>().await;
            });
        }
        let loan = value.lend();
        scope.spawn(async move {
            let _loan = loan;
            yield_now().await;
            let next = scope.spawn(async move {
                if depth == 0 && chance(50) {
                    // Quietly: a panic with a message is taken for the program's own failure.
                    resume_unwind(Box::new(depth));
                }
                scope.abort();
            });
            next.await;
        });
    }
}

fn aborts() {
    let runtime = runtime(7);
    let owned = Owned::default();
    may_fail(|| {
        runtime.block_on(async |scope| {
            let loan = owned.lend();
            scope.spawn(async move { drop(loan) });
            storm(scope, 2).await;
            if chance(30) {
                scope.abort();
            }
        });
    });
}

fn foreign_wakes() {
    const CHILDREN: usize = 4;
    type Shared = Arc<Mutex<(u32, Option<Waker>)>>;
    let places: Vec<Shared> = (0..CHILDREN).map(|_| Shared::default()).collect();
    let foreign: Vec<_> = places
        .iter()
        .map(|place| {
            let place = place.clone();
            thread::spawn(move || {
                for _ in 0..3 {
                    let mut state = place.lock().expect("nobody panics");
                    state.0 += 1;
                    let waker = state.1.clone();
                    drop(state);
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                }
            })
        })
        .collect();
    let runtime = runtime(4);
    let owned = Owned::default();
    runtime.block_on(async |scope| {
        for (number, place) in places.iter().enumerate() {
            let loan = owned.lend();
            // Some wait for the last wake, some leave before.
            let enough = if number % 2 == 0 { 3 } else { 1 };
            scope.spawn(async move {
                let _loan = loan;
                poll_fn(|cx| {
                    let mut state = place.lock().expect("nobody panics");
                    state.1 = Some(cx.waker().clone());
                    if state.0 >= enough { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
            });
        }
    });
    drop(runtime);
    for thread in foreign {
        thread.join().expect("nobody panics");
    }
}

fn places() {
    let runtime = runtime(6);
    let owned = Owned::default();
    let calls = AtomicU64::new(0);
    runtime.block_on(async |scope| {
        let (owned, calls) = (&owned, &calls);
        scope.bounded(2, async move |bounded| {
            for number in 0..8 {
                let loan = owned.lend();
                if number % 3 == 0 {
                    // Polled once, and given up.
                    let mut place = Box::pin(bounded.place());
                    poll_fn(|cx| {
                        let _ = place.as_mut().poll(cx);
                        Poll::Ready(())
                    })
                    .await;
                }
                let child = bounded.spawn(async move {
                    let _loan = loan;
                    yield_now().await;
                });
                child.await;
                if number % 2 == 0 {
                    let loan = owned.lend();
                    bounded.scope().spawn_blocking(move || {
                        let _loan = loan;
                        calls.fetch_add(1, Ordering::Relaxed);
                    });
                }
            }
        });
    });
    assert_eq!(calls.load(Ordering::Relaxed), 4);
}

fn deadlines() {
    const TICK: Duration = Duration::from_millis(1);
    let runtime = runtime(7);
    let owned = Owned::default();
    runtime.block_on(async |scope| {
        let start = time::now();
        for number in 1..=3 {
            let loan = owned.lend();
            scope.spawn(async move {
                let _loan = loan;
                time::sleep(number * TICK).await;
                assert!(time::now() >= start + number * TICK);
            });
            let value = owned.lend();
            let late = scope.deadline(start + number * TICK, async move |inner| {
                let _value = value;
                let own = &*inner.alloc(Owned::default());
                let loan = own.lend();
                inner.open().shield(TICK).scope(async move |_| {
                    let _loan = loan;
                    time::sleep(number * TICK).await;
                });
                time::sleep(2 * TICK).await;
                number
            });
            scope.spawn(async move {
                let _ = late.await;
            });
            let loan = owned.lend();
            scope.scope(async move |inner| {
                let _loan = loan;
                inner.spawn(async move {
                    inner.cancelled().await;
                    if chance(50) {
                        pending::<()>().await;
                    }
                });
                time::sleep(TICK).await;
                inner.cancel(number * TICK);
            });
        }
    });
}

//! End a subtree of 100,000 parked tasks: from the request until the last of them has been dropped.

use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use futures_lite::future::{block_on, poll_once};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::task::JoinSet;

use super::{Entry, Sample, Work};
use crate::runtimes::{Kind, async_executor as on_smol, tokio as on_tokio};

pub(super) const ENTRIES: &[Entry] = &[Entry::usual(
    "cancel",
    "task",
    "end 100,000 parked tasks: abort a scope, shut a JoinSet down, drop each Task, drop a set",
    &[Kind::Treescope, Kind::Tokio, Kind::TokioCurrentThread, Kind::AsyncExecutor, Kind::FuturesUnordered],
    |size| Box::new(Cancel { tasks: size.pick(100_000, 10_000, 100) }),
)];

struct Cancel {
    tasks: u64,
}

/// How many tasks wait now: 0 before and after. A static, for an `Arc` in each task of the runtimes that cannot borrow
/// would be dropped while they are timed, and in the others' tasks there would be none.
static WAITING: AtomicU64 = AtomicU64::new(0);
/// Runs in one process, as in tests, take turns.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().expect("no run panics")
}

fn waiting() -> u64 {
    WAITING.load(Ordering::Relaxed)
}

/// Takes a task off the count when it is dropped.
struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn wait_for_ever() {
    WAITING.fetch_add(1, Ordering::Relaxed);
    let _leave = Leave;
    pending::<()>().await;
}

impl Cancel {
    fn sample(&self, start: Instant) -> Sample {
        let elapsed = start.elapsed();
        assert_eq!(waiting(), 0, "tasks are left");
        Sample { ops: self.tasks, ops_in_all: self.tasks, elapsed, metrics: Vec::new() }
    }
}

impl Work for Cancel {
    fn treescope(&self, runtime: &treescope::Runtime) -> Sample {
        let _turn = turn();
        let mut start = Instant::now();
        runtime.block_on(async |root| {
            root.scope(async |scope| {
                for _ in 0..self.tasks {
                    scope.spawn(wait_for_ever());
                }
                while waiting() < self.tasks {
                    treescope::yield_now().await;
                }
                start = Instant::now();
                scope.abort();
            });
        });
        self.sample(start)
    }

    fn tokio(&self, runtime: &tokio::runtime::Runtime) -> Sample {
        let (_turn, tasks) = (turn(), self.tasks);
        let start = on_tokio::on_worker(runtime, async move {
            let mut set = JoinSet::new();
            for _ in 0..tasks {
                set.spawn(wait_for_ever());
            }
            while waiting() < tasks {
                tokio::task::yield_now().await;
            }
            let start = Instant::now();
            set.shutdown().await;
            start
        });
        self.sample(start)
    }

    fn async_executor(&self, executor: on_smol::Static) -> Sample {
        let (_turn, tasks) = (turn(), self.tasks);
        let start = on_smol::on_worker(executor, async move {
            let handles: Vec<_> = (0..tasks).map(|_| executor.spawn(wait_for_ever())).collect();
            while waiting() < tasks {
                futures_lite::future::yield_now().await;
            }
            let start = Instant::now();
            // Which cancels. `Task::cancel` would wait for each before it asks the next, and the others ask all first.
            drop(handles);
            while waiting() > 0 {
                futures_lite::future::yield_now().await;
            }
            start
        });
        self.sample(start)
    }

    fn futures_unordered(&self) -> Sample {
        let _turn = turn();
        let mut futures: FuturesUnordered<_> = (0..self.tasks).map(|_| wait_for_ever()).collect();
        block_on(async {
            while waiting() < self.tasks {
                assert!(poll_once(futures.next()).await.is_none(), "a task ended that waits for ever");
            }
        });
        let start = Instant::now();
        drop(futures);
        self.sample(start)
    }
}

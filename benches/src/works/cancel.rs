//! End a subtree of 100,000 parked tasks: from the request until the last of them has been dropped.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
    "end 100,000 parked tasks: abort a scope, shut a JoinSet down, cancel each Task, drop a set",
    &[Kind::Treescope, Kind::Tokio, Kind::TokioCurrentThread, Kind::AsyncExecutor, Kind::FuturesUnordered],
    |size| Box::new(Cancel { tasks: size.pick(100_000, 10_000, 100) }),
)];

struct Cancel {
    tasks: u64,
}

/// How many tasks wait now: 0 before and after.
#[derive(Default)]
struct Waiting(AtomicU64);

impl Waiting {
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Takes a task off the count when it is dropped.
struct Leave<'a>(&'a Waiting);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn wait_for_ever(waiting: &Waiting) {
    waiting.0.fetch_add(1, Ordering::Relaxed);
    let _leave = Leave(waiting);
    pending::<()>().await;
}

impl Cancel {
    fn sample(&self, start: Instant, waiting: &Waiting) -> Sample {
        let elapsed = start.elapsed();
        assert_eq!(waiting.count(), 0, "tasks are left");
        Sample { ops: self.tasks, ops_in_all: self.tasks, elapsed, metrics: Vec::new() }
    }
}

impl Work for Cancel {
    fn treescope(&self, runtime: &treescope::Runtime) -> Sample {
        let waiting = Waiting::default();
        let mut start = Instant::now();
        runtime.block_on(async |root| {
            root.scope(async |scope| {
                for _ in 0..self.tasks {
                    scope.spawn(wait_for_ever(&waiting));
                }
                while waiting.count() < self.tasks {
                    treescope::yield_now().await;
                }
                start = Instant::now();
                scope.abort();
            });
        });
        self.sample(start, &waiting)
    }

    fn tokio(&self, runtime: &tokio::runtime::Runtime) -> Sample {
        let (tasks, waiting) = (self.tasks, Arc::new(Waiting::default()));
        let counted = waiting.clone();
        let start = on_tokio::on_worker(runtime, async move {
            let mut set = JoinSet::new();
            for _ in 0..tasks {
                let waiting = waiting.clone();
                set.spawn(async move { wait_for_ever(&waiting).await });
            }
            while waiting.count() < tasks {
                tokio::task::yield_now().await;
            }
            let start = Instant::now();
            set.shutdown().await;
            start
        });
        self.sample(start, &counted)
    }

    fn async_executor(&self, executor: on_smol::Static) -> Sample {
        let (tasks, waiting) = (self.tasks, Arc::new(Waiting::default()));
        let counted = waiting.clone();
        let start = on_smol::on_worker(executor, async move {
            let handles: Vec<_> = (0..tasks)
                .map(|_| {
                    let waiting = waiting.clone();
                    executor.spawn(async move { wait_for_ever(&waiting).await })
                })
                .collect();
            while waiting.count() < tasks {
                futures_lite::future::yield_now().await;
            }
            let start = Instant::now();
            for handle in handles {
                handle.cancel().await;
            }
            start
        });
        self.sample(start, &counted)
    }

    fn futures_unordered(&self) -> Sample {
        let waiting = Waiting::default();
        let mut futures: FuturesUnordered<_> = (0..self.tasks).map(|_| wait_for_ever(&waiting)).collect();
        block_on(async {
            while waiting.count() < self.tasks {
                assert!(poll_once(futures.next()).await.is_none(), "a task ended that waits for ever");
            }
        });
        let start = Instant::now();
        drop(futures);
        self.sample(start, &waiting)
    }
}

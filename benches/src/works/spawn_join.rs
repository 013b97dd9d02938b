//! Spawn many tasks that do nothing but return their number, then join them all from the task that spawned them.
//!
//! tokio's `spawn_many_local`, but spawned from a task, and each joined for its value: a counter that the last task
//! takes to zero would leave the join out.

use futures_lite::future::block_on;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::{Entry, Manner, Sample, Work};
use crate::runtimes::{Kind, async_executor as on_smol, async_task as bare, tokio as on_tokio};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::usual("spawn_join", "task", "spawn 100,000 tasks and join each for its value", KINDS, |size| {
        Box::new(SpawnJoin { tasks: size.pick(100_000, 10_000, 100) })
    }),
    Entry::usual("spawn_join/10k", "task", "10,000 tasks, as many as in tokio's own bench", KINDS, |size| {
        Box::new(SpawnJoin { tasks: size.pick(10_000, 10_000, 100) })
    }),
    on_workers("spawn_join/1w", 1, "spawn_join on 1 worker, however many processors there are"),
    on_workers("spawn_join/2w", 2, "spawn_join on 2 workers, however many processors there are"),
    on_workers("spawn_join/4w", 4, "spawn_join on 4 workers, however many processors there are"),
    on_workers("spawn_join/8w", 8, "spawn_join on 8 workers, however many processors there are"),
];

const KINDS: &[Kind] = &[
    Kind::Treescope,
    Kind::Tokio,
    Kind::TokioCurrentThread,
    Kind::AsyncExecutor,
    Kind::Rayon,
    Kind::FuturesUnordered,
    Kind::AsyncTask,
];

const fn on_workers(name: &'static str, workers: usize, about: &'static str) -> Entry {
    Entry {
        name,
        op: "task",
        about,
        runs_on: &[Kind::Treescope, Kind::Tokio, Kind::AsyncExecutor, Kind::Rayon],
        workers: Some(workers),
        manner: Manner::Repeated,
        make: |size| Box::new(SpawnJoin { tasks: size.pick(100_000, 10_000, 100) }),
    }
}

struct SpawnJoin {
    tasks: u64,
}

impl SpawnJoin {
    fn run(&self, body: impl FnOnce() -> u64) -> Sample {
        Sample::timed(self.tasks, (0..self.tasks).sum(), body)
    }
}

impl Work for SpawnJoin {
    fn treescope(&self, runtime: &treescope::Runtime) -> Sample {
        let tasks = self.tasks;
        self.run(|| {
            runtime.block_on(async |root| {
                root.scope(async move |scope| {
                    let handles: Vec<_> = (0..tasks).map(|n| scope.spawn(async move { n })).collect();
                    let mut sum = 0;
                    for handle in handles {
                        sum += handle.await;
                    }
                    sum
                })
                .await
            })
        })
    }

    fn tokio(&self, runtime: &tokio::runtime::Runtime) -> Sample {
        let tasks = self.tasks;
        self.run(|| {
            on_tokio::on_worker(runtime, async move {
                let handles: Vec<_> = (0..tasks).map(|n| tokio::spawn(async move { n })).collect();
                let mut sum = 0;
                for handle in handles {
                    sum += handle.await.expect("no task panics");
                }
                sum
            })
        })
    }

    fn async_executor(&self, executor: on_smol::Static) -> Sample {
        let tasks = self.tasks;
        self.run(|| {
            on_smol::on_worker(executor, async move {
                let handles: Vec<_> = (0..tasks).map(|n| executor.spawn(async move { n })).collect();
                let mut sum = 0;
                for handle in handles {
                    sum += handle.await;
                }
                sum
            })
        })
    }

    fn rayon(&self, pool: &rayon::ThreadPool) -> Sample {
        self.run(|| {
            let mut values = vec![0; self.tasks as usize];
            pool.scope(|scope| {
                for (n, value) in (0..).zip(&mut values) {
                    scope.spawn(move |_| *value = n);
                }
            });
            values.iter().sum()
        })
    }

    fn futures_unordered(&self) -> Sample {
        self.run(|| {
            block_on(async {
                let mut futures: FuturesUnordered<_> = (0..self.tasks).map(|n| async move { n }).collect();
                let mut sum = 0;
                while let Some(n) = futures.next().await {
                    sum += n;
                }
                sum
            })
        })
    }

    fn async_task(&self) -> Sample {
        let tasks = self.tasks;
        self.run(|| {
            bare::run(async move {
                let handles: Vec<_> = (0..tasks).map(|n| bare::spawn(async move { n })).collect();
                bare::sum(handles).await
            })
        })
    }
}

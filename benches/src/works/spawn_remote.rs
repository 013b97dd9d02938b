//! Spawn 10,000 tasks from a thread that is no worker on a runtime that is idle, then join them: tokio's
//! `spawn_many_remote_idle`.

use futures_lite::future::block_on;

use super::{Entry, Sample, Work};
use crate::runtimes::{Kind, async_executor as on_smol};

pub(super) const ENTRIES: &[Entry] = &[Entry::usual(
    "spawn_remote",
    "task",
    "10,000 tasks spawned from outside the runtime, and joined there (tokio's spawn_many_remote_idle)",
    &[Kind::Treescope, Kind::Tokio, Kind::TokioCurrentThread, Kind::AsyncExecutor, Kind::Rayon],
    |size| Box::new(SpawnRemote { tasks: size.pick(10_000, 2_000, 100) }),
)];

struct SpawnRemote {
    tasks: u64,
}

impl SpawnRemote {
    fn run(&self, body: impl FnOnce() -> u64) -> Sample {
        Sample::timed(self.tasks, (0..self.tasks).sum(), body)
    }
}

impl Work for SpawnRemote {
    fn treescope(&self, runtime: &treescope::Runtime) -> Sample {
        self.run(|| {
            // The root's body runs on the thread that calls.
            runtime.block_on(async |root| {
                let handles: Vec<_> = (0..self.tasks).map(|n| root.spawn(async move { n })).collect();
                let mut sum = 0;
                for handle in handles {
                    sum += handle.await;
                }
                sum
            })
        })
    }

    fn tokio(&self, runtime: &tokio::runtime::Runtime) -> Sample {
        self.run(|| {
            let handles: Vec<_> = (0..self.tasks).map(|n| runtime.spawn(async move { n })).collect();
            runtime.block_on(async {
                let mut sum = 0;
                for handle in handles {
                    sum += handle.await.expect("no task panics");
                }
                sum
            })
        })
    }

    fn async_executor(&self, executor: on_smol::Static) -> Sample {
        self.run(|| {
            let handles: Vec<_> = (0..self.tasks).map(|n| executor.spawn(async move { n })).collect();
            block_on(async {
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
            pool.in_place_scope(|scope| {
                for (n, value) in (0..).zip(&mut values) {
                    scope.spawn(move |_| *value = n);
                }
            });
            values.iter().sum()
        })
    }
}

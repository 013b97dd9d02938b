//! 200 tasks that yield 1,000 times each: tokio's `yield_many`.

use futures_lite::future::{block_on, yield_now};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::{Entry, Sample, Work};
use crate::runtimes::{Kind, async_executor as on_smol, async_task as bare, tokio as on_tokio};

pub(super) const ENTRIES: &[Entry] = &[Entry::usual(
    "yield",
    "yield",
    "200 tasks yield 1,000 times each (tokio's yield_many)",
    &[
        Kind::Treescope,
        Kind::Tokio,
        Kind::TokioCurrentThread,
        Kind::AsyncExecutor,
        Kind::FuturesUnordered,
        Kind::AsyncTask,
    ],
    |size| Box::new(Yield { tasks: size.pick(200, 200, 10), yields: size.pick(1_000, 50, 10) }),
)];

#[derive(Clone, Copy)]
struct Yield {
    tasks: u64,
    yields: u64,
}

impl Yield {
    fn run(&self, body: impl FnOnce() -> u64) -> Sample {
        Sample::timed(self.tasks * self.yields, self.tasks * self.yields, body)
    }
}

impl Work for Yield {
    fn treescope(&self, runtime: &treescope::Runtime) -> Sample {
        let Self { tasks, yields } = *self;
        let yielder = move || async move {
            for _ in 0..yields {
                treescope::yield_now().await;
            }
            yields
        };
        self.run(|| {
            runtime.block_on(async |root| {
                root.scope(async move |scope| {
                    let handles: Vec<_> = (0..tasks).map(|_| scope.spawn(yielder())).collect();
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
        let Self { tasks, yields } = *self;
        let yielder = move || async move {
            for _ in 0..yields {
                tokio::task::yield_now().await;
            }
            yields
        };
        self.run(|| {
            on_tokio::on_worker(runtime, async move {
                let handles: Vec<_> = (0..tasks).map(|_| tokio::spawn(yielder())).collect();
                let mut sum = 0;
                for handle in handles {
                    sum += handle.await.expect("no task panics");
                }
                sum
            })
        })
    }

    fn async_executor(&self, executor: on_smol::Static) -> Sample {
        let Self { tasks, yields } = *self;
        self.run(|| {
            on_smol::on_worker(executor, async move {
                let handles: Vec<_> = (0..tasks).map(|_| executor.spawn(futures_yielder(yields))).collect();
                let mut sum = 0;
                for handle in handles {
                    sum += handle.await;
                }
                sum
            })
        })
    }

    fn futures_unordered(&self) -> Sample {
        self.run(|| {
            block_on(async {
                let mut futures: FuturesUnordered<_> =
                    (0..self.tasks).map(|_| futures_yielder(self.yields)).collect();
                let mut sum = 0;
                while let Some(n) = futures.next().await {
                    sum += n;
                }
                sum
            })
        })
    }

    fn async_task(&self) -> Sample {
        let Self { tasks, yields } = *self;
        self.run(|| {
            bare::run(async move {
                let handles: Vec<_> = (0..tasks).map(|_| bare::spawn(futures_yielder(yields))).collect();
                bare::sum(handles).await
            })
        })
    }
}

async fn futures_yielder(yields: u64) -> u64 {
    for _ in 0..yields {
        yield_now().await;
    }
    yields
}

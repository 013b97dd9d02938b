//! Skynet (github.com/atemerev/skynet): a tree of tasks, ten children to each, 1,000,000 leaves that return their
//! number; the root gives the sum.

use std::future::Future;
use std::pin::Pin;

use async_executor::StaticExecutor;
use futures_lite::future::block_on;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use treescope::Scope;

use super::{Entry, Sample, Work};
use crate::runtimes::{Kind, async_executor as on_smol, tokio as on_tokio};

pub(super) const ENTRIES: &[Entry] = &[Entry::usual(
    "skynet",
    "task",
    "a tree of 1,111,111 tasks, ten children each; the sum of 1,000,000 leaves",
    &[
        Kind::Treescope,
        Kind::Tokio,
        Kind::TokioCurrentThread,
        Kind::AsyncExecutor,
        Kind::Rayon,
        Kind::Chili,
        Kind::FuturesUnordered,
        Kind::Serial,
    ],
    |size| Box::new(Skynet { leaves: size.pick(1_000_000, 1_000) }),
)];

/// Children of each task that is no leaf.
const FAN_OUT: u64 = 10;

struct Skynet {
    leaves: u64,
}

impl Skynet {
    fn run(&self, body: impl FnOnce() -> u64) -> Sample {
        let tasks = std::iter::successors(Some(self.leaves), |level| Some(level / FAN_OUT));
        Sample::timed(tasks.take_while(|&level| level > 0).sum(), (0..self.leaves).sum(), body)
    }
}

/// The first leaf's number and the count of leaves, of each child.
fn children(first: u64, leaves: u64) -> impl Iterator<Item = (u64, u64)> {
    let each = leaves / FAN_OUT;
    (0..FAN_OUT).map(move |n| (first + n * each, each))
}

impl Work for Skynet {
    fn treescope(&self, runtime: &treescope::Runtime) -> Sample {
        // As an `async fn` its future's being `Send` would depend on itself.
        #[expect(clippy::manual_async_fn)]
        fn skynet<'scope>(
            scope: &'scope Scope<'scope, '_>,
            first: u64,
            leaves: u64,
        ) -> impl Future<Output = u64> + Send {
            async move {
                if leaves == 1 {
                    return first;
                }
                let handles: Vec<_> = children(first, leaves)
                    .map(|(first, leaves)| scope.scope(async move |inner| skynet(inner, first, leaves).await))
                    .collect();
                let mut sum = 0;
                for handle in handles {
                    sum += handle.await;
                }
                sum
            }
        }
        let leaves = self.leaves;
        self.run(|| {
            runtime.block_on(async |root| root.scope(async move |scope| skynet(scope, 0, leaves).await).await)
        })
    }

    fn tokio(&self, runtime: &tokio::runtime::Runtime) -> Sample {
        fn skynet(first: u64, leaves: u64) -> tokio::task::JoinHandle<u64> {
            tokio::spawn(async move {
                if leaves == 1 {
                    return first;
                }
                let handles: Vec<_> =
                    children(first, leaves).map(|(first, leaves)| skynet(first, leaves)).collect();
                let mut sum = 0;
                for handle in handles {
                    sum += handle.await.expect("no task panics");
                }
                sum
            })
        }
        let leaves = self.leaves;
        self.run(|| {
            on_tokio::on_worker(runtime, async move { skynet(0, leaves).await.expect("no task panics") })
        })
    }

    fn async_executor(&self, executor: &'static StaticExecutor) -> Sample {
        fn skynet(executor: &'static StaticExecutor, first: u64, leaves: u64) -> on_smol::Handle<u64> {
            executor.spawn(async move {
                if leaves == 1 {
                    return first;
                }
                let handles: Vec<_> =
                    children(first, leaves).map(|(first, leaves)| skynet(executor, first, leaves)).collect();
                let mut sum = 0;
                for handle in handles {
                    sum += handle.await;
                }
                sum
            })
        }
        self.run(|| block_on(skynet(executor, 0, self.leaves)))
    }

    fn rayon(&self, pool: &rayon::ThreadPool) -> Sample {
        fn skynet(first: u64, leaves: u64) -> u64 {
            if leaves == 1 {
                return first;
            }
            let mut sums = [0; FAN_OUT as usize];
            rayon::scope(|scope| {
                for (sum, (first, leaves)) in sums.iter_mut().zip(children(first, leaves)) {
                    scope.spawn(move |_| *sum = skynet(first, leaves));
                }
            });
            sums.iter().sum()
        }
        self.run(|| pool.install(|| skynet(0, self.leaves)))
    }

    fn chili(&self, pool: &chili::ThreadPool) -> Sample {
        // It only has a join of two, so ten children are a small binary tree of joins.
        fn all(scope: &mut chili::Scope<'_>, children: &[(u64, u64)]) -> u64 {
            if let &[(first, leaves)] = children {
                return skynet(scope, first, leaves);
            }
            let (left, right) = children.split_at(children.len() / 2);
            let (left, right) = scope.join(|scope| all(scope, left), |scope| all(scope, right));
            left + right
        }
        fn skynet(scope: &mut chili::Scope<'_>, first: u64, leaves: u64) -> u64 {
            if leaves == 1 {
                return first;
            }
            let mut parts = [(0, 0); FAN_OUT as usize];
            for (part, child) in parts.iter_mut().zip(children(first, leaves)) {
                *part = child;
            }
            all(scope, &parts)
        }
        self.run(|| skynet(&mut pool.scope(), 0, self.leaves))
    }

    fn futures_unordered(&self) -> Sample {
        fn skynet(first: u64, leaves: u64) -> Pin<Box<dyn Future<Output = u64>>> {
            Box::pin(async move {
                if leaves == 1 {
                    return first;
                }
                let mut futures: FuturesUnordered<_> =
                    children(first, leaves).map(|(first, leaves)| skynet(first, leaves)).collect();
                let mut sum = 0;
                while let Some(part) = futures.next().await {
                    sum += part;
                }
                sum
            })
        }
        self.run(|| block_on(skynet(0, self.leaves)))
    }

    fn serial(&self) -> Sample {
        fn skynet(first: u64, leaves: u64) -> u64 {
            if leaves == 1 {
                return std::hint::black_box(first);
            }
            children(first, leaves).map(|(first, leaves)| skynet(first, leaves)).sum()
        }
        self.run(|| skynet(0, self.leaves))
    }
}

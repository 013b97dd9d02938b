//! Skynet (github.com/atemerev/skynet): a tree of tasks, ten children to each, 1,000,000 leaves that return their
//! number; the root gives the sum.
//!
//! On rayon a `scope` with ten `spawn`s and not nested `join`s or a parallel iterator: those make no task where nobody
//! steals, and here every node, a leaf too, is to be a task beside nine others. It costs rayon an allocation per task. On treescope, as on
//! rayon, a task is a scope if it has children, and a leaf a plain child of its parent's.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use futures_lite::future::block_on;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use treescope::{JoinHandle, Scope};

use super::{Entry, Sample, Size, Work};
use crate::runtimes::{Kind, async_executor as on_smol, tokio as on_tokio};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::usual(
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
        |size| Box::new(Skynet::<Uncounted> { leaves: leaves(size), count: PhantomData }),
    ),
    Entry::usual(
        "skynet/live",
        "task",
        "the same with a count of the tasks that are alive, from the spawn to the end of the task",
        &[Kind::Treescope, Kind::Tokio, Kind::TokioCurrentThread, Kind::AsyncExecutor, Kind::Rayon],
        |size| Box::new(Skynet::<Live> { leaves: leaves(size), count: PhantomData }),
    ),
];

fn leaves(size: Size) -> u64 {
    size.pick(1_000_000, 10_000, 1_000)
}

/// Children of each task that is no leaf.
const FAN_OUT: u64 = 10;

struct Skynet<C> {
    leaves: u64,
    count: PhantomData<C>,
}

impl<C: Count> Skynet<C> {
    fn run(&self, body: impl FnOnce() -> u64) -> Sample {
        let tasks = std::iter::successors(Some(self.leaves), |level| Some(level / FAN_OUT));
        let (peak, mut sample) = C::peak(|| {
            Sample::timed(tasks.take_while(|&level| level > 0).sum(), (0..self.leaves).sum(), body)
        });
        sample.metrics.extend(peak.map(|peak| ("peak_live_tasks", peak as f64)));
        sample
    }
}

/// What is made when a task is spawned and dropped when it ends.
trait Count: Send + Sync + Sized + 'static {
    fn spawned() -> Self;

    /// Runs `run` and says how many were alive at most.
    fn peak<T>(run: impl FnOnce() -> T) -> (Option<u64>, T);
}

/// No count, no cost.
struct Uncounted;

impl Count for Uncounted {
    fn spawned() -> Self {
        Self
    }

    fn peak<T>(run: impl FnOnce() -> T) -> (Option<u64>, T) {
        (None, run())
    }
}

/// One task on the count. Of no size, so that the tasks are as large as without.
struct Live;

static LIVE: AtomicU64 = AtomicU64::new(0);
static PEAK: AtomicU64 = AtomicU64::new(0);
/// Runs in one process, as in tests, take turns.
static TURN: Mutex<()> = Mutex::new(());

impl Count for Live {
    fn spawned() -> Self {
        let live = LIVE.fetch_add(1, Ordering::Relaxed) + 1;
        if live > PEAK.load(Ordering::Relaxed) {
            PEAK.fetch_max(live, Ordering::Relaxed);
        }
        Self
    }

    fn peak<T>(run: impl FnOnce() -> T) -> (Option<u64>, T) {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        LIVE.store(0, Ordering::Relaxed);
        PEAK.store(0, Ordering::Relaxed);
        let done = run();
        (Some(PEAK.load(Ordering::Relaxed)), done)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The first leaf's number and the count of leaves, of each child.
fn children(first: u64, leaves: u64) -> impl Iterator<Item = (u64, u64)> {
    let each = leaves / FAN_OUT;
    (0..FAN_OUT).map(move |n| (first + n * each, each))
}

impl<C: Count> Work for Skynet<C> {
    fn treescope(&self, runtime: &treescope::Runtime) -> Sample {
        fn skynet<'scope, C: Count>(
            scope: &'scope Scope<'scope, '_>,
            first: u64,
            leaves: u64,
        ) -> JoinHandle<'scope, u64> {
            let live = C::spawned();
            if leaves == 1 {
                return scope.spawn(async move {
                    let _live = live;
                    first
                });
            }
            scope.scope(async move |inner| {
                let _live = live;
                let handles: Vec<_> = children(first, leaves)
                    .map(|(first, leaves)| skynet::<C>(inner, first, leaves))
                    .collect();
                let mut sum = 0;
                for handle in handles {
                    sum += handle.await;
                }
                sum
            })
        }
        let leaves = self.leaves;
        self.run(|| runtime.block_on(async |root| skynet::<C>(root, 0, leaves).await))
    }

    fn tokio(&self, runtime: &tokio::runtime::Runtime) -> Sample {
        fn skynet<C: Count>(first: u64, leaves: u64) -> tokio::task::JoinHandle<u64> {
            let live = C::spawned();
            tokio::spawn(async move {
                let _live = live;
                if leaves == 1 {
                    return first;
                }
                let handles: Vec<_> =
                    children(first, leaves).map(|(first, leaves)| skynet::<C>(first, leaves)).collect();
                let mut sum = 0;
                for handle in handles {
                    sum += handle.await.expect("no task panics");
                }
                sum
            })
        }
        let leaves = self.leaves;
        self.run(|| {
            on_tokio::on_worker(runtime, async move { skynet::<C>(0, leaves).await.expect("no task panics") })
        })
    }

    fn async_executor(&self, executor: on_smol::Static) -> Sample {
        fn skynet<C: Count>(executor: on_smol::Static, first: u64, leaves: u64) -> on_smol::Handle<u64> {
            let live = C::spawned();
            executor.spawn(async move {
                let _live = live;
                if leaves == 1 {
                    return first;
                }
                let handles: Vec<_> = children(first, leaves)
                    .map(|(first, leaves)| skynet::<C>(executor, first, leaves))
                    .collect();
                let mut sum = 0;
                for handle in handles {
                    sum += handle.await;
                }
                sum
            })
        }
        self.run(|| block_on(skynet::<C>(executor, 0, self.leaves)))
    }

    fn rayon(&self, pool: &rayon::ThreadPool) -> Sample {
        fn skynet<C: Count>(first: u64, leaves: u64) -> u64 {
            if leaves == 1 {
                return first;
            }
            let mut sums = [0; FAN_OUT as usize];
            rayon::scope(|scope| {
                for (sum, (first, leaves)) in sums.iter_mut().zip(children(first, leaves)) {
                    let live = C::spawned();
                    scope.spawn(move |_| {
                        *sum = skynet::<C>(first, leaves);
                        drop(live);
                    });
                }
            });
            sums.iter().sum()
        }
        self.run(|| pool.install(|| skynet::<C>(0, self.leaves)))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The scheduler (`runtime/src/sched/README.md`, and `worker.rs` there) picks the newest first, so that live tasks are
    /// bounded by the tree's depth and not by its size.
    ///
    /// The lowest of a few runs counts. Fairness has its price in any single one: a child that was the oldest for
    /// 100 ms is begun out of its turn, which is a further path through the tree, and on a busy machine happens.
    #[test]
    fn treescope_keeps_few_of_skynets_tasks_alive() {
        let (levels, leaves) = (3, 10_u64.pow(3));
        for workers in [1, 2] {
            let runtime =
                treescope::Runtime::builder().worker_threads(workers).build().expect("threads can be had");
            let peaks = (0..10).map(|_| {
                let sample = Skynet::<Live> { leaves, count: PhantomData }.treescope(&runtime);
                sample.metrics.first().map_or(u64::MAX, |&(_, peak)| peak as u64)
            });
            // Below the task at the top, which is counted, too.
            let bound = 1 + workers as u64 * levels * FAN_OUT;
            let peak = peaks.min().unwrap_or(u64::MAX);
            assert!(peak <= bound, "{peak} tasks were alive on {workers} workers, and {bound} may be");
        }
    }
}

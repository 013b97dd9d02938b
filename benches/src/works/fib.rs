//! fib(27) the slow way, a task per call: nothing but spawning and joining, two children at a time.

use std::future::Future;
use std::pin::Pin;

use futures_lite::future::{block_on, zip};
use treescope::{JoinHandle, Scope};

use super::{Entry, Sample, Work};
use crate::runtimes::{Kind, async_executor as on_smol, tokio as on_tokio};

pub(super) const ENTRIES: &[Entry] = &[Entry::usual(
    "fib",
    "call",
    "fib(27), both recursive calls as tasks (Cilk's classic)",
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
    |size| Box::new(Fib { n: size.pick(27, 18, 10) }),
)];

struct Fib {
    n: u32,
}

impl Fib {
    fn run(&self, body: impl FnOnce() -> u64) -> Sample {
        // As many calls return 1 as the answer says, `fib(n - 1)` return 0, and a binary tree has one inner node less
        // than leaves.
        let calls = 2 * closed_form(self.n + 1) - 1;
        Sample::timed(calls, closed_form(self.n), body)
    }
}

/// Without recursion, so that the check is independent of what is checked.
fn closed_form(n: u32) -> u64 {
    (0..n).fold((0, 1), |(a, b), _| (b, a + b)).0
}

impl Work for Fib {
    fn treescope(&self, runtime: &treescope::Runtime) -> Sample {
        // A scope for calls that call none, too: a plain child would do, but a scope that awaits one is put on a list, where one that
        // awaits a scope is not, and so this is 0.95 and 0.9 of the time.
        fn fib<'scope>(scope: &'scope Scope<'scope, '_>, n: u32) -> JoinHandle<'scope, u64> {
            scope.scope(async move |inner| {
                if n < 2 {
                    return n.into();
                }
                let (left, right) = (fib(inner, n - 1), fib(inner, n - 2));
                left.await + right.await
            })
        }
        let n = self.n;
        self.run(|| runtime.block_on(async |root| fib(root, n).await))
    }

    fn tokio(&self, runtime: &tokio::runtime::Runtime) -> Sample {
        // A recursive future must be boxed somewhere, and tokio boxes tasks anyway: so the spawn is in here.
        fn fib(n: u32) -> tokio::task::JoinHandle<u64> {
            tokio::spawn(async move {
                if n < 2 {
                    return n.into();
                }
                let (left, right) = (fib(n - 1), fib(n - 2));
                left.await.expect("no task panics") + right.await.expect("no task panics")
            })
        }
        let n = self.n;
        self.run(|| on_tokio::on_worker(runtime, async move { fib(n).await.expect("no task panics") }))
    }

    fn async_executor(&self, executor: on_smol::Static) -> Sample {
        fn fib(executor: on_smol::Static, n: u32) -> on_smol::Handle<u64> {
            executor.spawn(async move {
                if n < 2 {
                    return n.into();
                }
                let (left, right) = (fib(executor, n - 1), fib(executor, n - 2));
                left.await + right.await
            })
        }
        let n = self.n;
        self.run(|| block_on(fib(executor, n)))
    }

    fn rayon(&self, pool: &rayon::ThreadPool) -> Sample {
        fn fib(n: u32) -> u64 {
            if n < 2 {
                return n.into();
            }
            let (left, right) = rayon::join(|| fib(n - 1), || fib(n - 2));
            left + right
        }
        self.run(|| pool.install(|| fib(self.n)))
    }

    fn chili(&self, pool: &chili::ThreadPool) -> Sample {
        fn fib(scope: &mut chili::Scope<'_>, n: u32) -> u64 {
            if n < 2 {
                return n.into();
            }
            let (left, right) = scope.join(|scope| fib(scope, n - 1), |scope| fib(scope, n - 2));
            left + right
        }
        self.run(|| fib(&mut pool.scope(), self.n))
    }

    fn futures_unordered(&self) -> Sample {
        // Two children need no set: a boxed future each, polled side by side.
        fn fib(n: u32) -> Pin<Box<dyn Future<Output = u64>>> {
            Box::pin(async move {
                if n < 2 {
                    return n.into();
                }
                let (left, right) = zip(fib(n - 1), fib(n - 2)).await;
                left + right
            })
        }
        self.run(|| block_on(fib(self.n)))
    }

    fn serial(&self) -> Sample {
        fn fib(n: u32) -> u64 {
            if n < 2 { n.into() } else { fib(n - 1) + fib(n - 2) }
        }
        self.run(|| fib(std::hint::black_box(self.n)))
    }
}

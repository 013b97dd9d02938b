//! A chain of 1,000 tasks, each spawned by the one before it and ending at once: tokio's `chained_spawn`.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_lite::future::block_on;
use tokio::sync::oneshot::{self, Sender};
use treescope::Scope;

use super::{Entry, Sample, Work};
use crate::runtimes::{Kind, async_executor as on_smol, async_task as bare};

const KINDS: &[Kind] = &[
    Kind::Treescope,
    Kind::Tokio,
    Kind::TokioCurrentThread,
    Kind::AsyncExecutor,
    Kind::Rayon,
    Kind::AsyncTask,
];

pub(super) const ENTRIES: &[Entry] = &[
    Entry::usual(
        "chained_spawn",
        "spawn",
        "a chain of 1,000 tasks, each spawned by the one before (tokio's chained_spawn)",
        KINDS,
        |size| Box::new(ChainedSpawn { links: size.pick(1_000, 1_000, 10) }),
    ),
    Entry::usual(
        "chained_spawn/100k",
        "spawn",
        "100,000 links: entering and leaving the runtime no longer counts",
        KINDS,
        |size| Box::new(ChainedSpawn { links: size.pick(100_000, 10_000, 10) }),
    ),
];

struct ChainedSpawn {
    links: u64,
}

impl ChainedSpawn {
    fn run(&self, body: impl FnOnce() -> bool) -> Sample {
        Sample::timed(self.links, true, body)
    }
}

impl Work for ChainedSpawn {
    fn treescope(&self, runtime: &treescope::Runtime) -> Sample {
        fn link<'scope>(scope: &'scope Scope<'scope, '_>, left: u64, ended: &'scope AtomicBool) {
            scope.spawn(async move {
                if left > 1 {
                    link(scope, left - 1, ended);
                } else {
                    ended.store(true, Ordering::Relaxed);
                }
            });
        }
        let ended = AtomicBool::new(false);
        self.run(|| {
            runtime.block_on(async |root| link(root, self.links, &ended));
            ended.load(Ordering::Relaxed)
        })
    }

    fn tokio(&self, runtime: &tokio::runtime::Runtime) -> Sample {
        fn link(left: u64, ended: Sender<bool>) {
            tokio::spawn(async move {
                if left > 1 {
                    link(left - 1, ended);
                } else {
                    ended.send(true).expect("the end is awaited");
                }
            });
        }
        self.run(|| {
            runtime.block_on(async {
                let (ended, end) = oneshot::channel();
                link(self.links, ended);
                end.await.expect("the chain ends")
            })
        })
    }

    fn async_executor(&self, executor: on_smol::Static) -> Sample {
        fn link(executor: on_smol::Static, left: u64, ended: Sender<bool>) {
            let next = async move {
                if left > 1 {
                    link(executor, left - 1, ended);
                } else {
                    ended.send(true).expect("the end is awaited");
                }
            };
            executor.spawn(next).detach();
        }
        self.run(|| {
            let (ended, end) = oneshot::channel();
            link(executor, self.links, ended);
            block_on(end).expect("the chain ends")
        })
    }

    fn rayon(&self, pool: &rayon::ThreadPool) -> Sample {
        fn link<'scope>(scope: &rayon::Scope<'scope>, left: u64, ended: &'scope AtomicBool) {
            scope.spawn(move |scope| {
                if left > 1 {
                    link(scope, left - 1, ended);
                } else {
                    ended.store(true, Ordering::Relaxed);
                }
            });
        }
        let ended = AtomicBool::new(false);
        self.run(|| {
            pool.in_place_scope(|scope| link(scope, self.links, &ended));
            ended.load(Ordering::Relaxed)
        })
    }

    fn async_task(&self) -> Sample {
        fn link(left: u64, ended: Sender<bool>) {
            let next = async move {
                if left > 1 {
                    link(left - 1, ended);
                } else {
                    ended.send(true).expect("the end is awaited");
                }
            };
            bare::spawn(next).detach();
        }
        let links = self.links;
        self.run(|| {
            bare::run(async move {
                let (ended, end) = oneshot::channel();
                link(links, ended);
                end.await.expect("the chain ends")
            })
        })
    }
}

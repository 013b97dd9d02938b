//! 1,000 tasks each spawn a partner and exchange one message with it in either direction: tokio's `ping_pong`.
//!
//! By the runtime's own oneshot channel, and by tokio's where there is none. `/same`: all use tokio's, which works on any runtime, so that
//! what differs is the scheduling.

use std::fmt::Debug;
use std::future::Future;

use futures_lite::future::block_on;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::oneshot;

use super::{Entry, Sample, Work};
use crate::runtimes::{Kind, async_executor as on_smol, async_task as bare, tokio as on_tokio};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::usual(
        "ping_pong",
        "pair",
        "1,000 tasks spawn a partner each and exchange a message both ways (tokio's ping_pong)",
        KINDS,
        |size| Box::new(PingPong { pairs: size.pick(1_000, 1_000, 10), channel: Channel::Own }),
    ),
    Entry::usual("ping_pong/same", "pair", "the same by tokio's channel on all", KINDS, |size| {
        Box::new(PingPong { pairs: size.pick(1_000, 1_000, 10), channel: Channel::Tokios })
    }),
];

const KINDS: &[Kind] = &[
    Kind::Treescope,
    Kind::Tokio,
    Kind::TokioCurrentThread,
    Kind::AsyncExecutor,
    Kind::FuturesUnordered,
    Kind::AsyncTask,
];

struct PingPong {
    pairs: u64,
    channel: Channel,
}

/// What treescope's tasks exchange messages by. All others do by tokio's.
#[derive(Clone, Copy)]
enum Channel {
    Own,
    Tokios,
}

impl PingPong {
    fn run(&self, body: impl FnOnce() -> u64) -> Sample {
        Sample::timed(self.pairs, (1..=self.pairs).sum(), body)
    }
}

/// The partner: sends back one more than it got.
async fn pong<E: Debug>(
    ping: impl Future<Output = Result<u64, E>>,
    pong: impl FnOnce(u64) -> Result<(), u64>,
) {
    let n = ping.await.expect("the ping comes");
    pong(n + 1).expect("the pong is awaited");
}

/// The first task's part.
async fn ping<E: Debug>(
    n: u64,
    ping: impl FnOnce(u64) -> Result<(), u64>,
    pong: impl Future<Output = Result<u64, E>>,
) -> u64 {
    ping(n).expect("the ping is awaited");
    pong.await.expect("the pong comes")
}

impl Work for PingPong {
    fn treescope(&self, runtime: &treescope::Runtime) -> Sample {
        let (pairs, channel) = (self.pairs, self.channel);
        self.run(|| {
            runtime.block_on(async |root| {
                root.scope(async move |scope| {
                    let by_own = |n| async move {
                        let (to, from_first) = treescope::oneshot::channel();
                        let (back, from_second) = treescope::oneshot::channel();
                        scope.spawn(pong(from_first, |n| back.send(n)));
                        ping(n, |n| to.send(n), from_second).await
                    };
                    let by_tokios = |n| async move {
                        let (to, from_first) = oneshot::channel();
                        let (back, from_second) = oneshot::channel();
                        scope.spawn(pong(from_first, |n| back.send(n)));
                        ping(n, |n| to.send(n), from_second).await
                    };
                    let handles: Vec<_> = match channel {
                        Channel::Own => (0..pairs).map(|n| scope.spawn(by_own(n))).collect(),
                        Channel::Tokios => (0..pairs).map(|n| scope.spawn(by_tokios(n))).collect(),
                    };
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
        let pairs = self.pairs;
        let pair = |n| async move {
            let (to, from_first) = oneshot::channel();
            let (back, from_second) = oneshot::channel();
            tokio::spawn(pong(from_first, |n| back.send(n)));
            ping(n, |n| to.send(n), from_second).await
        };
        self.run(|| {
            on_tokio::on_worker(runtime, async move {
                let handles: Vec<_> = (0..pairs).map(|n| tokio::spawn(pair(n))).collect();
                let mut sum = 0;
                for handle in handles {
                    sum += handle.await.expect("no task panics");
                }
                sum
            })
        })
    }

    fn async_executor(&self, executor: on_smol::Static) -> Sample {
        let pairs = self.pairs;
        let pair = move |n| async move {
            let (to, from_first) = oneshot::channel();
            let (back, from_second) = oneshot::channel();
            executor.spawn(pong(from_first, |n| back.send(n))).detach();
            ping(n, |n| to.send(n), from_second).await
        };
        self.run(|| {
            on_smol::on_worker(executor, async move {
                let handles: Vec<_> = (0..pairs).map(|n| executor.spawn(pair(n))).collect();
                let mut sum = 0;
                for handle in handles {
                    sum += handle.await;
                }
                sum
            })
        })
    }

    fn futures_unordered(&self) -> Sample {
        let pair = |n| async move {
            let (to, from_first) = oneshot::channel();
            let (back, from_second) = oneshot::channel();
            let ((), sum) = futures_lite::future::zip(
                pong(from_first, |n| back.send(n)),
                ping(n, |n| to.send(n), from_second),
            )
            .await;
            sum
        };
        self.run(|| {
            block_on(async {
                let mut futures: FuturesUnordered<_> = (0..self.pairs).map(pair).collect();
                let mut sum = 0;
                while let Some(n) = futures.next().await {
                    sum += n;
                }
                sum
            })
        })
    }

    fn async_task(&self) -> Sample {
        let pairs = self.pairs;
        let pair = |n| async move {
            let (to, from_first) = oneshot::channel();
            let (back, from_second) = oneshot::channel();
            bare::spawn(pong(from_first, |n| back.send(n))).detach();
            ping(n, |n| to.send(n), from_second).await
        };
        self.run(|| {
            bare::run(async move {
                let handles: Vec<_> = (0..pairs).map(|n| bare::spawn(pair(n))).collect();
                bare::sum(handles).await
            })
        })
    }
}

//! 1,000,000 tasks that wait for something that never comes: what each costs in memory, and whether they cost any time.

use std::future::pending;
use std::hint::black_box;
use std::mem::ManuallyDrop;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::future::{block_on, poll_once};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::oneshot;

use super::{Entry, Manner, Sample, Work};
use crate::process;
use crate::runtimes::{Kind, async_executor as on_smol, tokio as on_tokio};

pub(super) const ENTRIES: &[Entry] = &[
    entry::<0>(
        "parked_memory",
        "1,000,000 tasks that wait for ever: time to spawn and park them, memory of each",
    ),
    entry::<128>("parked_memory/128B", "the same with 128 bytes of state across the await"),
];

const fn entry<const STATE: usize>(name: &'static str, about: &'static str) -> Entry {
    Entry {
        name,
        op: "task",
        about,
        runs_on: &[
            Kind::Treescope,
            Kind::Tokio,
            Kind::TokioCurrentThread,
            Kind::AsyncExecutor,
            Kind::FuturesUnordered,
        ],
        workers: None,
        manner: Manner::Once,
        make: |size| {
            let idle = Duration::from_millis(size.pick(100, 10, 1));
            Box::new(Parked::<STATE> { tasks: size.pick(1_000_000, 10_000, 100), idle })
        },
    }
}

/// `STATE` bytes are alive across the wait.
struct Parked<const STATE: usize> {
    tasks: u64,
    /// How long to watch the runtime do nothing.
    idle: Duration,
}

/// How many tasks have begun to wait. A static, so that it takes no room in the tasks.
static WAITING: AtomicU64 = AtomicU64::new(0);
/// Runs in one process, as in tests, take turns.
static TURN: Mutex<()> = Mutex::new(());

async fn wait_for_ever<const STATE: usize>() {
    let state = black_box([1_u8; STATE]);
    WAITING.fetch_add(1, Ordering::Relaxed);
    pending::<()>().await;
    black_box(&state);
}

impl<const STATE: usize> Parked<STATE> {
    fn all_wait(&self) -> bool {
        WAITING.load(Ordering::Relaxed) == self.tasks
    }

    /// `park` spawns the tasks and, once all of them wait, calls what it is given, on a thread that is no worker; then
    /// it may drop them.
    fn run(&self, park: impl FnOnce(&mut dyn FnMut())) -> Sample {
        let _turn = TURN.lock().expect("no run panics");
        WAITING.store(0, Ordering::Relaxed);
        let mut sample = None;
        let (start, before) = (Instant::now(), process::resident_bytes());
        park(&mut || {
            let elapsed = start.elapsed();
            let mut metrics = Vec::new();
            if let Some((before, after)) = before.zip(process::resident_bytes()) {
                let each = after.saturating_sub(before) as f64 / self.tasks as f64;
                metrics.push(("resident_bytes_per_task", each));
            }
            metrics.push(("idle_cpu_µs_per_s", self.idle().as_nanos() as f64 / 1e3));
            sample = Some(Sample { ops: self.tasks, ops_in_all: self.tasks, elapsed, metrics });
        });
        sample.expect("the tasks were looked at while they waited")
    }

    /// Processor time per second while nothing can run.
    fn idle(&self) -> Duration {
        // The workers search for a moment before they park; that still belongs to the spawning.
        thread::sleep(self.idle / 5);
        let (start, before) = (Instant::now(), process::cpu_time());
        thread::sleep(self.idle);
        (process::cpu_time() - before).div_f64(start.elapsed().as_secs_f64())
    }
}

impl<const STATE: usize> Work for Parked<STATE> {
    fn treescope(&self, runtime: &treescope::Runtime) -> Sample {
        let (looked, until_looked) = oneshot::channel::<()>();
        let (waiting, until_waiting) = oneshot::channel::<()>();
        self.run(|look| {
            runtime.block_on(async |root| {
                root.scope(async move |scope| {
                    for _ in 0..self.tasks {
                        scope.spawn(wait_for_ever::<STATE>());
                    }
                    while !self.all_wait() {
                        treescope::yield_now().await;
                    }
                    waiting.send(()).expect("the root waits");
                    until_looked.await.expect("the root tells");
                    scope.abort();
                });
                until_waiting.await.expect("the scope tells");
                look();
                looked.send(()).expect("the scope waits");
            });
        })
    }

    fn tokio(&self, runtime: &tokio::runtime::Runtime) -> Sample {
        let tasks = self.tasks;
        self.run(|look| {
            on_tokio::on_worker(runtime, async move {
                for _ in 0..tasks {
                    tokio::spawn(wait_for_ever::<STATE>());
                }
                while WAITING.load(Ordering::Relaxed) < tasks {
                    tokio::task::yield_now().await;
                }
            });
            look();
        })
    }

    fn async_executor(&self, executor: on_smol::Static) -> Sample {
        let tasks = self.tasks;
        self.run(|look| {
            on_smol::on_worker(executor, async move {
                for _ in 0..tasks {
                    // Detached, and without a waker anywhere, they would be freed: nobody could run them again. Kept,
                    // each handle would be 8 bytes that no other runtime's tasks have here. The process ends after
                    // this run, and with it the tasks.
                    let _forgotten = ManuallyDrop::new(executor.spawn(wait_for_ever::<STATE>()));
                }
                while WAITING.load(Ordering::Relaxed) < tasks {
                    futures_lite::future::yield_now().await;
                }
            });
            look();
        })
    }

    fn futures_unordered(&self) -> Sample {
        self.run(|look| {
            block_on(async {
                let mut futures: FuturesUnordered<_> =
                    (0..self.tasks).map(|_| wait_for_ever::<STATE>()).collect();
                while !self.all_wait() {
                    let ended = poll_once(futures.next()).await;
                    assert!(ended.is_none(), "a task ended that waits for ever");
                }
                look();
            });
        })
    }
}

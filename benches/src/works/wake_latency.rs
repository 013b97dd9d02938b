//! How long after a foreign thread's wake a task runs on a runtime that has been idle for a while.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use super::bell::Bell;
use super::{Entry, Manner, Sample, Size, Work};
use crate::runtimes::{Kind, async_executor as on_smol, tokio as on_tokio};

const KINDS: &[Kind] =
    &[Kind::Treescope, Kind::Tokio, Kind::TokioCurrentThread, Kind::AsyncExecutor, Kind::Serial];

pub(super) const ENTRIES: &[Entry] = &[
    entry(
        "wake_latency",
        "from a foreign thread's wake, after 200 µs of idleness, until the task runs; serial: a thread unparked",
        |size| Box::new(WakeLatency { idle: Duration::from_micros(200), wakes: size.pick(200, 100, 3) }),
    ),
    entry("wake_latency/2ms", "the same after 2 ms of idleness", |size| {
        Box::new(WakeLatency { idle: Duration::from_millis(2), wakes: size.pick(50, 20, 3) })
    }),
];

const fn entry(name: &'static str, about: &'static str, make: fn(Size) -> Box<dyn Work>) -> Entry {
    Entry { name, op: "wake", about, runs_on: KINDS, workers: None, manner: Manner::Waiting, make }
}

struct WakeLatency {
    idle: Duration,
    wakes: u64,
}

impl WakeLatency {
    /// `wait` waits for the bell that a thread rings meanwhile.
    fn run(&self, wait: impl FnOnce(Arc<Bell>, u64, mpsc::Sender<()>) -> Vec<Duration>) -> Sample {
        let bell = Arc::new(Bell::new());
        let (waiting, is_waiting) = mpsc::channel();
        let mut latencies = thread::scope(|scope| {
            let ringer = bell.clone();
            scope.spawn(move || ringer.ring(self.idle, is_waiting));
            wait(bell.clone(), self.wakes, waiting)
        });
        assert_eq!(latencies.len() as u64, self.wakes);
        latencies.sort();
        let share = |q: f64| latencies[(q * (latencies.len() - 1) as f64) as usize];
        let p90 = share(0.9).as_nanos() as f64 / 1e3;
        Sample { ops: 1, ops_in_all: 1, elapsed: share(0.5), metrics: vec![("p90_µs", p90)] }
    }
}

impl Work for WakeLatency {
    fn treescope(&self, runtime: &treescope::Runtime) -> Sample {
        self.run(|bell, wakes, waiting| {
            runtime.block_on(async |root| root.spawn(bell.wait(wakes, waiting)).await)
        })
    }

    fn tokio(&self, runtime: &tokio::runtime::Runtime) -> Sample {
        self.run(|bell, wakes, waiting| {
            on_tokio::on_worker(runtime, async move { bell.wait(wakes, waiting).await })
        })
    }

    fn async_executor(&self, executor: on_smol::Static) -> Sample {
        self.run(|bell, wakes, waiting| {
            on_smol::on_worker(executor, async move { bell.wait(wakes, waiting).await })
        })
    }

    fn serial(&self) -> Sample {
        self.run(|bell, wakes, waiting| bell.wait_in_thread(wakes, waiting))
    }
}

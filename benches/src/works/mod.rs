//! The works: one file each, and in it the same work once per kind of runtime.

use std::time::{Duration, Instant};

use crate::runtimes::{Kind, Peer, Workers, async_executor as on_smol};

mod bell;
pub mod broadcast;
pub mod cancel;
pub mod chained_spawn;
pub mod echo;
pub mod fib;
pub mod nqueens;
mod outbox;
pub mod parked;
pub mod ping_pong;
pub(crate) mod served;
pub mod skynet;
pub mod spawn_join;
pub mod spawn_remote;
pub mod wake_latency;
pub mod yielding;

/// A work that every kind in [`Entry::runs_on`] knows how to do.
///
/// Each method is one run: the same tasks, waits and answer, written as that runtime's own users would.
pub trait Work {
    /// One run on treescope.
    fn treescope(&self, _: &treescope::Runtime) -> Sample {
        not_written()
    }
    /// One run on tokio, of either flavour.
    fn tokio(&self, _: &tokio::runtime::Runtime) -> Sample {
        not_written()
    }
    /// One run on async-executor.
    fn async_executor(&self, _: on_smol::Static) -> Sample {
        not_written()
    }
    /// One run on rayon.
    fn rayon(&self, _: &rayon::ThreadPool) -> Sample {
        not_written()
    }
    /// One run on chili.
    fn chili(&self, _: &chili::ThreadPool) -> Sample {
        not_written()
    }
    /// One run in one task.
    fn futures_unordered(&self) -> Sample {
        not_written()
    }
    /// One run in tasks of async-task without a scheduler.
    fn async_task(&self) -> Sample {
        not_written()
    }
    /// One run in a loop over epoll.
    fn epoll(&self) -> Sample {
        not_written()
    }
    /// One run without a runtime.
    fn serial(&self) -> Sample {
        not_written()
    }
}

fn not_written() -> ! {
    unreachable!("this work is not written for this kind of runtime; `Entry::runs_on` says for which it is")
}

/// The metric of works with sockets that is to be looked at: their time is that of the slower end.
pub const SERVER_CPU: &str = "server_cpu_ns";

/// What one run gave.
#[derive(Debug)]
pub struct Sample {
    /// Operations done; the time is divided by them.
    pub ops: u64,
    /// The same with what was not timed, such as a warm-up.
    pub ops_in_all: u64,
    /// For all of them.
    pub elapsed: Duration,
    /// What else was seen: name with unit, value. Of several values of one whose name begins with `peak_` the highest
    /// counts, of any other the median.
    pub metrics: Vec<(&'static str, f64)>,
}

impl Sample {
    /// Times `body` and checks its answer.
    ///
    /// # Panics
    /// If the answer is wrong: a time for something else is worth nothing.
    pub fn timed<A: PartialEq + std::fmt::Debug>(ops: u64, answer: A, body: impl FnOnce() -> A) -> Self {
        let start = Instant::now();
        let got = body();
        let elapsed = start.elapsed();
        assert_eq!(got, answer, "the work gave a wrong answer");
        Self { ops, ops_in_all: ops, elapsed, metrics: Vec::new() }
    }
}

/// How large a work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// As its source defines it.
    Full,
    /// For callgrind, under which a work takes fifty times as long.
    Counted,
    /// For tests: the same shape, few operations.
    Small,
}

impl Size {
    /// One of three.
    pub fn pick<T>(self, full: T, counted: T, small: T) -> T {
        match self {
            Size::Full => full,
            Size::Counted => counted,
            Size::Small => small,
        }
    }
}

/// How a work is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// After a warm-up, again and again; every run does the same.
    Repeated,
    /// The same, but most of a run is waiting: there is nothing to count in it.
    Waiting,
    /// Once in a fresh process, for it would not be the same the second time.
    Once,
    /// Once, by a client that has processors of its own.
    Network,
}

/// A work's line in the list.
#[derive(Debug)]
pub struct Entry {
    /// As in the tables and in the JSON. A name with a `/` is a variant of the work before it.
    pub name: &'static str,
    /// What one operation is.
    pub op: &'static str,
    /// What is done, and where the definition comes from, in one line.
    pub about: &'static str,
    /// For which kinds it is written.
    pub runs_on: &'static [Kind],
    /// The number of workers, where it is part of the work.
    pub workers: Option<usize>,
    /// How it is run.
    pub manner: Manner,
    /// Makes the work.
    pub make: fn(Size) -> Box<dyn Work>,
}

impl Entry {
    /// Most entries: the workers are the peer's, and runs repeat.
    const fn usual(
        name: &'static str,
        op: &'static str,
        about: &'static str,
        runs_on: &'static [Kind],
        make: fn(Size) -> Box<dyn Work>,
    ) -> Self {
        Self { name, op, about, runs_on, workers: None, manner: Manner::Repeated, make }
    }

    /// Whether `peer` can do it, and does it in its own right: where the number of workers is the work's, the peers
    /// that differ in their workers only are the same.
    pub fn is_for(&self, peer: &Peer) -> bool {
        self.runs_on.contains(&peer.kind) && (self.workers.is_none() || peer.workers == Workers::Given)
    }

    /// Whether this is a variant of another work, left out of quick runs.
    pub fn is_variant(&self) -> bool {
        self.name.contains('/')
    }
}

/// All works, in the order in which they run.
pub const ENTRIES: &[&[Entry]] = &[
    spawn_join::ENTRIES,
    yielding::ENTRIES,
    ping_pong::ENTRIES,
    chained_spawn::ENTRIES,
    spawn_remote::ENTRIES,
    skynet::ENTRIES,
    fib::ENTRIES,
    nqueens::ENTRIES,
    wake_latency::ENTRIES,
    parked::ENTRIES,
    cancel::ENTRIES,
    echo::ENTRIES,
    broadcast::ENTRIES,
];

/// The work of that name.
pub fn find(name: &str) -> Option<&'static Entry> {
    all().find(|entry| entry.name == name)
}

/// All works, in the order in which they run.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    ENTRIES.iter().copied().flatten()
}

#[cfg(test)]
mod tests {
    use super::{Size, all};
    use crate::runtimes::{PEERS, Workers};

    #[test]
    fn every_work_gives_its_answer_on_every_runtime_it_is_written_for() {
        for peer in PEERS {
            for entry in all().filter(|entry| entry.is_for(peer)) {
                let runtime = peer.start(2).expect("threads can be had");
                let sample = runtime.run(&*(entry.make)(Size::Small));
                assert!(sample.ops > 0, "{} on {} did nothing", entry.name, peer.name);
            }
        }
    }

    #[test]
    fn names_of_works_and_runtimes_and_what_is_said_of_works_are_unique() {
        let works: std::collections::HashSet<_> = all().map(|entry| entry.name).collect();
        assert_eq!(works.len(), all().count());
        let abouts: std::collections::HashSet<_> = all().map(|entry| entry.about).collect();
        assert_eq!(abouts.len(), all().count(), "two works are said to be the same");
        let peers: std::collections::HashSet<_> = PEERS.iter().map(|peer| peer.name).collect();
        assert_eq!(peers.len(), PEERS.len());
    }

    #[test]
    fn runtimes_with_one_worker_say_so() {
        for peer in PEERS.iter().filter(|peer| peer.name.ends_with("_1")) {
            assert_eq!(peer.workers, Workers::One, "{}", peer.name);
        }
    }
}

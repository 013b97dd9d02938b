//! The peers: by which name each is known, and how it is started.

use std::io;

use crate::works::{Sample, Work};

pub mod async_executor;
pub mod async_task;
pub mod chili;
pub mod epoll;
pub mod futures_unordered;
pub mod rayon;
pub mod serial;
pub mod tokio;
pub mod treescope;

/// For which runtime a work is written. Several peers can be of one kind: they differ in their workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This project.
    Treescope,
    /// tokio, multi_thread.
    Tokio,
    /// tokio, current_thread: the works are those of [`Kind::Tokio`].
    TokioCurrentThread,
    /// smol's executor.
    AsyncExecutor,
    /// Fork and join on a pool of threads; no futures.
    Rayon,
    /// Fork and join with heartbeat scheduling; no futures.
    Chili,
    /// All futures in one task on one thread.
    FuturesUnordered,
    /// async-task's tasks and a queue on one thread: what the tasks cost by themselves.
    AsyncTask,
    /// A loop over an epoll instance: what the sockets cost by themselves.
    Epoll,
    /// No runtime at all: what the work itself costs.
    Serial,
}

/// How many workers a peer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// As many as the run is told to use.
    Given,
    /// One, always.
    One,
}

/// One runtime in one configuration.
#[derive(Debug)]
pub struct Peer {
    /// As in the tables and in the JSON.
    pub name: &'static str,
    /// For which runtime.
    pub kind: Kind,
    /// With how many workers.
    pub workers: Workers,
}

/// All peers, in the order in which a round visits them.
pub const PEERS: &[Peer] = &[
    Peer { name: "treescope", kind: Kind::Treescope, workers: Workers::Given },
    Peer { name: "treescope_1", kind: Kind::Treescope, workers: Workers::One },
    Peer { name: TOKIO, kind: Kind::Tokio, workers: Workers::Given },
    Peer { name: TOKIO_1, kind: Kind::Tokio, workers: Workers::One },
    Peer { name: "tokio_current_thread", kind: Kind::TokioCurrentThread, workers: Workers::One },
    Peer { name: "async_executor", kind: Kind::AsyncExecutor, workers: Workers::Given },
    Peer { name: "rayon", kind: Kind::Rayon, workers: Workers::Given },
    Peer { name: "chili", kind: Kind::Chili, workers: Workers::Given },
    Peer { name: "futures_unordered", kind: Kind::FuturesUnordered, workers: Workers::One },
    Peer { name: "async_task", kind: Kind::AsyncTask, workers: Workers::One },
    Peer { name: EPOLL, kind: Kind::Epoll, workers: Workers::One },
    Peer { name: "serial", kind: Kind::Serial, workers: Workers::One },
];

/// The peer that ratios are taken to.
pub const TOKIO: &str = "tokio";
/// The same with one worker, for the ratios of those that have one.
pub const TOKIO_1: &str = "tokio_1";
/// The loop that a server's processor time is compared with as well.
pub const EPOLL: &str = "epoll";

/// A started runtime.
pub trait Started {
    /// Does `work` once, in this runtime's way.
    fn run(&self, work: &dyn Work) -> Sample;
}

impl Peer {
    /// The peer of that name.
    pub fn find(name: &str) -> Option<&'static Peer> {
        PEERS.iter().find(|peer| peer.name == name)
    }

    /// Starts the runtime; `workers` counts where the peer has [`Workers::Given`].
    ///
    /// # Errors
    /// What the system says to new threads.
    pub fn start(&self, workers: usize) -> io::Result<Box<dyn Started>> {
        let workers = match self.workers {
            Workers::Given => workers,
            Workers::One => 1,
        };
        Ok(match self.kind {
            Kind::Treescope => Box::new(treescope::start(workers)?),
            Kind::Tokio => Box::new(tokio::start(workers)?),
            Kind::TokioCurrentThread => Box::new(tokio::start_current_thread()?),
            Kind::AsyncExecutor => Box::new(async_executor::start(workers)?),
            Kind::Rayon => Box::new(rayon::start(workers)?),
            Kind::Chili => Box::new(chili::start(workers)),
            Kind::FuturesUnordered => Box::new(futures_unordered::FuturesUnordered),
            Kind::AsyncTask => Box::new(async_task::AsyncTask),
            Kind::Epoll => Box::new(epoll::Epoll),
            Kind::Serial => Box::new(serial::Serial),
        })
    }
}

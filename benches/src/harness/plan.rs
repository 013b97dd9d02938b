//! Which runtimes do which work, with how many workers, and in which order.

use super::options::Options;
use crate::process;
use crate::runtimes::{Peer, Workers};
use crate::works::{Entry, Manner};

/// One work and those that do it.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) entry: &'static Entry,
    pub(super) peers: Vec<&'static Peer>,
    /// Of each runtime that has several.
    pub(super) workers: usize,
}

/// What `options` ask for.
///
/// # Errors
/// If a name in them is unknown, or no runtime that they name does a work that they name.
pub(super) fn all(options: &Options) -> Result<Vec<Plan>, String> {
    let (works, peers) = (options.works()?, options.peers()?);
    // Where the processors cannot be told apart, the slots themselves will say so.
    let server = process::halves().ok().map(|(server, _)| server.len());
    let plans: Vec<_> = works
        .into_iter()
        .map(|entry| Plan::new(entry, &peers, options.workers(), server))
        .filter(|plan| !plan.peers.is_empty())
        .collect();
    if plans.is_empty() {
        return Err(
            "none of these works is for any of these runtimes; --list shows which is for which".to_owned()
        );
    }
    Ok(plans)
}

impl Plan {
    /// `server` is how many processors a server has.
    fn new(entry: &'static Entry, peers: &[&'static Peer], workers: usize, server: Option<usize>) -> Self {
        let workers = match (entry.workers, server) {
            (Some(workers), _) => workers,
            // More than it has processors would take turns.
            (None, Some(server)) if entry.manner == Manner::Network => workers.min(server),
            (None, _) => workers,
        };
        let able: Vec<_> = peers.iter().copied().filter(|peer| entry.is_for(peer)).collect();
        // Where those that have several get one, they are what their kin with one is.
        let is_twin = |peer: &Peer| {
            workers == 1
                && peer.workers == Workers::One
                && able.iter().any(|other| other.kind == peer.kind && other.workers == Workers::Given)
        };
        let peers = able.iter().copied().filter(|peer| !is_twin(peer)).collect();
        Self { entry, peers, workers }
    }
}

/// In which order a round visits `n` runtimes: each is the first in its turn, and who is in a work's first round
/// changes from work to work. In a fixed order the same one would always have what the first place brings, good or bad.
pub(super) fn order(n: usize, round: usize, work: usize) -> impl Iterator<Item = usize> {
    (0..n).map(move |place| (place + round + work) % n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtimes::PEERS;
    use crate::works;

    fn names(
        work: &str,
        peers: &[&'static Peer],
        workers: usize,
        server: usize,
    ) -> (Vec<&'static str>, usize) {
        let entry = works::find(work).expect("there is one");
        let plan = Plan::new(entry, peers, workers, Some(server));
        (plan.peers.iter().map(|peer| peer.name).collect(), plan.workers)
    }

    #[test]
    fn a_server_has_no_more_workers_than_processors_and_nobody_runs_twice() {
        let all: Vec<_> = PEERS.iter().collect();
        let (peers, workers) = names("echo", &all, 2, 1);
        assert_eq!((peers, workers), (vec!["treescope", "tokio", "tokio_current_thread", "epoll"], 1));
        let (peers, workers) = names("echo", &all, 4, 2);
        assert!(peers.contains(&"treescope_1") && peers.contains(&"tokio_1"), "{peers:?}");
        assert_eq!(workers, 2);
    }

    #[test]
    fn a_runtime_with_one_worker_runs_where_its_kin_is_not_asked_for() {
        let asked: Vec<_> = PEERS.iter().filter(|peer| peer.name == "treescope_1").collect();
        assert_eq!(names("fib", &asked, 1, 1).0, ["treescope_1"]);
    }

    #[test]
    fn a_work_that_says_its_workers_has_so_many() {
        let all: Vec<_> = PEERS.iter().collect();
        assert_eq!(names("spawn_join/4w", &all, 2, 1).1, 4);
    }

    #[test]
    fn every_runtime_is_first_once_and_runs_once_a_round() {
        for work in 0..3 {
            let mut firsts: Vec<_> = (0..4).filter_map(|round| order(4, round, work).next()).collect();
            firsts.sort();
            assert_eq!(firsts, [0, 1, 2, 3]);
            let mut round: Vec<_> = order(4, 2, work).collect();
            round.sort();
            assert_eq!(round, [0, 1, 2, 3]);
        }
        assert_ne!(order(4, 0, 0).next(), order(4, 0, 1).next());
    }
}

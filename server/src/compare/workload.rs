//! What is done to each server.

use serde::Serialize;

use crate::load::{Pace, Pattern};

/// One thing to do to each server.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Workload {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) connections: usize,
    pub(super) pattern: Pattern,
    /// Messages under way for each sender, unless there is a rate.
    pub(super) window: u32,
    /// Messages per second.
    pub(super) rate: Option<f64>,
    pub(super) payload: usize,
    /// What a handler computes for each message, in µs.
    pub(super) work_us: u64,
    /// One of a series that differs in `work_us` only.
    pub(super) series: bool,
    /// Part of a quick run.
    pub(super) quick: bool,
}

impl Workload {
    pub(super) fn pace(&self) -> Pace {
        self.rate.map_or(Pace::Closed { window: self.window }, Pace::Rate)
    }
}

const PAIRS: Workload = Workload {
    name: "pairs",
    about: "64 clients in pairs, each with 8 messages of 64 bytes on their way",
    connections: 64,
    pattern: Pattern::Pairs,
    window: 8,
    rate: None,
    payload: 64,
    work_us: 0,
    series: false,
    quick: true,
};

const fn cost(name: &'static str, work_us: u64, quick: bool) -> Workload {
    let about = "64 clients in pairs, each with 8 messages on their way, and a handler that computes";
    Workload { name, about, work_us, quick, series: true, ..PAIRS }
}

/// All of them. A closed loop shows what a server can do, a fixed rate what a client waits for.
pub(super) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "round-trip",
        about: "2 clients, each with one message of 64 bytes on its way",
        connections: 2,
        window: 1,
        quick: false,
        ..PAIRS
    },
    PAIRS,
    Workload {
        name: "deep",
        about: "64 clients in pairs, each with 64 messages of 64 bytes on their way",
        window: 64,
        quick: false,
        ..PAIRS
    },
    Workload {
        name: "flood",
        about: "64 clients in pairs, each with 1,024 messages of 64 bytes on their way",
        window: 1024,
        quick: false,
        ..PAIRS
    },
    Workload {
        name: "many",
        about: "1,000 clients in pairs, each with one message of 64 bytes on its way",
        connections: 1000,
        window: 1,
        quick: false,
        ..PAIRS
    },
    Workload {
        name: "fan-in",
        about: "64 clients in groups of eight, seven of which send to the first, 8 messages each on their way",
        pattern: Pattern::FanIn,
        quick: false,
        ..PAIRS
    },
    Workload {
        name: "fan-out",
        about: "64 clients in groups of eight, the first of which sends to the others in turn, 56 messages on their way",
        pattern: Pattern::FanOut,
        window: 56,
        quick: false,
        ..PAIRS
    },
    Workload {
        name: "all-to-one",
        about: "63 clients that send to one, each with 8 messages of 64 bytes on their way",
        pattern: Pattern::AllToOne,
        ..PAIRS
    },
    Workload {
        name: "large",
        about: "64 clients in pairs, each with 4 messages of 16 KiB on their way",
        window: 4,
        payload: 16 << 10,
        quick: false,
        ..PAIRS
    },
    Workload {
        name: "rate",
        about: "64 clients in pairs, 20,000 messages of 64 bytes per second from all together, come what may",
        rate: Some(20_000.0),
        ..PAIRS
    },
    cost("cost-0", 0, true),
    cost("cost-1", 1, false),
    cost("cost-5", 5, false),
    cost("cost-10", 10, true),
    cost("cost-30", 30, false),
    cost("cost-100", 100, true),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_is_possible_and_has_a_name_of_its_own() {
        for (n, workload) in WORKLOADS.iter().enumerate() {
            assert!(workload.pattern.receivers(workload.connections).is_ok(), "{}", workload.name);
            assert!(WORKLOADS[..n].iter().all(|other| other.name != workload.name));
            assert!(workload.payload >= crate::load::SHORTEST);
        }
    }
}

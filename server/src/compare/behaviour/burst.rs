//! One client sends 10,000 frames at once to another, which reads.

use std::time::Duration;

use serde::Serialize;

use super::client::PATIENCE;
use super::{Bench, Seen};
use crate::load::{self, Faults, Pace, Pattern, Plan};

const FRAMES: u32 = 10_000;

/// What was seen.
#[derive(Debug, Serialize)]
pub(in super::super) struct Burst {
    pub(in super::super) faults: Faults,
    /// From the first sent to the last that arrived.
    pub(in super::super) ms: f64,
    /// The server stopped delivering.
    pub(in super::super) stalled: bool,
}

pub(super) fn run(bench: &Bench<'_>) -> Seen<Burst> {
    let server = bench.server(&[])?;
    let plan = Plan {
        addr: server.addr,
        connections: 2,
        pattern: Pattern::FanIn,
        pace: Pace::Closed { window: FRAMES },
        payload: 64,
        warm_up: Duration::ZERO,
        duration: Duration::from_secs(10),
        messages: Some(FRAMES.into()),
        patience: PATIENCE,
        processors: bench.placement.load.clone(),
    };
    let outcome = load::run(&plan, &mut ()).map_err(|error| error.to_string())?;
    Ok(Burst { faults: outcome.faults, ms: outcome.elapsed.as_secs_f64() * 1e3, stalled: outcome.stalled })
}

//! One client sends 10,000 frames at once to another, which reads, while two others talk to each other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde::Serialize;

use super::client::{Client, PATIENCE};
use super::{Bench, Seen};
use crate::compare::usage::Usage;
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
    /// The slowest message between the two others meanwhile, in ms; `None` if one did not arrive.
    pub(in super::super) slowest_ms: Option<f64>,
    /// The most that the server has grown by meanwhile, in MiB.
    pub(in super::super) grown: f64,
}

pub(super) fn run(bench: &Bench<'_>) -> Seen<Burst> {
    let server = bench.server(&[])?;
    let (mut one, mut other) = (Client::connect(server.addr, 0)?, Client::connect(server.addr, 1)?);
    if one.ping(&mut other, b"before").is_none() {
        return Err("two clients cannot talk to each other, burst or not".to_owned());
    }
    let before = Usage::of(server.pid()).ok_or("the server died")?.resident;
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
    let over = AtomicBool::new(false);
    let (outcome, slowest) = thread::scope(|threads| {
        let talk = threads.spawn(|| slowest(&mut one, &mut other, &over));
        let outcome = load::run(&plan, &mut ());
        over.store(true, Ordering::Relaxed);
        (outcome, talk.join().unwrap_or(None))
    });
    let outcome = outcome.map_err(|error| error.to_string())?;
    // The system keeps the most there was, so that nobody has to look at the right moment.
    let peak = Usage::peak(server.pid()).ok_or("the server died")?;
    Ok(Burst {
        faults: outcome.faults,
        ms: outcome.elapsed.as_secs_f64() * 1e3,
        stalled: outcome.stalled,
        slowest_ms: slowest.map(|time| time.as_secs_f64() * 1e3),
        grown: peak.saturating_sub(before) as f64 / f64::from(1 << 20),
    })
}

/// One message after the other until it is over: how long the slowest took.
fn slowest(one: &mut Client, other: &mut Client, over: &AtomicBool) -> Option<Duration> {
    let mut slowest = Duration::ZERO;
    for round in 0_u32.. {
        slowest = slowest.max(one.ping(other, round.to_string().as_bytes())?);
        if over.load(Ordering::Relaxed) {
            break;
        }
    }
    Some(slowest)
}

//! One client floods another, which reads nothing. Do two others still talk to each other? How much does the server
//! take, and keep? Does it still let newcomers in?

use std::thread;
use std::time::Duration;

use serde::Serialize;

use super::client::{Client, Flooder};
use super::{Bench, Seen};
use crate::compare::usage::Usage;

const MIB: usize = 1 << 20;

/// What the flooder's frames carry.
const PAYLOAD: usize = 4000;

/// A flooder from whom nothing was taken for so long is held back.
const HELD_BACK: Duration = Duration::from_millis(700);

/// What was seen. Sizes in MiB.
#[derive(Debug, Serialize)]
pub(in super::super) struct Flood {
    /// What the flooder had sent when two others could no longer talk; `None` if they always could.
    pub(in super::super) stalls_others_after: Option<f64>,
    /// What was taken before the flooder was held back; `None` if it never was.
    pub(in super::super) held_back_after: Option<f64>,
    /// At how much the flood ended if nothing ended it.
    pub(in super::super) cap: f64,
    /// What the server has grown by at most.
    pub(in super::super) grown: f64,
    /// The slowest message between the two others that arrived, in ms.
    pub(in super::super) slowest_ms: f64,
    /// Whether a client that comes now is greeted.
    pub(in super::super) newcomers: bool,
}

pub(super) fn run(bench: &Bench<'_>) -> Seen<Flood> {
    let cap = if bench.extent.quick { 64 * MIB } else { 256 * MIB };
    let server = bench.server(&[])?;
    let before = Usage::of(server.pid()).unwrap_or_default();
    let connect = |n| Client::connect(server.addr, n);
    let (victim, flooder, mut one, mut other) = (connect(0)?, connect(1)?, connect(2)?, connect(3)?);
    if one.ping(&mut other, b"before").is_none() {
        return Err("two clients cannot talk to each other, flood or not".to_owned());
    }
    let mut flooder = Flooder::new(flooder, victim.id, PAYLOAD)?;
    let mib = |bytes: usize| bytes as f64 / MIB as f64;
    let mut seen = Flood {
        stalls_others_after: None,
        held_back_after: None,
        cap: mib(cap),
        grown: 0.0,
        slowest_ms: 0.0,
        newcomers: false,
    };
    for round in 0_u32.. {
        let taken = flooder.push(MIB / 2);
        if taken == 0 {
            thread::sleep(Duration::from_millis(10));
        }
        match one.ping(&mut other, round.to_string().as_bytes()) {
            Some(time) => seen.slowest_ms = seen.slowest_ms.max(time.as_secs_f64() * 1e3),
            None => seen.stalls_others_after = Some(mib(flooder.sent)),
        }
        let now = Usage::of(server.pid()).ok_or("the server died")?;
        seen.grown = seen.grown.max(mib(now.since(before).resident as usize));
        if seen.stalls_others_after.is_some() || flooder.sent >= cap {
            break;
        }
        if flooder.blocked_for() > HELD_BACK {
            seen.held_back_after = Some(mib(flooder.sent));
            break;
        }
    }
    seen.newcomers = Client::connect(server.addr, 4).is_ok();
    drop(victim);
    Ok(seen)
}

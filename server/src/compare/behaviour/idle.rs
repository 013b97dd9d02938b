//! Ten clients talk, and thousands are there and say nothing. What do the thousands cost, and do the ten notice?

use std::time::{Duration, Instant};

use serde::Serialize;

use super::client::{Client, PATIENCE};
use super::{Bench, Seen};
use crate::compare::process::Server;
use crate::compare::usage::Usage;
use crate::load::{self, Pace, Pattern, Plan, system};

/// So many files are open besides the idle connections, here or in the server.
const OTHERS: u64 = 64;

/// To connect all may take so long.
const LONGEST: Duration = Duration::from_secs(20);

/// What was seen.
#[derive(Debug, Serialize)]
pub(in super::super) struct Idle {
    /// With nobody idle, then with more and more.
    pub(in super::super) steps: Vec<Step>,
    /// Of the server, for each idle connection, at the last step.
    pub(in super::super) kib_per_connection: f64,
    /// Why it went no further.
    pub(in super::super) stopped: Option<String>,
}

/// The busy ones' latencies beside so many idle ones.
#[derive(Debug, Serialize)]
pub(in super::super) struct Step {
    pub(in super::super) idle: usize,
    pub(in super::super) p50_us: f64,
    pub(in super::super) p99_us: f64,
}

pub(super) fn run(bench: &Bench<'_>) -> Seen<Idle> {
    let goals: &[usize] = if bench.extent.quick { &[0, 1_000] } else { &[0, 1_000, 10_000] };
    let files = system::allow_files();
    let server = bench.server(&[])?;
    let mut idle: Vec<Client> = Vec::new();
    let mut seen = Idle { steps: Vec::new(), kib_per_connection: 0.0, stopped: None };
    let mut before = Usage::default();
    for &goal in goals {
        if goal as u64 + OTHERS > files {
            seen.stopped = Some(format!("{goal} need more open files than the {files} allowed"));
            break;
        }
        if let Err(why) = fill(&server, &mut idle, goal) {
            seen.stopped = Some(why);
            break;
        }
        let now = Usage::of(server.pid()).ok_or("the server died")?;
        if goal > 0 {
            seen.kib_per_connection = now.since(before).resident as f64 / 1024.0 / goal as f64;
        }
        seen.steps.push(talk(bench, &server, goal)?);
        if goal == 0 {
            // What it keeps from having been busy is not the idle ones'.
            before = Usage::of(server.pid()).ok_or("the server died")?;
        }
    }
    Ok(seen)
}

fn fill(server: &Server, idle: &mut Vec<Client>, goal: usize) -> Seen<()> {
    let began = Instant::now();
    while idle.len() < goal {
        idle.push(Client::connect(server.addr, idle.len())?);
        if began.elapsed() > LONGEST {
            return Err(format!("only {} connected in {LONGEST:?}", idle.len()));
        }
    }
    Ok(())
}

fn talk(bench: &Bench<'_>, server: &Server, idle: usize) -> Seen<Step> {
    let plan = Plan {
        addr: server.addr,
        connections: 10,
        pattern: Pattern::Pairs,
        pace: Pace::Closed { window: 1 },
        payload: 64,
        warm_up: Duration::from_millis(100),
        duration: Duration::from_millis(if bench.extent.quick { 200 } else { 1000 }),
        messages: None,
        patience: PATIENCE,
        processors: bench.placement.load.clone(),
    };
    let outcome = load::run(&plan, &mut ()).map_err(|error| error.to_string())?;
    match outcome.failure() {
        Some(failure) => Err(failure),
        None if outcome.latency.is_empty() => Err("nothing arrived in time".to_owned()),
        None => Ok(Step { idle, p50_us: outcome.latency_us(0.5), p99_us: outcome.latency_us(0.99) }),
    }
}

//! All works, all runtimes, round by round.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::options::{Options, Slot};
use super::plan::{self, Plan};
use super::progress::Progress;
use super::results::{Cell, Results};
use super::{counts, outputs, slot};
use crate::machine::Machine;
use crate::runtimes::Peer;

/// A slot that takes longer has hung: the slowest takes a few seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// Measures what `options` ask for, prints it, and writes the files.
pub(super) fn run(options: &Options, allocs: &Path) -> Result<ExitCode, String> {
    let plans = plan::all(options)?;
    if cfg!(debug_assertions) {
        return Err("built without optimisation; use cargo bench".to_owned());
    }
    outputs::probe(options)?;
    let slots: usize = plans.iter().map(|plan| plan.peers.len()).sum();
    let mut progress = Progress::new(slots, options.rounds());

    let mut results = Results::new(Machine::look(options.setting()));
    for (n, plan) in plans.iter().enumerate() {
        results.cells.extend(measure(options, n, plan, allocs, &mut progress));
    }
    progress.done();
    results.compare();

    report(options, &[results])
}

/// Prints and draws what earlier runs wrote.
pub(super) fn again(options: &Options) -> Result<ExitCode, String> {
    if options.json.is_some() && options.from.len() > 1 {
        return Err("--json writes one run: give --from one file".to_owned());
    }
    outputs::probe(options)?;
    let mut runs = Results::read_all(&options.from)?;
    options.keep_wanted(&mut runs)?;
    report(options, &runs)
}

fn report(options: &Options, runs: &[Results]) -> Result<ExitCode, String> {
    outputs::write(options, runs)?;
    let all_ran = runs.iter().flat_map(|run| &run.cells).all(|cell| cell.failures.is_empty());
    Ok(if all_ran { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One work, the `n`th: the rounds, and in each every runtime once.
fn measure(options: &Options, n: usize, plan: &Plan, allocs: &Path, progress: &mut Progress) -> Vec<Cell> {
    let Plan { entry, peers, workers } = plan;
    let slot = |peer: &Peer| Slot {
        work: entry.name.to_owned(),
        runtime: peer.name.to_owned(),
        workers: *workers,
        millis: options.slot().as_millis() as u64,
    };
    let mut cells: Vec<_> = peers.iter().map(|peer| Cell::new(entry, peer, *workers)).collect();
    for round in 0..options.rounds() {
        for place in plan::order(peers.len(), round as usize, n) {
            let (cell, peer) = (&mut cells[place], peers[place]);
            progress.show(round, entry.name, peer.name);
            // What hung or died will do so again: once is enough, and not worth the time limit of every round.
            let report = if cell.failures.is_empty() {
                slot::run(&slot(peer), LIMIT).inspect_err(|error| {
                    progress.say(&format!("{} on {}: {error}", entry.name, peer.name));
                })
            } else {
                Err("not tried again".to_owned())
            };
            cell.add(report);
            progress.step();
        }
        progress.round(round, entry.name);
    }
    for (cell, peer) in cells.iter_mut().zip(peers) {
        if options.counts && cell.failures.is_empty() {
            progress.count(entry.name, peer.name);
            for (name, count) in counts::all(entry, peer, &slot(peer), allocs) {
                match count {
                    Ok(count) => cell.counted(name, count),
                    Err(error) => {
                        progress.say(&format!("{name} of {} on {}: {error}", entry.name, peer.name))
                    }
                }
            }
        }
        cell.summarise();
        progress.say(&cell.line());
    }
    cells
}

//! The regression guard: instructions per spawn, yield, wake and scope, held to a checked-in baseline.
//!
//! `cargo run --release -p benches --bin guard`, and with `-- --bless` after a change that is meant.
//!
//! Each probe runs twice, the second time with more operations; the difference is the operations' alone. Times are
//! measured elsewhere (`cargo bench -p benches`): a test that fails because the machine was busy is no test.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::{env, fs};

use benches::callgrind;
use benches::probes::{PROBES, Probe};
use clap::Parser;
use serde::{Deserialize, Serialize};

/// Holds instructions per operation to the baseline.
#[derive(Debug, Parser)]
#[command(name = "guard")]
struct Options {
    /// Makes what is counted now the baseline.
    #[arg(long)]
    bless: bool,
    /// Runs this probe so many times and counts nothing; what the guard calls itself with.
    #[arg(long, num_args = 2, value_names = ["PROBE", "TIMES"], hide = true)]
    probe: Option<Vec<String>>,
}

/// The file beside the package's manifest.
#[derive(Debug, Serialize, Deserialize)]
struct Baseline {
    /// The compiler it was counted with; another may give other counts.
    rustc: String,
    /// How far a count may be off in either direction, in per cent.
    tolerance_percent: f64,
    /// Instructions per operation.
    instructions: BTreeMap<String, f64>,
}

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.json");
/// Operations of a short and of a long run.
const TIMES: (u64, u64) = (20_000, 60_000);

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match options.probe.as_deref() {
        Some([name, times]) => run_probe(name, times).map(|()| ExitCode::SUCCESS),
        _ => guard(options.bless),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("guard: {error}");
        ExitCode::FAILURE
    })
}

fn run_probe(name: &str, times: &str) -> Result<(), String> {
    let probe = PROBES.iter().find(|probe| probe.name == name).ok_or("no such probe")?;
    let times = times.parse().map_err(|error| format!("{times}: {error}"))?;
    probe.run(times).map_err(|error| error.to_string())
}

fn guard(bless: bool) -> Result<ExitCode, String> {
    if cfg!(debug_assertions) {
        return Err("the baseline is of optimised code; run with --release".to_owned());
    }
    if !callgrind::is_there() {
        println!("skipped: valgrind is not installed, and without it nothing can be counted");
        return Ok(ExitCode::SUCCESS);
    }
    let text = fs::read_to_string(FILE).map_err(|error| format!("{FILE}: {error}"))?;
    let mut baseline: Baseline = serde_json::from_str(&text).map_err(|error| format!("{FILE}: {error}"))?;
    let rustc = rustc();
    if !bless && rustc != baseline.rustc {
        println!("note: the baseline was counted with {}, this is {rustc}", baseline.rustc);
    }

    let mut missed = 0;
    for probe in PROBES {
        let counted = count(probe)?;
        if bless {
            println!("{:<6} {counted:>8.1} instructions: {}", probe.name, probe.about);
            baseline.instructions.insert(probe.name.to_owned(), (counted * 10.0).round() / 10.0);
        } else {
            missed += u32::from(!judge(&baseline, probe, counted));
        }
    }
    if bless {
        baseline.rustc = rustc;
        let text = serde_json::to_string_pretty(&baseline).map_err(|error| error.to_string())?;
        fs::write(FILE, text + "\n").map_err(|error| format!("{FILE}: {error}"))?;
    }
    if missed > 0 {
        println!(
            "{missed} off by more than {} %; if it is meant, run again with --bless and say why in the commit",
            baseline.tolerance_percent
        );
    }
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the probe's line; whether the count is within tolerance. One that became cheaper is not: the baseline would
/// let it become as dear again.
fn judge(baseline: &Baseline, probe: &Probe, counted: f64) -> bool {
    let Some(&expected) = baseline.instructions.get(probe.name) else {
        println!("{:<6} {counted:>8.1} instructions, not in the baseline", probe.name);
        return false;
    };
    let off = (counted / expected - 1.0) * 100.0;
    let within = off.abs() <= baseline.tolerance_percent;
    let verdict = if within { "ok" } else { "OFF" };
    println!(
        "{:<6} {counted:>8.1} instructions, baseline {expected:.1}, {off:+.1} %: {verdict} ({})",
        probe.name, probe.about
    );
    within
}

/// Instructions per operation.
fn count(probe: &Probe) -> Result<f64, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let run = |times: u64| {
        let args = ["--probe".to_owned(), probe.name.to_owned(), times.to_string()];
        callgrind::instructions(&program, &args).map_err(|error| error.to_string())
    };
    let (short, long) = (run(TIMES.0)?, run(TIMES.1)?);
    Ok((long as f64 - short as f64) / (TIMES.1 - TIMES.0) as f64)
}

fn rustc() -> String {
    benches::machine::rustc().unwrap_or_else(|| "an unknown compiler".to_owned())
}

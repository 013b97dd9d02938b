//! What is counted and not timed: instructions, allocations, system calls. Each needs a run of its own, under a tool or
//! in a program with another allocator, so `--counts` asks for them.

use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs, process};

use serde::{Deserialize, Serialize};

use super::options::{Count, Slot};
use super::this_program;
use crate::runtimes::{Peer, Workers};
use crate::works::{self, Entry, Manner, Size, served};
use crate::{callgrind, process as this_process};

/// Allocations of one run, as the program that counts them says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Allocations {
    /// How many per operation.
    pub count: f64,
    /// How many bytes per operation.
    pub bytes: f64,
}

/// Counts what can be counted of a work on a runtime: name and value, or why not.
pub(super) fn all(
    entry: &Entry,
    peer: &Peer,
    slot: &Slot,
    allocs: &Path,
) -> Vec<(&'static str, Result<f64, String>)> {
    let mut counts = Vec::new();
    if entry.manner == Manner::Network {
        counts.push(("system_calls", system_calls(slot)));
    } else if entry.manner == Manner::Repeated {
        match allocations(slot, allocs) {
            Ok(Allocations { count, bytes }) => {
                counts.extend([("allocations", Ok(count)), ("allocated_bytes", Ok(bytes))]);
            }
            Err(error) => counts.push(("allocations", Err(error))),
        }
        // On several workers it is chance how long the idle ones search.
        if peer.workers == Workers::One {
            counts.push(("instructions", instructions(slot)));
        }
    }
    counts
}

/// Per operation, by the difference of three runs and one.
fn instructions(slot: &Slot) -> Result<f64, String> {
    if !callgrind::is_there() {
        return Err("valgrind is not installed".to_owned());
    }
    let program = this_program()?;
    let counted = |runs: u32| callgrind::instructions(&program, &arguments(slot, runs, "counted"));
    let (one, three) = (counted(1).map_err(text)?, counted(3).map_err(text)?);
    let ops = ops(&arguments(slot, 1, "counted"))?;
    Ok((three as f64 - one as f64) / 2.0 / ops)
}

/// Per operation, by the difference of a long run and a short one; of the server only, which strace slows down.
fn system_calls(slot: &Slot) -> Result<f64, String> {
    let (short, few) = traced(&arguments(slot, 1, "counted"))?;
    let (long, many) = traced(&arguments(slot, 1, "full"))?;
    Ok((long - short) / (many - few))
}

/// System calls and operations.
fn traced(arguments: &[String]) -> Result<(f64, f64), String> {
    let file = env::temp_dir().join(format!("treescope-strace-{}", process::id()));
    // Children are let go when they turn into another program: that is the client.
    let output = Command::new("strace")
        .args(["-f", "-c", "-b", "execve", "-o"])
        .arg(&file)
        .arg(this_program()?)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                "strace is not installed".to_owned()
            } else {
                text(error)
            }
        })?;
    let table = fs::read_to_string(&file);
    let _ = fs::remove_file(&file);
    let table = table.map_err(text)?;
    let total = table.lines().rev().find(|line| line.ends_with(" total")).ok_or("strace wrote no total")?;
    let calls = total.split_whitespace().nth(3).and_then(|calls| calls.parse().ok());
    let ops = String::from_utf8_lossy(&output.stdout).trim().parse();
    calls.zip(ops.ok()).ok_or_else(|| "strace's table is not as expected".to_owned())
}

fn allocations(slot: &Slot, program: &Path) -> Result<Allocations, String> {
    let output = Command::new(program)
        .args([
            "--work",
            &slot.work,
            "--runtime",
            &slot.runtime,
            "--workers",
            &slot.workers.to_string(),
            "--json",
        ])
        .stdin(Stdio::null())
        .output()
        .map_err(text)?;
    serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("allocs: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

fn arguments(slot: &Slot, runs: u32, size: &str) -> Vec<String> {
    let Slot { work, runtime, workers, .. } = slot;
    ["__count", work, runtime, &workers.to_string(), &runs.to_string(), size].map(str::to_owned).into()
}

/// How many operations a run does, asked from the run itself.
fn ops(arguments: &[String]) -> Result<f64, String> {
    let mut child =
        Command::new(this_program()?).args(arguments).stdout(Stdio::piped()).spawn().map_err(text)?;
    let mut said = String::new();
    child.stdout.as_mut().map(|pipe| pipe.read_to_string(&mut said)).transpose().map_err(text)?;
    child.wait().map_err(text)?;
    said.trim().parse().map_err(|_| "a run did not say what it did".to_owned())
}

/// The process that is counted.
pub(super) fn child(count: &Count) -> Result<ExitCode, String> {
    let entry = works::find(&count.work).ok_or("no such work")?;
    let peer = Peer::find(&count.runtime).ok_or("no such runtime")?;
    if entry.manner == Manner::Network {
        this_process::allow_many_files().map_err(text)?;
        served::keep_apart().map_err(text)?;
    }
    let runtime = peer.start(count.workers).map_err(text)?;
    let size = if count.size == "full" { Size::Full } else { Size::Counted };
    let work = (entry.make)(size);
    let mut ops = 0;
    for _ in 0..count.runs {
        ops += runtime.run(&*work).ops_in_all;
    }
    println!("{ops}");
    Ok(ExitCode::SUCCESS)
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

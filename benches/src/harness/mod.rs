//! Who runs when, and what becomes of the times.
//!
//! Each slot (one work on one runtime in one round) is a process of its own: a fresh heap, a peak of memory that is
//! this slot's alone, and a runtime that hangs or dies costs one slot. Within a work the rounds go A B C, B C A, C A B, so
//! that whatever else the machine does falls on all runtimes alike, and a ratio compares neighbours in time.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

mod counts;
mod options;
mod outputs;
mod plan;
mod plot;
mod progress;
mod results;
mod rounds;
mod slot;
mod stats;
mod table;

use options::{Command, Options};

pub use counts::Allocations;

/// The bench target's `main`; `allocs` is the program that counts allocations.
pub fn main(allocs: &Path) -> ExitCode {
    // Without `--bench`, which cargo adds, and without any option, this is `cargo test --benches`.
    if std::env::args().len() == 1 {
        eprintln!("nothing to test here; measure with: cargo bench -p benches -- [options]");
        return ExitCode::SUCCESS;
    }
    let options = Options::parse();
    let outcome = match &options.command {
        Some(Command::Slot(slot)) => slot::child(slot),
        Some(Command::Count(count)) => counts::child(count),
        Some(Command::Client { processors, load }) => slot::client(processors, load),
        None if options.list => {
            options::list(&options);
            Ok(ExitCode::SUCCESS)
        }
        None if !options.from.is_empty() => rounds::again(&options),
        None => rounds::run(&options, allocs),
    };
    outcome.unwrap_or_else(|error| {
        for line in error.lines() {
            eprintln!("error: {line}");
        }
        ExitCode::FAILURE
    })
}

/// The path of this program, which runs itself for each slot and for each count.
fn this_program() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("where is this program? {error}"))
}

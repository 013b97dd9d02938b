//! Allocations and bytes per operation: `cargo run --release -p benches --bin allocs`.
//!
//! A program of its own because its allocator counts, which costs time. What the work itself allocates, such as its
//! vector of handles, is in the figures, the same on every runtime.
#![forbid(unsafe_code)]

use std::alloc::System;
use std::process::ExitCode;

use benches::harness::Allocations;
use benches::runtimes::{PEERS, Peer};
use benches::works::{self, Entry, Manner, Size};
use clap::Parser;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Counts allocations and bytes per operation.
#[derive(Debug, Parser)]
#[command(name = "allocs")]
struct Options {
    /// Only this work.
    #[arg(long)]
    work: Option<String>,
    /// Only this runtime.
    #[arg(long)]
    runtime: Option<String>,
    /// Workers of each runtime that has several.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Prints the last count for a program.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let wanted = |name: &str, only: &Option<String>| only.as_deref().is_none_or(|only| only == name);
    let mut last = None;
    for entry in
        works::all().filter(|entry| entry.manner == Manner::Repeated && wanted(entry.name, &options.work))
    {
        let peers = PEERS.iter().filter(|peer| entry.is_for(peer) && wanted(peer.name, &options.runtime));
        for peer in peers {
            let counted = count(entry, peer, entry.workers.unwrap_or(options.workers));
            if !options.json {
                let Allocations { count, bytes } = counted;
                println!(
                    "{:<20} {:<22} {count:>8.3} allocations, {bytes:>9.1} bytes per {}",
                    entry.name, peer.name, entry.op
                );
            }
            last = Some(counted);
        }
    }
    match last {
        Some(counted) if options.json => {
            println!("{}", serde_json::to_string(&counted).expect("numbers can be written"));
            ExitCode::SUCCESS
        }
        Some(_) => ExitCode::SUCCESS,
        None => {
            eprintln!("allocs: no such work or runtime, or the one is not for the other");
            ExitCode::FAILURE
        }
    }
}

fn count(entry: &Entry, peer: &Peer, workers: usize) -> Allocations {
    let runtime = peer.start(workers).expect("threads can be had");
    let work = (entry.make)(Size::Counted);
    // Queues that grow once have grown.
    runtime.run(&*work);
    let region = Region::new(ALLOCATOR);
    let ops = runtime.run(&*work).ops as f64;
    let change = region.change();
    let count = (change.allocations + change.reallocations) as f64 / ops;
    // Of a reallocation, the bytes by which it grew.
    Allocations { count, bytes: change.bytes_allocated as f64 / ops }
}

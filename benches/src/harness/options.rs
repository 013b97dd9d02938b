//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use super::results::Results;
use crate::client::Load;
use crate::machine::Setting;
use crate::runtimes::{PEERS, Peer};
use crate::works::{self, Entry};

/// The same work on treescope and on its peers, in one interleaved run.
#[derive(Debug, Parser)]
#[command(name = "benches", bin_name = "cargo bench -p benches --")]
pub(super) struct Options {
    /// Only these works, comma-separated; a name stands for its variants as well.
    #[arg(long, value_delimiter = ',', value_name = "WORK")]
    only: Vec<String>,
    /// Only these runtimes, comma-separated. Ratios need tokio among them.
    #[arg(long, value_delimiter = ',', value_name = "RUNTIME")]
    runtimes: Vec<String>,
    /// Fewer and shorter rounds, no variants: less than three minutes.
    #[arg(long)]
    pub(super) quick: bool,
    /// Rounds per work.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Workers of each runtime that has several. Default: as many as processors.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// Measures nothing: prints and draws what earlier runs wrote with --json, comma-separated; of that what --only and
    /// --runtimes name.
    #[arg(
        long,
        value_name = "FILE",
        value_delimiter = ',',
        conflicts_with_all = ["quick", "rounds", "workers", "counts", "list"]
    )]
    pub(super) from: Vec<PathBuf>,
    /// Writes all results, rounds included.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Writes the table that is printed.
    #[arg(long, value_name = "FILE")]
    pub(super) markdown: Option<PathBuf>,
    /// Writes a plot per work and one of all, as SVG.
    #[arg(long, value_name = "DIR")]
    pub(super) plots: Option<PathBuf>,
    /// Counts instructions, allocations and system calls as well: minutes more. Needs valgrind and strace.
    #[arg(long)]
    pub(super) counts: bool,
    /// Lists works and runtimes, and runs nothing.
    #[arg(long)]
    pub(super) list: bool,
    /// What cargo bench adds.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// One slot, in a process of its own.
    #[command(name = "__slot", hide = true)]
    Slot(Slot),
    /// What is run to be counted.
    #[command(name = "__count", hide = true)]
    Count(Count),
    /// The other end of a slot with sockets.
    #[command(name = "__client", hide = true)]
    Client {
        /// Which it keeps to.
        #[arg(long, value_delimiter = ',')]
        processors: Vec<usize>,
        #[command(flatten)]
        load: Load,
    },
}

/// What a slot's process is told.
#[derive(Clone, Debug, Args)]
pub(super) struct Slot {
    pub(super) work: String,
    pub(super) runtime: String,
    pub(super) workers: usize,
    /// How long to repeat the run.
    pub(super) millis: u64,
}

/// What a process that is counted is told.
#[derive(Clone, Debug, Args)]
pub(super) struct Count {
    pub(super) work: String,
    pub(super) runtime: String,
    pub(super) workers: usize,
    pub(super) runs: u32,
    /// `full` or `counted`.
    pub(super) size: String,
}

impl Options {
    pub(super) fn workers(&self) -> usize {
        self.workers.map_or_else(|| std::thread::available_parallelism().map_or(1, Into::into), Into::into)
    }

    pub(super) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 3 } else { 11 })
    }

    /// How the run is set up, for the report.
    pub(super) fn setting(&self) -> Setting {
        Setting { workers: self.workers(), rounds: self.rounds(), slot_ms: self.slot().as_millis() as u64 }
    }

    /// How long a slot repeats its run.
    pub(super) fn slot(&self) -> Duration {
        Duration::from_millis(if self.quick { 50 } else { 300 })
    }

    /// The works asked for.
    ///
    /// # Errors
    /// If a name in `--only` is no work's.
    pub(super) fn works(&self) -> Result<Vec<&'static Entry>, String> {
        if let Some(unknown) =
            self.only.iter().find(|name| !works::all().any(|entry| stands_for(name, entry.name)))
        {
            return Err(format!("there is no work `{unknown}`; --list shows them"));
        }
        let wanted = |entry: &&Entry| {
            if self.only.is_empty() {
                return !(self.quick && entry.is_variant());
            }
            // A variant that is asked for by its full name runs in quick runs as well.
            self.only.iter().any(|name| {
                entry.name == name || (stands_for(name, entry.name) && !(self.quick && entry.is_variant()))
            })
        };
        Ok(works::all().filter(wanted).collect())
    }

    /// The runtimes asked for.
    ///
    /// # Errors
    /// If a name in `--runtimes` is no runtime's.
    pub(super) fn peers(&self) -> Result<Vec<&'static Peer>, String> {
        if let Some(unknown) = self.runtimes.iter().find(|name| Peer::find(name).is_none()) {
            return Err(format!("there is no runtime `{unknown}`; --list shows them"));
        }
        let wanted =
            |peer: &&Peer| self.runtimes.is_empty() || self.runtimes.iter().any(|name| name == peer.name);
        Ok(PEERS.iter().filter(wanted).collect())
    }

    /// Leaves of earlier runs what is asked for.
    ///
    /// # Errors
    /// If a name is unknown, or nothing is left.
    pub(super) fn keep_wanted(&self, runs: &mut Vec<Results>) -> Result<(), String> {
        self.works()?;
        self.peers()?;
        for run in runs.iter_mut() {
            run.cells.retain(|cell| {
                (self.only.is_empty() || self.only.iter().any(|name| stands_for(name, cell.work)))
                    && (self.runtimes.is_empty() || self.runtimes.iter().any(|name| name == cell.runtime))
            });
        }
        runs.retain(|run| !run.cells.is_empty());
        if runs.is_empty() { Err("nothing in these files is asked for".to_owned()) } else { Ok(()) }
    }
}

/// Whether a name on the command line is that of `work` or of the work that it is a variant of.
fn stands_for(name: &str, work: &str) -> bool {
    work.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `--list`.
pub(super) fn list(options: &Options) {
    println!("works:");
    for entry in works::all() {
        println!("  {:<18} per {:<10} {}", entry.name, entry.op, entry.about);
    }
    println!("runtimes ({} workers where it is not said):", options.workers());
    for peer in PEERS {
        let works: Vec<_> = works::all()
            .filter(|entry| entry.runs_on.contains(&peer.kind) && !entry.is_variant())
            .map(|entry| entry.name)
            .collect();
        println!("  {:<22} {}", peer.name, works.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::plan;
    use crate::harness::results::Cell;
    use crate::machine::Machine;

    fn parsed(arguments: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["target/peers-7a2d"], arguments].concat())
    }

    #[test]
    fn help_says_how_it_is_run() {
        let help = parsed(&["--help"]).expect_err("help is no run").to_string();
        assert!(help.contains("Usage: cargo bench -p benches -- [OPTIONS]"), "{help}");
    }

    #[test]
    fn a_work_that_no_runtime_asked_for_can_do_is_an_error() {
        let options = parsed(&["--only", "echo", "--runtimes", "rayon"]).expect("both are known");
        assert!(plan::all(&options).is_err());
    }

    #[test]
    fn earlier_runs_take_no_options_that_are_of_a_run() {
        for option in [&["--quick"][..], &["--rounds", "3"], &["--workers", "1"], &["--counts"], &["--list"]]
        {
            assert!(parsed(&[&["--from", "a.json"], option].concat()).is_err(), "{option:?}");
        }
    }

    #[test]
    fn of_earlier_runs_the_works_and_runtimes_asked_for_are_left() {
        let left = |arguments: &[&str]| {
            let mut run = Results::new(Machine::look(Setting { workers: 1, rounds: 0, slot_ms: 0 }));
            for (work, peer) in [("fib", &PEERS[0]), ("echo/1", &PEERS[0]), ("echo/1", &PEERS[2])] {
                run.cells.push(Cell::new(works::find(work).expect("there is one"), peer, 1));
            }
            let mut runs = vec![run];
            parsed(arguments).map_err(|error| error.to_string())?.keep_wanted(&mut runs)?;
            Ok::<_, String>(runs.iter().map(|run| run.cells.len()).sum())
        };
        assert_eq!(left(&[]), Ok(3));
        assert_eq!(left(&["--only", "echo"]), Ok(2));
        assert_eq!(left(&["--only", "echo", "--runtimes", "tokio"]), Ok(1));
        assert!(left(&["--only", "skynet"]).is_err());
        assert!(left(&["--only", "no_such_work"]).is_err());
    }
}

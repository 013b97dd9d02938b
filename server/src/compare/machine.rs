//! Where and with what it was measured; without that, figures say nothing.

use std::fmt;
use std::fs;
use std::process::Command;

use serde::Serialize;

use crate::load::system;

/// See the [module](self). What cannot be found out is `unknown`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    processor: String,
    processors: usize,
    kernel: String,
    /// Of the repository, as it was when this was measured; with a `+` if files differed from it.
    commit: String,
    /// With a debug build, figures are those of unoptimised code.
    debug_build: bool,
    /// How to do it again.
    command: String,
    /// Who ran where.
    pub(super) placement: String,
    /// How many tasks were ready to run on the machine, on average over the last minute, before it began.
    load_before: String,
}

impl Machine {
    pub(super) fn look(placement: &Placement) -> Self {
        let unknown = || "unknown".to_owned();
        let changed = said("git", &["status", "--porcelain", "--untracked-files=no"]).is_some();
        let commit = said("git", &["rev-parse", "--short=10", "HEAD"]);
        let load = fs::read_to_string("/proc/loadavg").ok();
        let args: Vec<_> = std::env::args().skip(1).collect();
        Machine {
            processor: processor().unwrap_or_else(unknown),
            processors: std::thread::available_parallelism().map_or(1, Into::into),
            kernel: said("uname", &["-sr"]).unwrap_or_else(unknown),
            commit: commit.map_or_else(unknown, |commit| if changed { commit + "+" } else { commit }),
            debug_build: cfg!(debug_assertions),
            command: format!("server {}", args.join(" ")),
            placement: placement.to_string(),
            load_before: load
                .and_then(|text| Some(text.split_whitespace().next()?.to_owned()))
                .unwrap_or_else(unknown),
        }
    }

    /// One line, for a plot.
    pub(super) fn line(&self) -> String {
        let Machine { processor, processors, kernel, commit, command, .. } = self;
        let changes = if commit.ends_with('+') { " (+: with uncommitted changes)" } else { "" };
        let build = if self.debug_build { ", debug build" } else { "" };
        format!("{processors} x {processor}, {kernel}, commit {commit}{changes}{build}, `{command}`")
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { placement, load_before, .. } = self;
        write!(f, "{}. {placement}. Load average before: {load_before}.", self.line())
    }
}

#[cfg(test)]
impl Machine {
    /// One that was not looked at.
    pub(super) fn example() -> Self {
        let text = str::to_owned;
        Machine {
            processor: text("Some Processor"),
            processors: 2,
            kernel: text("Linux 6.1"),
            commit: text("0123456789"),
            debug_build: false,
            command: text("server compare"),
            placement: text("Server and generator share one processor"),
            load_before: text("0.10"),
        }
    }

    pub(super) fn with_command(self, command: String) -> Self {
        Machine { command, ..self }
    }
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// What a command prints, where the sources are; `None` for nothing.
fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// Which processors the server and the generator keep to; none: as the system likes.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    /// How many there are.
    all: usize,
    pub(super) server: Vec<usize>,
    pub(super) load: Vec<usize>,
}

impl Placement {
    /// The last processor is the generator's and the others the server's, if there are two at least.
    pub(super) fn apart() -> Self {
        Self::of(system::processors())
    }

    fn of(mut processors: Vec<usize>) -> Self {
        let all = processors.len().max(1);
        match processors.pop() {
            Some(last) if !processors.is_empty() => Placement { all, server: processors, load: vec![last] },
            _ => Placement { all, server: vec![], load: vec![] },
        }
    }

    /// The same if that leaves the server two processors; else both have all, for with one processor nothing
    /// could be gained by more threads.
    pub(super) fn for_threads(&self) -> Self {
        if self.server.len() >= 2 {
            return self.clone();
        }
        Placement { all: self.all, server: vec![], load: vec![] }
    }

    /// How many threads a server has.
    pub(super) fn workers(&self) -> usize {
        if self.server.is_empty() { self.all } else { self.server.len() }
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.load[..] {
            [] => f.write_str("Server and generator share one processor"),
            load => {
                write!(
                    f,
                    "The server is pinned to processors {:?} and the generator to {load:?}",
                    self.server
                )?;
                if self.for_threads().server.is_empty() {
                    f.write_str(
                        ", except where handlers compute: there both share all, so that threads can be of use",
                    )?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_figures_are_not_worth_is_said_beside_them() {
        let clean = Machine { commit: "0123456789".to_owned(), debug_build: false, ..Machine::example() };
        assert!(!clean.line().contains('+') && !clean.line().contains("debug"), "{}", clean.line());
        let other = Machine { commit: "0123456789+".to_owned(), debug_build: true, ..clean };
        let expected = "commit 0123456789+ (+: with uncommitted changes), debug build, `server compare`";
        assert!(other.line().contains(expected), "{}", other.line());
        assert!(other.to_string().starts_with(&other.line()), "{other}");
    }

    #[test]
    fn server_and_generator_are_apart_where_there_is_room() {
        let four = Placement::of(vec![0, 1, 2, 5]);
        assert_eq!((&four.server[..], &four.load[..], four.workers()), (&[0, 1, 2][..], &[5][..], 3));
        assert_eq!(four.for_threads().server, four.server);
        let two = Placement::of(vec![0, 1]);
        assert_eq!((&two.server[..], &two.load[..], two.workers()), (&[0][..], &[1][..], 1));
        let threads = two.for_threads();
        assert!(threads.server.is_empty() && threads.load.is_empty() && threads.workers() == 2);
        let one = Placement::of(vec![3]);
        assert!(one.server.is_empty() && one.load.is_empty() && one.workers() == 1);
    }
}

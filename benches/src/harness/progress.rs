//! The progress line: what runs now, and how long it will still take.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// On a terminal one line, rewritten; otherwise a line per round and what [`Progress::say`] is told.
#[derive(Debug)]
pub(super) struct Progress {
    start: Instant,
    rounds: u32,
    total: usize,
    steps: usize,
    terminal: bool,
}

impl Progress {
    /// `cells` slots in each of `rounds`.
    pub(super) fn new(cells: usize, rounds: u32) -> Self {
        let total = cells * rounds as usize;
        Self { start: Instant::now(), rounds, total, steps: 0, terminal: stderr().is_terminal() }
    }

    /// This slot runs now.
    pub(super) fn show(&self, round: u32, work: &str, peer: &str) {
        if self.terminal {
            let Self { rounds, total, steps, .. } = self;
            let left = self.left().map(|left| format!(", {} left", clock(left))).unwrap_or_default();
            eprint!("\r\x1b[K[{steps}/{total}] {work} on {peer}, round {} of {rounds}{left}", round + 1);
            let _ = stderr().flush();
        }
    }

    /// Something is counted now, which the slots do not include.
    pub(super) fn count(&self, work: &str, peer: &str) {
        if self.terminal {
            eprint!("\r\x1b[K[{}/{}] counts of {work} on {peer}", self.steps, self.total);
            let _ = stderr().flush();
        }
    }

    /// It has run.
    pub(super) fn step(&mut self) {
        self.steps += 1;
    }

    /// This round of a work has run.
    pub(super) fn round(&self, round: u32, work: &str) {
        if !self.terminal {
            self.say(&format!("{work}, round {} of {}", round + 1, self.rounds));
        }
    }

    /// A line that stays.
    pub(super) fn say(&self, line: &str) {
        if self.terminal {
            eprintln!("\r\x1b[K{line}");
        } else {
            let left = self.left().map(|left| format!(" {} left", clock(left))).unwrap_or_default();
            eprintln!("[{}/{}{left}] {line}", self.steps, self.total);
        }
    }

    /// Clears the line.
    pub(super) fn done(&self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
        eprintln!("{} slots in {}", self.steps, clock(self.start.elapsed()));
    }

    /// As if the rest took as long per slot as what has been.
    fn left(&self) -> Option<Duration> {
        let share = (self.total - self.steps) as f64 / self.steps as f64;
        share.is_finite().then(|| self.start.elapsed().mul_f64(share))
    }
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 { format!("{seconds} s") } else { format!("{} min {:02} s", seconds / 60, seconds % 60) }
}

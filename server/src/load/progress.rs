//! How far it is: a bar on a terminal, and a line now and then where there is none.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::Watch;

/// How often there is a line.
const EVERY: Duration = Duration::from_secs(10);

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many of the connections are made.
    Connecting {
        /// How many are.
        made: usize,
        /// How many there are to be.
        of: usize,
    },
    /// Messages go, by the clock.
    Running {
        /// How long they have.
        passed: Duration,
        /// How long they will; [`Duration::MAX`] if only their number counts.
        of: Duration,
        /// How many have arrived.
        arrived: u64,
        /// How many are to, if their number counts.
        wanted: Option<u64>,
    },
    /// The time is over, and what was due in it is still sent and arrives.
    Draining {
        /// How many have arrived.
        arrived: u64,
        /// How many have not.
        left: u64,
    },
}

impl Progress {
    /// What is done, and of how much.
    fn share(self) -> (u64, u64) {
        match self {
            Progress::Connecting { made, of } => (made as u64, of as u64),
            Progress::Running { arrived, wanted: Some(wanted), of: Duration::MAX, .. } => (arrived, wanted),
            Progress::Running { passed, of, .. } => (passed.as_millis() as u64, of.as_millis() as u64),
            Progress::Draining { arrived, left } => (arrived, arrived + left),
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Progress::Connecting { made, of } => write!(f, "connecting, {made} of {of}"),
            Progress::Running { passed, of, arrived, wanted } => {
                write!(f, "{arrived}")?;
                if let Some(wanted) = wanted {
                    write!(f, " of {wanted}")?;
                }
                f.write_str(" messages")?;
                if of == Duration::MAX {
                    return Ok(());
                }
                write!(f, ", {:.1} s left", of.saturating_sub(passed).as_secs_f64())
            }
            Progress::Draining { arrived, left } => {
                write!(f, "{arrived} messages, the time is over and {left} are still on their way")
            }
        }
    }
}

/// Shows it on stderr.
#[derive(Debug)]
pub(super) enum Shown {
    Bar(ProgressBar),
    /// When the last line was, or the start.
    Lines(Instant),
}

impl Shown {
    pub(super) fn new() -> io::Result<Self> {
        if !io::stderr().is_terminal() {
            return Ok(Shown::Lines(Instant::now()));
        }
        let style = ProgressStyle::with_template("{bar:30} {msg}").map_err(io::Error::other)?;
        Ok(Shown::Bar(ProgressBar::new(1).with_style(style)))
    }

    /// Leaves the terminal as it was.
    pub(super) fn clear(&self) {
        if let Shown::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

impl Watch for Shown {
    fn progress(&mut self, progress: Progress) {
        match self {
            Shown::Bar(bar) => {
                let (done, of) = progress.share();
                bar.set_length(of);
                bar.set_position(done);
                bar.set_message(progress.to_string());
            }
            Shown::Lines(last) if last.elapsed() >= EVERY => {
                *last = Instant::now();
                // Nobody has to read it.
                let _ = writeln!(io::stderr(), "{progress}");
            }
            Shown::Lines(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_says_what_it_is_and_how_far() {
        let s = Duration::from_secs;
        let running = |of, wanted| Progress::Running { passed: s(2), of, arrived: 70, wanted };
        for (progress, text, share) in [
            (Progress::Connecting { made: 3, of: 10 }, "connecting, 3 of 10", (3, 10)),
            (running(s(5), None), "70 messages, 3.0 s left", (2000, 5000)),
            (running(s(5), Some(100)), "70 of 100 messages, 3.0 s left", (2000, 5000)),
            (running(Duration::MAX, Some(100)), "70 of 100 messages", (70, 100)),
            (
                Progress::Draining { arrived: 70, left: 30 },
                "70 messages, the time is over and 30 are still on their way",
                (70, 100),
            ),
        ] {
            assert_eq!((progress.to_string().as_str(), progress.share()), (text, share));
        }
    }
}

//! What goes on and how long it will take: a bar on a terminal, and a line now and then where there is none.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often there is a line.
const EVERY: Duration = Duration::from_secs(10);

pub(super) enum Progress {
    Bar(ProgressBar),
    Lines(Lines),
}

impl Progress {
    /// Of so many steps.
    pub(super) fn new(steps: usize) -> Self {
        if !io::stderr().is_terminal() {
            return Progress::Lines(Lines::every(EVERY, steps, print));
        }
        let bar = ProgressBar::new(steps as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len}, {eta} left: {msg}") {
            bar.set_style(style);
        }
        Progress::Bar(bar)
    }

    /// The next step begins.
    pub(super) fn step(&self, what: String) {
        match self {
            Progress::Bar(bar) => {
                bar.set_message(what);
                bar.inc(1);
            }
            Progress::Lines(lines) => lines.step(what),
        }
    }

    /// A line that stays.
    pub(super) fn say(&self, line: String) {
        match self {
            Progress::Bar(bar) => bar.println(line),
            Progress::Lines(_) => print(&line),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Progress::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// Nobody has to read it.
fn print(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// The step that was begun last, and what it is.
type Now = Arc<Mutex<(usize, String)>>;

/// Says now and then what goes on. In a thread, for a step may take longer than that.
pub(super) struct Lines {
    now: Now,
    /// Ends the thread when it is dropped.
    end: Option<mpsc::Sender<()>>,
    /// `None`: the system has no thread to spare, and it is done without.
    thread: Option<JoinHandle<()>>,
}

impl Lines {
    fn every(time: Duration, steps: usize, say: impl Fn(&str) + Send + 'static) -> Self {
        let (end, ended) = mpsc::channel();
        let now = Now::default();
        let shared = Arc::clone(&now);
        let run = move || {
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(time) {
                let (step, what) = lock(&shared).clone();
                say(&format!("{step}/{steps}: {what}"));
            }
        };
        let thread = thread::Builder::new().name("progress".to_owned()).spawn(run).ok();
        Lines { now, end: Some(end), thread }
    }

    fn step(&self, what: String) {
        let (step, now) = &mut *lock(&self.now);
        *step += 1;
        *now = what;
    }
}

/// Whatever panicked with it, it is a number and a text.
fn lock(now: &Now) -> MutexGuard<'_, (usize, String)> {
    now.lock().unwrap_or_else(PoisonError::into_inner)
}

/// No line comes after it.
impl Drop for Lines {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_is_no_terminal_a_line_says_now_and_then_what_runs_and_how_far_it_is() {
        let (said, heard) = mpsc::channel();
        let lines = Lines::every(Duration::from_millis(5), 3, move |line| {
            let _ = said.send(line.to_owned());
        });
        lines.step("one".to_owned());
        lines.step("two".to_owned());
        // Those before may have been said meanwhile.
        assert!(heard.iter().any(|line| line == "2/3: two"));
        assert!(heard.iter().any(|line| line == "2/3: two"), "though nothing has changed");
        drop(lines);
        // It ends, for the sender is gone.
        assert!(heard.iter().all(|line| line == "2/3: two"));
    }
}

//! What goes on and how long it will take: on a terminal only.

use indicatif::{ProgressBar, ProgressStyle};

pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Of so many steps.
    pub(super) fn new(steps: usize) -> Self {
        let bar = ProgressBar::new(steps as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len}, {eta} left: {msg}") {
            bar.set_style(style);
        }
        Progress(bar)
    }

    /// The next step begins.
    pub(super) fn step(&self, what: String) {
        self.0.set_message(what);
        self.0.inc(1);
    }

    /// A line that stays.
    pub(super) fn say(&self, line: String) {
        self.0.println(line);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

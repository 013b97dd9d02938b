//! How each design behaves when a client does not: what is seen, cell by cell, on a server of its own for each.
//!
//! A server that dies or hangs fills its cell with that; whatever waits for it here has a deadline.

mod burst;
mod client;
mod flood;
mod idle;
mod leaving;
mod stop;

pub(super) use idle::Step;

use serde::Serialize;

use super::machine::Placement;
use super::progress::Progress;
use super::subject::Subject;

/// What was seen, or why nothing was.
pub(super) type Seen<T> = Result<T, String>;

/// How far each test goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) quick: bool,
}

/// All that was seen of one subject.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) subject: Subject,
    pub(super) flood: Seen<flood::Flood>,
    pub(super) leaving: Seen<leaving::Leaving>,
    pub(super) burst: Seen<burst::Burst>,
    pub(super) idle: Seen<idle::Idle>,
    pub(super) stop: Seen<stop::Stopped>,
}

/// How many steps there are for each subject.
pub(super) const STEPS: usize = 5;

/// Looks at each subject.
pub(super) fn run(
    subjects: &[Subject],
    extent: Extent,
    placement: &Placement,
    progress: &Progress,
) -> Vec<Row> {
    let one = |&subject: &Subject| {
        let step = |what: &str| progress.step(format!("{what}, {subject}"));
        let bench = Bench { subject, placement, extent };
        let row = Row {
            subject,
            flood: {
                step("a flood to a reader that does not read");
                flood::run(&bench)
            },
            leaving: {
                step("clients that leave");
                leaving::run(&bench)
            },
            burst: {
                step("10,000 frames at once");
                burst::run(&bench)
            },
            idle: {
                step("idle connections");
                idle::run(&bench)
            },
            stop: {
                step("a stop with work queued");
                stop::run(&bench)
            },
        };
        progress.say(format!("{subject}: seen"));
        row
    };
    subjects.iter().map(one).collect()
}

/// What each test is done with.
struct Bench<'a> {
    subject: Subject,
    placement: &'a Placement,
    extent: Extent,
}

impl Bench<'_> {
    /// A server with these further options.
    fn server(&self, options: &[&str]) -> Seen<super::process::Server> {
        let workers = self.placement.workers().to_string();
        let all: Vec<_> =
            ["--workers", &workers].iter().chain(options).map(|&option| option.to_owned()).collect();
        super::process::Server::start(self.subject, &self.placement.server, &all)
    }
}

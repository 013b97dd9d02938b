//! What was aimed at for the scoped server, and what came of it.

use super::super::rounds::{Cell, Pick, Section};
use super::super::stats::{less, more};
use super::super::subject::Subject;
use super::super::workload::Workload;
use super::figure::number;
use crate::designs::Design;
use crate::runtimes::RuntimeKind;

const SCOPED: Subject = Subject { design: Design::Scoped, runtime: RuntimeKind::Treescope };
/// The designs whose every message is a write of its own: S2 and S3.
const UNCOALESCED: [Design; 2] = [Design::Mutex, Design::Dispatcher];

/// One aim: a figure's ratio to others', and the bound.
struct Target {
    what: &'static str,
    /// In which workloads.
    workloads: fn(&Workload) -> bool,
    pick: Pick,
    these: fn(Subject) -> bool,
    /// Which of those is compared with: the best, in this sense.
    better: fn(f64, f64) -> bool,
    bound: Bound,
}

enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    fn is_kept(&self, ratio: f64) -> bool {
        match *self {
            Bound::AtLeast(bound) => ratio >= bound,
            Bound::AtMost(bound) => ratio <= bound,
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Bound::AtLeast(bound) => write!(f, "at least {}", number(bound)),
            Bound::AtMost(bound) => write!(f, "at most {}", number(bound)),
        }
    }
}

const TARGETS: &[Target] = &[
    Target {
        what: "messages/s, of the best design on tokio",
        // At a fixed rate all that keep up are alike.
        workloads: |workload| !workload.series && workload.rate.is_none(),
        pick: |figures| figures.messages_per_second,
        these: Subject::is_peer,
        better: more,
        bound: Bound::AtLeast(1.0),
    },
    Target {
        what: "p99, of the same design on tokio",
        workloads: |workload| workload.name == "many",
        pick: |figures| figures.p99_us,
        these: |subject| subject.is_peer() && subject.design == Design::Scoped,
        better: less,
        bound: Bound::AtMost(0.5),
    },
    Target {
        what: "deliveries/s, of the better of mutex and dispatcher on any runtime",
        // Where many frames are on their way.
        workloads: |workload| matches!(workload.name, "deep" | "flood"),
        pick: |figures| figures.messages_per_second,
        these: |subject| UNCOALESCED.contains(&subject.design),
        better: more,
        bound: Bound::AtLeast(10.0),
    },
    Target {
        what: "processor time per message, of the bare loop's",
        workloads: |workload| !workload.series,
        pick: |figures| figures.cpu_us_per_message,
        these: Subject::is_floor,
        better: less,
        bound: Bound::AtMost(1.05),
    },
];

/// A row for each target and workload; nothing if the scoped server was not measured.
pub(in super::super) fn markdown(sections: &[Section]) -> String {
    let mut rows = String::new();
    for target in TARGETS {
        for section in sections.iter().filter(|section| (target.workloads)(&section.workload)) {
            let cell = section.cells.iter().find(|cell| cell.subject == SCOPED);
            rows += &cell.and_then(|cell| row(target, section, cell)).unwrap_or_default();
        }
    }
    if rows.is_empty() {
        return rows;
    }
    format!(
        "`{SCOPED}`, medians of the ratios within each round:\n\n| | workload | aim | ratio | |\n|---|---|--:|--:|---|\n{rows}"
    )
}

fn row(target: &Target, section: &Section, cell: &Cell) -> Option<String> {
    let ratio = section.ratio_to(target.these, cell, target.pick, target.better)?;
    let verdict = if target.bound.is_kept(ratio) { "met" } else { "**missed**" };
    Some(format!(
        "| {} | {} | {} | {} | {verdict} |\n",
        target.what,
        section.workload.name,
        target.bound,
        number(ratio)
    ))
}

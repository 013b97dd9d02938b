//! What was aimed at for the scoped server, and what came of it.

use super::super::rounds::{Cell, Pick, Section};
use super::super::stats::{less, more};
use super::super::subject::Subject;
use super::super::workload::Workload;
use super::figure::{near, number};
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
    /// Whether a server that the generator cannot keep busy would have a better figure with a faster one.
    limited: bool,
}

enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    fn value(&self) -> f64 {
        match *self {
            Bound::AtLeast(bound) | Bound::AtMost(bound) => bound,
        }
    }

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
        limited: true,
    },
    Target {
        what: "p99, of the same design on tokio",
        workloads: |workload| workload.name == "many",
        pick: |figures| figures.p99_us,
        these: |subject| subject.is_peer() && subject.design == Design::Scoped,
        better: less,
        bound: Bound::AtMost(0.5),
        limited: false,
    },
    Target {
        what: "deliveries/s, of the better of mutex and dispatcher on any runtime",
        // Where many frames are on their way.
        workloads: |workload| matches!(workload.name, "deep" | "flood"),
        pick: |figures| figures.messages_per_second,
        these: |subject| UNCOALESCED.contains(&subject.design),
        better: more,
        bound: Bound::AtLeast(10.0),
        limited: true,
    },
    Target {
        what: "processor time per message, of the bare loop's",
        workloads: |workload| !workload.series,
        pick: |figures| figures.cpu_us_per_message,
        these: Subject::is_floor,
        better: less,
        bound: Bound::AtMost(1.05),
        limited: false,
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
    let verdict = verdict(target, section, cell, ratio);
    Some(format!(
        "| {} | {} | {} | {} | {verdict} |\n",
        target.what,
        section.workload.name,
        target.bound,
        near(ratio, target.bound.value())
    ))
}

/// Of a figure that the generator limits, a value that is marked (!) is the least that it can be. So a ratio is the
/// least that it can be if only the scoped server's is marked, the most if only those that it is compared with are,
/// and says nothing if both are.
fn verdict(target: &Target, section: &Section, cell: &Cell, ratio: f64) -> &'static str {
    const UNTOLD: &str = "cannot be told: the generator is the limit (!)";
    let mut others = section.cells.iter().filter(|other| (target.these)(other.subject));
    let own = target.limited && cell.is_saturated();
    let others = target.limited && others.any(Cell::is_saturated);
    match (target.bound.is_kept(ratio), own, others) {
        (true, false, false) => "met",
        (true, true, false) => "met: the ratio is a lower bound (!)",
        (true, _, true) | (false, true, _) => UNTOLD,
        (false, false, _) => "**missed**",
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::{cell, figures, section};
    use super::*;

    /// The lines about messages/s, and the one about processor time, of `pairs` on a scoped server and on another,
    /// each with its messages/s and whether the generator was its limit.
    fn lines(scoped: (f64, bool), other: (f64, bool)) -> (String, String) {
        let rounds = |(rate, saturated)| [figures(rate, saturated); 3];
        let cells = vec![
            cell("scoped/treescope", &rounds(scoped)),
            cell("mutex/tokio", &rounds(other)),
            cell("floor", &rounds((1e6, true))),
        ];
        let text = markdown(&[section("pairs", cells)]);
        let line =
            |what: &str| text.lines().find(|line| line.contains(what)).expect("there is a line").to_owned();
        (line("messages/s, of the best"), line("processor time"))
    }

    #[test]
    fn what_the_generator_limits_is_not_held_against_the_server() {
        for (scoped, other, expected) in [
            ((9e5, false), (1e6, false), "| 0.90 | **missed** |"),
            ((9e5, true), (1e6, true), "| 0.90 | cannot be told: the generator is the limit (!) |"),
            ((9e5, true), (1e6, false), "| 0.90 | cannot be told: the generator is the limit (!) |"),
            ((9e5, false), (1e6, true), "| 0.90 | **missed** |"),
            ((2e6, false), (1e6, false), "| 2.00 | met |"),
            ((2e6, true), (1e6, false), "| 2.00 | met: the ratio is a lower bound (!) |"),
            ((2e6, true), (1e6, true), "| 2.00 | cannot be told: the generator is the limit (!) |"),
        ] {
            let (throughput, processor) = lines(scoped, other);
            assert!(throughput.ends_with(expected), "{scoped:?}, {other:?}: {throughput}");
            assert!(processor.ends_with("| 1.00 | met |"), "{processor}");
        }
    }

    #[test]
    fn most_rounds_decide_whether_the_generator_is_the_limit() {
        for (saturated, expected) in [([true, false, false], false), ([true, true, false], true)] {
            let rounds = saturated.map(|saturated| figures(1e6, saturated));
            assert_eq!(cell("scoped/treescope", &rounds).is_saturated(), expected);
        }
        assert!(!super::super::example::failed("floor", "it died").is_saturated());
    }

    #[test]
    fn a_target_that_is_nearly_met_is_seen_to_be_missed() {
        let (throughput, _) = lines((996_000.0, false), (1e6, false));
        assert!(throughput.ends_with("| at least 1.00 | 0.996 | **missed** |"), "{throughput}");
    }
}

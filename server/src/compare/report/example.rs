//! Sections that nobody measured, for tests.

use super::super::rounds::{Cell, Section};
use super::super::slot::Figures;
use super::super::subject::Subject;
use super::super::workload::{WORKLOADS, Workload};

pub(in super::super) fn workload(name: &str) -> Workload {
    *WORKLOADS.iter().find(|workload| workload.name == name).expect("there is such a workload")
}

pub(in super::super) fn subject(name: &str) -> Subject {
    Subject::named(&[name.to_owned()]).expect("there is such a subject")[0]
}

pub(in super::super) fn figures(messages_per_second: f64, saturated: bool) -> Figures {
    Figures {
        messages_per_second,
        p50_us: 50.0,
        p99_us: 90.0,
        p999_us: 400.0,
        evenness: 1.0,
        cpu_us_per_message: 2.0,
        switches_per_message: 0.0042,
        rss_kib_per_connection: 3.0,
        server_share: 0.75,
        generator_share: 0.5,
        generator_waiting: 0.0,
        generator_late_p99_us: 1.0,
        saturated,
    }
}

pub(in super::super) fn cell(name: &str, rounds: &[Figures]) -> Cell {
    Cell { subject: subject(name), rounds: rounds.iter().copied().map(Some).collect(), failure: None }
}

pub(in super::super) fn failed(name: &str, why: &str) -> Cell {
    Cell { subject: subject(name), rounds: vec![None, None], failure: Some(why.to_owned()) }
}

pub(in super::super) fn section(name: &str, cells: Vec<Cell>) -> Section {
    Section { workload: workload(name), cells }
}

/// What a run of all workloads on all subjects gives, in which one hangs.
pub(in super::super) fn everything() -> Vec<Section> {
    let one = |subject: Subject| {
        let name = subject.to_string();
        if name.starts_with("mutex-deadlock") {
            return failed(&name, "the server did not greet connection 2 within 2s");
        }
        let round = |factor: f64| Figures { p50_us: 50.0 * factor, ..figures(1e5 / factor, false) };
        cell(&name, &[round(1.0), round(3.0)])
    };
    WORKLOADS.iter().map(|&workload| Section { workload, cells: Subject::all().map(one).collect() }).collect()
}

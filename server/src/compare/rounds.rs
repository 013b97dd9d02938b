//! All workloads on all servers, in rounds: A B C A B C.

use serde::Serialize;

use super::machine::Placement;
use super::progress::Progress;
use super::slot::{self, Failure, Figures, Times};
use super::stats::{self, median};
use super::subject::Subject;
use super::workload::Workload;

/// One workload on one subject, in all rounds.
#[derive(Debug, Serialize)]
pub(super) struct Cell {
    pub(super) subject: Subject,
    pub(super) rounds: Vec<Option<Figures>>,
    /// Why a round is missing; it was not tried again.
    pub(super) failure: Option<String>,
}

/// One workload on all subjects.
#[derive(Debug, Serialize)]
pub(super) struct Section {
    #[serde(flatten)]
    pub(super) workload: Workload,
    pub(super) cells: Vec<Cell>,
}

/// A figure.
pub(super) type Pick = fn(&Figures) -> f64;

impl Cell {
    pub(super) fn median(&self, pick: Pick) -> Option<f64> {
        median(self.values(pick).into_iter().flatten())
    }

    /// The lowest and the highest.
    pub(super) fn range(&self, pick: Pick) -> Option<(f64, f64)> {
        let mut values: Vec<_> = self.values(pick).into_iter().flatten().collect();
        values.sort_by(f64::total_cmp);
        Some((*values.first()?, *values.last()?))
    }

    pub(super) fn is_measured(&self) -> bool {
        self.rounds.iter().any(Option::is_some)
    }

    /// Why there are no figures, where there are none.
    pub(super) fn why_not(&self) -> &str {
        self.failure.as_deref().unwrap_or_else(|| Failure::Nothing.text())
    }

    /// Whether the generator was the limit in most rounds, or in half of them: a median is then not the server's.
    pub(super) fn is_saturated(&self) -> bool {
        let measured = self.rounds.iter().flatten().count();
        let saturated = self.rounds.iter().flatten().filter(|figures| figures.saturated).count();
        saturated > 0 && 2 * saturated >= measured
    }

    fn values(&self, pick: Pick) -> Vec<Option<f64>> {
        self.rounds.iter().map(|round| round.as_ref().map(pick)).collect()
    }
}

impl Section {
    /// Whether any subject has any figures.
    pub(super) fn is_measured(&self) -> bool {
        self.cells.iter().any(Cell::is_measured)
    }

    /// A figure as a ratio, within rounds, to that of the design on tokio that has the best.
    pub(super) fn ratio(&self, cell: &Cell, pick: Pick, better: fn(f64, f64) -> bool) -> Option<f64> {
        self.ratio_to(Subject::is_peer, cell, pick, better)
    }

    /// The same, to the best of `these`.
    pub(super) fn ratio_to(
        &self,
        these: impl Fn(Subject) -> bool,
        cell: &Cell,
        pick: Pick,
        better: fn(f64, f64) -> bool,
    ) -> Option<f64> {
        let peers = self.cells.iter().filter(|cell| these(cell.subject));
        let peers: Vec<_> = peers.map(|peer| peer.values(pick)).collect();
        let peers: Vec<_> = peers.iter().map(Vec::as_slice).collect();
        stats::ratio(&cell.values(pick), &peers, better)
    }
}

/// Measures.
pub(super) fn run(
    subjects: &[Subject],
    workloads: &[Workload],
    rounds: u32,
    times: Times,
    placement: &Placement,
    progress: &Progress,
) -> Vec<Section> {
    let threads = placement.for_threads();
    // Those that do not even greet do not for any workload; to wait for that once is enough.
    let mut useless: Vec<(Subject, String)> = Vec::new();
    let mut sections = Vec::new();
    for &workload in workloads {
        let placement = if workload.series { &threads } else { placement };
        let mut cells: Vec<_> =
            subjects.iter().map(|&subject| Cell { subject, rounds: Vec::new(), failure: None }).collect();
        for round in 1..=rounds {
            for cell in &mut cells {
                let known = useless.iter().find(|(subject, _)| *subject == cell.subject);
                cell.failure = cell.failure.take().or_else(|| known.map(|(_, why)| why.clone()));
                progress.step(format!("{} on {}, round {round} of {rounds}", workload.name, cell.subject));
                if cell.failure.is_some() {
                    cell.rounds.push(None);
                    continue;
                }
                match slot::run(cell.subject, &workload, placement, times) {
                    Ok(figures) => cell.rounds.push(Some(figures)),
                    Err(failure) => {
                        cell.rounds.push(None);
                        let text = failure.text().to_owned();
                        progress.say(format!("{} on {}: {text}", workload.name, cell.subject));
                        if let Failure::Useless(_) = failure {
                            useless.push((cell.subject, text.clone()));
                        }
                        if !matches!(failure, Failure::Nothing) {
                            cell.failure = Some(text);
                        }
                    }
                }
            }
        }
        sections.push(Section { workload, cells });
    }
    sections
}

//! What was measured, and the JSON of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::slot::Report;
use super::stats::{median, median_ratio, quantile};
use super::table;
use crate::machine::Machine;
use crate::runtimes::{Peer, TOKIO, TOKIO_1};
use crate::works::{self, Entry};

/// A whole run. `results` is the stable part of the JSON: other programs read it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'static"))]
pub(super) struct Results {
    pub(super) machine: Machine,
    #[serde(rename = "results")]
    pub(super) cells: Vec<Cell>,
}

/// One work on one runtime.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Cell {
    pub(super) work: &'static str,
    pub(super) runtime: &'static str,
    /// What the times are per.
    pub(super) op: &'static str,
    #[serde(skip)]
    pub(super) about: &'static str,
    /// Over the rounds. `None`: it never succeeded.
    pub(super) median_ns: Option<f64>,
    pub(super) quartiles_ns: Option<(f64, f64)>,
    pub(super) min_ns: Option<f64>,
    pub(super) max_ns: Option<f64>,
    /// Median over the rounds of the ratio to `tokio` in the same round: below 1 is faster than tokio.
    pub(super) ratio_to_tokio: Option<f64>,
    /// The same, to tokio with one worker.
    pub(super) ratio_to_tokio_1: Option<f64>,
    /// ns per operation of each round; `None` where it failed.
    pub(super) rounds: Vec<Option<f64>>,
    /// Medians over the rounds of what else was seen.
    pub(super) metrics: BTreeMap<String, f64>,
    /// Why rounds failed.
    pub(super) failures: Vec<String>,
    #[serde(skip)]
    seen: BTreeMap<String, Vec<f64>>,
}

impl Results {
    pub(super) fn new(machine: Machine) -> Self {
        Self { machine, cells: Vec::new() }
    }

    /// What earlier runs wrote, as of one run on the first one's machine.
    ///
    /// # Errors
    /// If a file cannot be read or is none of the harness's.
    pub(super) fn read(files: &[PathBuf]) -> Result<Self, String> {
        let read = |file: &PathBuf| -> Result<Self, String> {
            let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
            // Names are `&'static str` everywhere; a program that reads a few files and ends may leak them.
            let text: &'static str = text.leak();
            let mut results: Results =
                serde_json::from_str(text).map_err(|error| format!("{}: {error}", file.display()))?;
            for cell in &mut results.cells {
                cell.about = works::find(cell.work).map_or("", |entry| entry.about);
            }
            Ok(results)
        };
        let mut all = files.iter().map(read);
        let mut results = all.next().ok_or("no file")??;
        for more in all {
            results.cells.extend(more?.cells);
        }
        Ok(results)
    }

    /// Fills in the ratios.
    pub(super) fn compare(&mut self) {
        let rounds = |work: &str, runtime: &str| {
            let cell = self.cells.iter().find(|cell| cell.work == work && cell.runtime == runtime);
            cell.map(|cell| cell.rounds.clone()).unwrap_or_default()
        };
        let ratios: Vec<_> = self
            .cells
            .iter()
            .map(|cell| {
                let to = |base| median_ratio(&cell.rounds, &rounds(cell.work, base));
                (to(TOKIO), to(TOKIO_1))
            })
            .collect();
        for (cell, (tokio, tokio_1)) in self.cells.iter_mut().zip(ratios) {
            (cell.ratio_to_tokio, cell.ratio_to_tokio_1) = (tokio, tokio_1);
        }
    }

    /// For programs.
    pub(super) fn json(&self) -> Result<String, String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n").map_err(|error| error.to_string())
    }

    /// The cells, work by work.
    pub(super) fn by_work(&self) -> impl Iterator<Item = &[Cell]> {
        self.cells.chunk_by(|a, b| a.work == b.work)
    }
}

impl Cell {
    pub(super) fn new(entry: &Entry, peer: &Peer) -> Self {
        Self {
            work: entry.name,
            runtime: peer.name,
            op: entry.op,
            about: entry.about,
            median_ns: None,
            quartiles_ns: None,
            min_ns: None,
            max_ns: None,
            ratio_to_tokio: None,
            ratio_to_tokio_1: None,
            rounds: Vec::new(),
            metrics: BTreeMap::new(),
            failures: Vec::new(),
            seen: BTreeMap::new(),
        }
    }

    /// One round more.
    pub(super) fn add(&mut self, report: Result<Report, String>) {
        match report {
            Ok(report) => {
                self.rounds.push(Some(report.ns_per_op));
                for (name, value) in report.metrics {
                    self.seen.entry(name).or_default().push(value);
                }
            }
            Err(error) => {
                self.rounds.push(None);
                self.failures.push(error);
            }
        }
    }

    /// What needs no rounds.
    pub(super) fn counted(&mut self, name: &str, count: f64) {
        self.seen.insert(name.to_owned(), vec![count]);
    }

    /// After the last round.
    pub(super) fn summarise(&mut self) {
        let times: Vec<_> = self.rounds.iter().copied().flatten().collect();
        self.median_ns = median(&times);
        self.quartiles_ns = quantile(&times, 0.25).zip(quantile(&times, 0.75));
        self.min_ns = quantile(&times, 0.0);
        self.max_ns = quantile(&times, 1.0);
        self.metrics =
            self.seen.iter().filter_map(|(name, values)| Some((name.clone(), median(values)?))).collect();
    }

    /// For the terminal, as soon as the work is done.
    pub(super) fn line(&self) -> String {
        let time = self.median_ns.map_or_else(|| "failed".to_owned(), table::time);
        format!("{:<18} {:<22} {time} per {}", self.work, self.runtime, self.op)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn published_results_are_the_same_when_they_are_read_and_written_again() {
        for name in ["results.json", "sockets.json", "mimalloc.json"] {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("results").join(name);
            let results = Results::read(std::slice::from_ref(&file)).expect("the harness wrote it");
            assert!(results.by_work().count() > 5, "{name} holds next to nothing");
            let written = fs::read_to_string(&file).expect("it has just been read");
            assert!(results.json().expect("numbers can be written") == written, "{name} differs");
        }
    }

    #[test]
    fn a_file_that_is_none_of_the_harness_is_an_error_that_names_it() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let error = Results::read(&[file]).expect_err("it is no JSON");
        assert!(error.contains("Cargo.toml"), "{error}");
    }
}

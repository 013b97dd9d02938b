//! What was measured, and the JSON of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::slot::Report;
use super::stats::{median, median_ratio, quantile, summary};
use super::table;
use crate::machine::Machine;
use crate::runtimes::{EPOLL, Peer, TOKIO, TOKIO_1, Workers};
use crate::works::{self, Entry, SERVER_CPU};

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
    /// How many workers a runtime that has several had in this work. Older files lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) workers: Option<usize>,
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
    /// Of works with a server: the same of the server's processor time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) server_cpu_ratio_to_tokio: Option<f64>,
    /// The same, to the loop without a runtime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) server_cpu_ratio_to_epoll: Option<f64>,
    /// ns per operation of each round; `None` where it failed.
    pub(super) rounds: Vec<Option<f64>>,
    /// What else was seen over the rounds: of a peak the highest, of anything else the median.
    pub(super) metrics: BTreeMap<String, f64>,
    /// The same of each round, where it is seen in every one; `None` where that failed. Older files lack it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) metric_rounds: BTreeMap<String, Vec<Option<f64>>>,
    /// Why rounds failed.
    pub(super) failures: Vec<String>,
}

/// What is drawn of a [`Cell`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'a> {
    /// Whether it is the server's processor time.
    pub(super) server: bool,
    pub(super) median: Option<f64>,
    /// Empty in files that have the median only.
    pub(super) rounds: &'a [Option<f64>],
    pub(super) of_tokio: Option<f64>,
}

impl Results {
    pub(super) fn new(machine: Machine) -> Self {
        Self { machine, cells: Vec::new() }
    }

    /// What earlier runs wrote. Each keeps its machine: commits and rounds differ.
    ///
    /// # Errors
    /// If a file cannot be read or is none of the harness's, or if two of them have the same work: whose would be shown?
    pub(super) fn read_all(files: &[PathBuf]) -> Result<Vec<Self>, String> {
        let mut files_of = BTreeMap::new();
        let mut runs = Vec::new();
        for file in files {
            let results = Self::read(file)?;
            for cells in results.by_work() {
                let Some(work) = cells.first().map(|cell| cell.work) else { continue };
                if let Some(other) = files_of.insert(work, file) {
                    return Err(format!("{work} is in {} and in {}", other.display(), file.display()));
                }
            }
            runs.push(results);
        }
        Ok(runs)
    }

    fn read(file: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        // Names are `&'static str` everywhere; a program that reads a few files and ends may leak them.
        let text: &'static str = text.leak();
        let mut results: Self =
            serde_json::from_str(text).map_err(|error| format!("{}: {error}", file.display()))?;
        for cell in &mut results.cells {
            cell.about = works::find(cell.work).map_or("", |entry| entry.about);
        }
        Ok(results)
    }

    /// Fills in the ratios.
    pub(super) fn compare(&mut self) {
        let base = |cell: &Cell, runtime| {
            self.cells.iter().find(|other| other.work == cell.work && other.runtime == runtime)
        };
        let ratios: Vec<_> = self
            .cells
            .iter()
            .map(|cell| {
                let time = |to| median_ratio(&cell.rounds, &base(cell, to)?.rounds);
                let cpu = |to| median_ratio(cell.server_cpu()?, base(cell, to)?.server_cpu()?);
                ([time(TOKIO), time(TOKIO_1)], [cpu(TOKIO), cpu(EPOLL)])
            })
            .collect();
        for (cell, (time, cpu)) in self.cells.iter_mut().zip(ratios) {
            [cell.ratio_to_tokio, cell.ratio_to_tokio_1] = time;
            [cell.server_cpu_ratio_to_tokio, cell.server_cpu_ratio_to_epoll] = cpu;
        }
    }

    /// For programs.
    pub(super) fn json(&self) -> Result<String, String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n").map_err(|error| error.to_string())
    }

    /// How many workers those that have several had in this work, if that is known.
    pub(super) fn workers(&self, cells: &[Cell]) -> usize {
        cells.iter().find_map(|cell| cell.workers).unwrap_or(self.machine.setting.workers)
    }

    /// The same, where it is not what the run was told.
    pub(super) fn other_workers(&self, cells: &[Cell]) -> Option<usize> {
        Some(self.workers(cells)).filter(|&workers| workers != self.machine.setting.workers)
    }

    /// The cells, work by work.
    pub(super) fn by_work(&self) -> impl Iterator<Item = &[Cell]> {
        self.cells.chunk_by(|a, b| a.work == b.work)
    }
}

impl Cell {
    /// Nothing yet of `peer`, which has `workers` if it has several.
    pub(super) fn new(entry: &Entry, peer: &Peer, workers: usize) -> Self {
        Self {
            work: entry.name,
            runtime: peer.name,
            op: entry.op,
            workers: (peer.workers == Workers::Given).then_some(workers),
            about: entry.about,
            median_ns: None,
            quartiles_ns: None,
            min_ns: None,
            max_ns: None,
            ratio_to_tokio: None,
            ratio_to_tokio_1: None,
            server_cpu_ratio_to_tokio: None,
            server_cpu_ratio_to_epoll: None,
            rounds: Vec::new(),
            metrics: BTreeMap::new(),
            metric_rounds: BTreeMap::new(),
            failures: Vec::new(),
        }
    }

    /// One round more.
    pub(super) fn add(&mut self, report: Result<Report, String>) {
        match report {
            Ok(report) => {
                for (name, value) in report.metrics {
                    let rounds = self.metric_rounds.entry(name).or_default();
                    rounds.resize(self.rounds.len(), None);
                    rounds.push(Some(value));
                }
                self.rounds.push(Some(report.ns_per_op));
            }
            Err(error) => {
                self.rounds.push(None);
                self.failures.push(error);
            }
        }
    }

    /// What needs no rounds.
    pub(super) fn counted(&mut self, name: &str, count: f64) {
        self.metrics.insert(name.to_owned(), count);
    }

    /// After the last round.
    pub(super) fn summarise(&mut self) {
        let times: Vec<_> = self.rounds.iter().copied().flatten().collect();
        self.median_ns = median(&times);
        self.quartiles_ns = quantile(&times, 0.25).zip(quantile(&times, 0.75));
        self.min_ns = quantile(&times, 0.0);
        self.max_ns = quantile(&times, 1.0);
        for (name, rounds) in &mut self.metric_rounds {
            rounds.resize(self.rounds.len(), None);
            let values: Vec<_> = rounds.iter().copied().flatten().collect();
            self.metrics.extend(summary(name, &values).map(|value| (name.clone(), value)));
        }
    }

    /// What is to be looked at, per operation in ns: the server's processor time if there is a server, for the time is
    /// that of the slower end; else the time.
    pub(super) fn shown(&self) -> Shown<'_> {
        if let Some(&cpu) = self.metrics.get(SERVER_CPU) {
            return Shown {
                server: true,
                median: Some(cpu),
                rounds: self.server_cpu().unwrap_or_default(),
                of_tokio: self.server_cpu_ratio_to_tokio,
            };
        }
        Shown { server: false, median: self.median_ns, rounds: &self.rounds, of_tokio: self.ratio_to_tokio }
    }

    /// The server's processor time per operation in each round, if there is a server.
    fn server_cpu(&self) -> Option<&[Option<f64>]> {
        self.metric_rounds.get(SERVER_CPU).map(Vec::as_slice)
    }

    /// For the terminal, as soon as the work is done.
    pub(super) fn line(&self) -> String {
        let time = self.median_ns.map_or_else(|| "failed".to_owned(), table::time);
        format!("{:<18} {:<22} {time} per {}", self.work, self.runtime, self.op)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Setting;

    fn published() -> Vec<PathBuf> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
        let files =
            fs::read_dir(dir).expect("results are published").map(|entry| entry.expect("it is there"));
        files
            .map(|entry| entry.path())
            .filter(|file| file.extension().is_some_and(|end| end == "json"))
            .collect()
    }

    #[test]
    fn published_results_are_the_same_when_they_are_read_and_written_again() {
        let files = published();
        assert!(!files.is_empty());
        for file in files {
            let results = Results::read(&file).expect("the harness wrote it");
            assert!(!results.cells.is_empty(), "{} holds nothing", file.display());
            let written = fs::read_to_string(&file).expect("it has just been read");
            assert!(results.json().expect("numbers can be written") == written, "{} differs", file.display());
        }
    }

    /// A cell with these times and, of the server, these processor times.
    fn cell(work: &str, runtime: &str, rounds: &[(f64, f64)]) -> Cell {
        let (entry, peer) = works::find(work).zip(Peer::find(runtime)).expect("there are both");
        let mut cell = Cell::new(entry, peer, 1);
        for &(ns_per_op, cpu) in rounds {
            let metrics = BTreeMap::from([(SERVER_CPU.to_owned(), cpu), ("peak_MiB".to_owned(), cpu)]);
            cell.add(Ok(Report { ns_per_op, metrics }));
        }
        cell
    }

    #[test]
    fn metrics_are_kept_for_each_round_and_a_round_that_failed_has_none() {
        let mut cell = cell("echo", "epoll", &[(1.0, 4.0)]);
        cell.add(Err("it hung".to_owned()));
        cell.add(Err("not tried again".to_owned()));
        cell.counted("system_calls", 2.0);
        cell.summarise();
        assert_eq!(cell.metric_rounds[SERVER_CPU], [Some(4.0), None, None]);
        assert_eq!((cell.metrics[SERVER_CPU], cell.metrics["system_calls"]), (4.0, 2.0));
    }

    #[test]
    fn a_peak_over_the_rounds_is_the_highest() {
        let mut cell = cell("echo", "epoll", &[(1.0, 4.0), (1.0, 9.0), (1.0, 5.0)]);
        cell.summarise();
        assert_eq!((cell.metrics["peak_MiB"], cell.metrics[SERVER_CPU]), (9.0, 5.0));
    }

    #[test]
    fn a_work_that_is_in_two_files_is_an_error_that_names_it() {
        let file = published().remove(0);
        let error = Results::read_all(&[file.clone(), file]).expect_err("all its works are there twice");
        assert!(error.contains(" is in "), "{error}");
    }

    #[test]
    fn a_servers_processor_time_is_compared_round_by_round() {
        // The machine was twice as slow in the second round: medians of each would say 2/3.
        let mut results = Results::new(Machine::look(Setting { workers: 1, rounds: 3, slot_ms: 0 }));
        results.cells.push(cell("echo", "treescope", &[(5.0, 1.0), (5.0, 2.0), (5.0, 1.0)]));
        results.cells.push(cell("echo", "tokio", &[(5.0, 2.0), (5.0, 4.0), (5.0, 2.0)]));
        results.compare();
        assert_eq!(results.cells[0].server_cpu_ratio_to_tokio, Some(0.5));
        assert_eq!(results.cells[0].server_cpu_ratio_to_epoll, None);
        assert_eq!(results.cells[0].ratio_to_tokio, Some(1.0));
    }

    #[test]
    fn a_file_that_is_none_of_the_harness_is_an_error_that_names_it() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let error = Results::read(&file).expect_err("it is no JSON");
        assert!(error.contains("Cargo.toml"), "{error}");
    }
}

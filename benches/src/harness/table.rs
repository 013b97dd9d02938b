//! The Markdown table.

use std::fmt::Write as _;

use super::plot;
use super::results::{Cell, Results};
use crate::works::SERVER_CPU;

/// The whole report: of each run its machine, and a section per work.
pub(super) fn markdown(runs: &[Results]) -> String {
    let mut text = String::new();
    for (n, results) in runs.iter().enumerate() {
        if n > 0 {
            text.push('\n');
        }
        head(&mut text, results);
        for cells in results.by_work() {
            section(&mut text, results, cells);
        }
    }
    text
}

fn head(text: &mut String, results: &Results) {
    let machine = &results.machine;
    let versions: Vec<_> =
        machine.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let _ = writeln!(
        text,
        "{} x {}, {}, {}, commit {}, {} allocator, {}, {}, {} ms a slot\n\n{}",
        machine.processors,
        machine.processor,
        machine.kernel,
        machine.rustc,
        machine.commit,
        machine.allocator,
        count(machine.setting.workers, "worker"),
        count(machine.setting.rounds as usize, "round"),
        machine.setting.slot_ms,
        versions.join(", "),
    );
}

/// The columns with ratios that a section may have; those that no runtime of it has are left out.
type Ratio = (&'static str, fn(&Cell) -> Option<f64>);
const RATIOS: [Ratio; 4] = [
    ("of tokio", |cell| cell.ratio_to_tokio),
    ("of tokio_1", |cell| cell.ratio_to_tokio_1),
    ("cpu of tokio", |cell| cell.server_cpu_ratio_to_tokio),
    ("cpu of epoll", |cell| cell.server_cpu_ratio_to_epoll),
];

fn section(text: &mut String, results: &Results, cells: &[Cell]) {
    let Some(first) = cells.first() else { return };
    let mut names: Vec<_> = cells.iter().flat_map(|cell| cell.metrics.keys()).collect();
    names.sort();
    names.dedup();
    let ratios: Vec<_> =
        RATIOS.into_iter().filter(|(_, ratio)| cells.iter().any(|cell| ratio(cell).is_some())).collect();
    let _ = write!(text, "\n### {}\n\n{}", first.work, first.about);
    if let Some(workers) = results.other_workers(cells) {
        let _ = write!(text, "; {}", count(workers, "worker"));
        if first.metrics.contains_key(SERVER_CPU) {
            text.push_str(", as many as the server has processors");
        }
    }
    let _ = write!(text, " ([plot](results/{}))\n\n", plot::file_name(first.work));
    let _ = write!(text, "| runtime | per {} | lowest to highest round |", first.op);
    for name in
        ratios.iter().map(|&(name, _)| name.to_owned()).chain(names.iter().map(|name| name.replace('_', " ")))
    {
        let _ = write!(text, " {name} |");
    }
    let _ = write!(text, "\n|---|--:|--:|{}\n", "--:|".repeat(ratios.len() + names.len()));
    for cell in cells {
        let _ = writeln!(text, "{}", row(cell, &ratios, &names));
    }
}

fn row(cell: &Cell, ratios: &[Ratio], names: &[&String]) -> String {
    let dash = || "-".to_owned();
    let median = cell.median_ns.map_or_else(|| "**failed**".to_owned(), time);
    let spread = cell
        .min_ns
        .zip(cell.max_ns)
        .map_or_else(dash, |(min, max)| format!("{} to {}", time(min), time(max)));
    let mut row = format!("| {} | {median} | {spread}", cell.runtime);
    for (_, ratio) in ratios {
        let _ = write!(row, " | {}", ratio(cell).map_or_else(dash, times));
    }
    for name in names {
        let _ = write!(row, " | {}", cell.metrics.get(*name).copied().map_or_else(dash, figure));
    }
    row + " |"
}

/// 1 worker, 2 workers.
pub(super) fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A time, to three digits, in the unit that suits it.
pub(super) fn time(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{} ns", digits(ns)),
        ns if ns < 1e6 => format!("{} µs", digits(ns / 1e3)),
        ns => format!("{} ms", digits(ns / 1e6)),
    }
}

/// A ratio; of those below a half it is easier to say how many times faster.
pub(super) fn times(ratio: f64) -> String {
    if ratio < 0.5 { format!("{} (1/{})", digits(ratio), digits(1.0 / ratio)) } else { digits(ratio) }
}

/// A plain figure, its unit being in its name.
fn figure(value: f64) -> String {
    if value < 1e4 {
        return digits(value);
    }
    let whole = format!("{value:.0}");
    let from_the_right: Vec<_> = whole.as_bytes().rchunks(3).collect();
    let groups: Vec<_> = from_the_right.into_iter().rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// Three digits, as far as they say anything.
fn digits(value: f64) -> String {
    match value.abs() {
        v if v < 0.1 => format!("{value:.3}"),
        v if v < 10.0 => format!("{value:.2}"),
        v if v < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Machine, Setting};
    use crate::runtimes::PEERS;
    use crate::works;

    fn run(work: &str, rounds: u32, workers: usize) -> Results {
        let mut results = Results::new(Machine::look(Setting { workers: 2, rounds, slot_ms: 0 }));
        results.machine.commit = format!("commit{rounds}");
        results.cells.push(Cell::new(works::find(work).expect("there is one"), &PEERS[0], workers));
        results
    }

    #[test]
    fn each_run_has_its_own_commit_and_rounds_above_its_works() {
        let text = markdown(&[run("fib", 5, 2), run("spawn_join/4w", 7, 4)]);
        let places: Vec<_> = ["commit5", "5 rounds", "### fib", "commit7", "7 rounds", "### spawn_join/4w"]
            .iter()
            .map(|part| text.find(part))
            .collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} in {text}");
    }

    #[test]
    fn a_section_says_how_many_workers_it_had_if_not_as_many_as_the_run_and_links_its_plot() {
        let text = markdown(&[run("echo/1", 5, 1)]);
        assert!(text.contains("; 1 worker ([plot](results/echo-1.svg))"), "{text}");
        assert!(!markdown(&[run("fib", 5, 2)]).contains("; 2 workers"));
    }

    #[test]
    fn a_ratio_that_no_runtime_has_takes_no_column() {
        let mut results = run("fib", 5, 2);
        results.cells[0].ratio_to_tokio = Some(0.5);
        let text = markdown(&[results]);
        assert!(text.contains("| of tokio |") && !text.contains("tokio_1"), "{text}");
    }

    #[test]
    fn times_have_three_digits_and_a_unit() {
        assert_eq!(time(8.123), "8.12 ns");
        assert_eq!(time(61.66), "61.7 ns");
        assert_eq!(time(1_234.0), "1.23 µs");
        assert_eq!(time(45_600_000.0), "45.6 ms");
    }

    #[test]
    fn small_ratios_say_how_many_times_faster() {
        assert_eq!(times(0.25), "0.25 (1/4.00)");
        assert_eq!(times(1.5), "1.50");
    }

    #[test]
    fn large_figures_are_grouped() {
        assert_eq!(figure(1_234_567.0), "1,234,567");
        assert_eq!(figure(12.0), "12.0");
    }
}

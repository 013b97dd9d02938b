//! The Markdown table.

use std::fmt::Write as _;

use super::results::{Cell, Results};

/// The whole report.
pub(super) fn markdown(results: &Results) -> String {
    let machine = &results.machine;
    let versions: Vec<_> =
        machine.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let mut text = format!(
        "{} x {}, {}, {}, commit {}, {} allocator, {} workers, {} rounds, {} ms a slot\n\n{}\n",
        machine.processors,
        machine.processor,
        machine.kernel,
        machine.rustc,
        machine.commit,
        machine.allocator,
        machine.setting.workers,
        machine.setting.rounds,
        machine.setting.slot_ms,
        versions.join(", "),
    );
    for cells in results.by_work() {
        section(&mut text, cells);
    }
    text
}

fn section(text: &mut String, cells: &[Cell]) {
    let Some(first) = cells.first() else { return };
    let mut names: Vec<_> = cells.iter().flat_map(|cell| cell.metrics.keys()).collect();
    names.sort();
    names.dedup();
    let _ = write!(text, "\n### {}\n\n{}\n\n", first.work, first.about);
    let _ = write!(text, "| runtime | per {} | lowest to highest round | of tokio | of tokio_1 |", first.op);
    for name in &names {
        let _ = write!(text, " {} |", name.replace('_', " "));
    }
    let _ = write!(text, "\n|---|--:|--:|--:|--:|{}\n", "--:|".repeat(names.len()));
    for cell in cells {
        let _ = writeln!(text, "{}", row(cell, &names));
    }
}

fn row(cell: &Cell, names: &[&String]) -> String {
    let dash = || "-".to_owned();
    let median = cell.median_ns.map_or_else(|| "**failed**".to_owned(), time);
    let spread = cell
        .min_ns
        .zip(cell.max_ns)
        .map_or_else(dash, |(min, max)| format!("{} to {}", time(min), time(max)));
    let mut row = format!("| {} | {median} | {spread}", cell.runtime);
    for ratio in [cell.ratio_to_tokio, cell.ratio_to_tokio_1] {
        let _ = write!(row, " | {}", ratio.map_or_else(dash, times));
    }
    for name in names {
        let _ = write!(row, " | {}", cell.metrics.get(*name).copied().map_or_else(dash, figure));
    }
    row + " |"
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

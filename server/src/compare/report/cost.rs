//! The table of what a handler's cost does to the throughput.

use std::fmt::Write as _;

use super::super::rounds::{Cell, Section};
use super::super::subject::Subject;
use super::figure::{maybe, number};
use super::load::{links, missing};
use super::plot;

/// One table of all workloads that are a series: a row for each subject, a column for each cost. Links as in
/// [`load`](super::load::markdown).
pub(in super::super) fn markdown(sections: &[Section], plots: Option<&str>) -> String {
    let series: Vec<_> = sections.iter().filter(|section| section.workload.series).collect();
    let Some(first) = series.first() else { return String::new() };
    let drawn = plots.map(|prefix| links(prefix, &[plot::of_costs()]) + " ").unwrap_or_default();
    let mut text = format!("{}. {drawn}Messages per second:\n\n| |", first.workload.about);
    for section in &series {
        let _ = write!(text, " {} µs |", section.workload.work_us);
    }
    let _ = write!(text, " threads |\n|---|{}---|\n", "--:|".repeat(series.len()));
    let mut nowhere = Vec::new();
    for (n, cell) in first.cells.iter().enumerate() {
        let cells: Vec<_> = series.iter().filter_map(|section| section.cells.get(n)).collect();
        if !cells.iter().any(|cell| cell.is_measured()) {
            nowhere.push(cell);
            continue;
        }
        let _ = write!(text, "| {} |", cell.subject);
        for cell in cells {
            let median = cell.median(|figures| figures.messages_per_second);
            let shown = if median.is_none() { failure(cell) } else { maybe(median) };
            let _ = write!(text, " {shown} |");
        }
        text += if cell.subject.design.is_on_one_thread() { " one |\n" } else { " all |\n" };
    }
    text.push('\n');
    text += &missing(nowhere);
    text += &threads_or_not(&series);
    text
}

/// The best design on one thread beside the best on all, for each cost.
fn threads_or_not(series: &[&Section]) -> String {
    let mut text = String::from(
        "| a handler computes | best on one thread | best on all | threads gain |\n|--:|---|---|--:|\n",
    );
    for section in series {
        let best = |one: bool| {
            let cells = section.cells.iter().filter(|cell| cell.subject.design.is_on_one_thread() == one);
            cells
                .filter_map(|cell| Some((cell.median(|figures| figures.messages_per_second)?, cell.subject)))
                .max_by(|a, b| a.0.total_cmp(&b.0))
        };
        let (Some(one), Some(all)) = (best(true), best(false)) else { return String::new() };
        let show = |(rate, subject): (f64, Subject)| format!("{subject}, {}", number(rate));
        let _ = writeln!(
            text,
            "| {} µs | {} | {} | {} |",
            section.workload.work_us,
            show(one),
            show(all),
            number(all.0 / one.0)
        );
    }
    text.push('\n');
    text
}

/// Why there is no figure, in its place.
fn failure(cell: &Cell) -> String {
    format!("**{}**", cell.why_not().replace('|', "/"))
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn a_subject_that_fails_at_every_cost_is_no_row_but_a_line() {
        let text = markdown(&example::everything(), Some("comparison/"));
        assert!(text.contains("(comparison/cost.svg)"), "{text}");
        assert!(!text.contains("| mutex-deadlock"), "{text}");
        assert_eq!(text.matches("did not greet").count(), 1, "{text}");
        assert!(text.contains("| scoped/treescope |"), "{text}");
    }
}

//! The table of what a handler's cost does to the throughput.

use std::fmt::Write as _;

use super::super::rounds::Section;
use super::super::subject::Subject;
use super::figure::{maybe, number};
use super::load::failure;

/// One table of all workloads that are a series: a row for each subject, a column for each cost.
pub(in super::super) fn markdown(sections: &[Section]) -> String {
    let series: Vec<_> = sections.iter().filter(|section| section.workload.series).collect();
    let Some(first) = series.first() else { return String::new() };
    let mut text = format!("{}. Messages per second:\n\n| |", first.workload.about);
    for section in &series {
        let _ = write!(text, " {} µs |", section.workload.work_us);
    }
    let _ = write!(text, " threads |\n|---|{}---|\n", "--:|".repeat(series.len()));
    for (n, cell) in first.cells.iter().enumerate() {
        let _ = write!(text, "| {} |", cell.subject);
        let cells = series.iter().filter_map(|section| section.cells.get(n));
        let mut failed = false;
        for cell in cells {
            let median = cell.median(|figures| figures.messages_per_second);
            let shown = match median {
                // Said once.
                None if !std::mem::replace(&mut failed, true) => failure(cell),
                median => maybe(median),
            };
            let _ = write!(text, " {shown} |");
        }
        text += if cell.subject.design.is_on_one_thread() { " one |\n" } else { " all |\n" };
    }
    text.push('\n');
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

//! The table of what a handler's cost does to the throughput.

use std::fmt::Write as _;

use super::super::rounds::Section;
use super::figure::maybe;
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
    text
}

//! The tables of the workloads.

use std::fmt::Write as _;

use super::super::rounds::{Cell, Pick, Section};
use super::super::stats::{less, more};
use super::super::subject::Subject;
use super::figure::{maybe, number};

/// A table for each workload that is none of a series.
pub(in super::super) fn markdown(sections: &[Section]) -> String {
    let mut text = String::new();
    for section in sections.iter().filter(|section| !section.workload.series) {
        let _ = write!(
            text,
            "### {}\n\n{}.\n\n\
             | | messages/s | lowest to highest | of tokio's best | CPU µs/message | of tokio's best | \
             of the floor | p50 µs | p99 µs | of tokio's best | p99.9 µs | least served | \
             KiB/connection | switches/message | generator busy |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
            section.workload.name, section.workload.about
        );
        for cell in &section.cells {
            let _ = writeln!(text, "| {} | {} |", cell.subject, row(section, cell));
        }
        text.push('\n');
    }
    text
}

fn row(section: &Section, cell: &Cell) -> String {
    if cell.rounds.iter().all(Option::is_none) {
        return failure(cell);
    }
    let throughput: Pick = |figures| figures.messages_per_second;
    let cpu: Pick = |figures| figures.cpu_us_per_message;
    let p99: Pick = |figures| figures.p99_us;
    let of = |pick: Pick| maybe(cell.median(pick));
    let range = cell
        .range(throughput)
        .map_or_else(|| "-".to_owned(), |(low, high)| format!("{} to {}", number(low), number(high)));
    let saturated = cell.rounds.iter().flatten().any(|figures| figures.saturated);
    let busy = cell.median(|figures| 100.0 * (figures.generator_share + figures.generator_waiting));
    let columns = [
        of(throughput),
        range,
        maybe(section.ratio(cell, throughput, more)),
        of(cpu),
        maybe(section.ratio(cell, cpu, less)),
        maybe(section.ratio_to(Subject::is_floor, cell, cpu, less)),
        of(|figures| figures.p50_us),
        of(p99),
        maybe(section.ratio(cell, p99, less)),
        of(|figures| figures.p999_us),
        of(|figures| figures.evenness),
        of(|figures| figures.rss_kib_per_connection),
        of(|figures| figures.switches_per_message),
        busy.map_or_else(
            || "-".to_owned(),
            |busy| format!("{busy:.0} %{}", if saturated { " (!)" } else { "" }),
        ),
    ];
    columns.join(" | ")
}

/// Why there are no figures, in place of the first.
pub(super) fn failure(cell: &Cell) -> String {
    format!("**{}**", cell.failure.as_deref().unwrap_or("not measured").replace('|', "/"))
}

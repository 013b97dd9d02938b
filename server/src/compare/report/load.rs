//! The tables of the workloads.

use std::fmt::Write as _;

use super::super::rounds::{Cell, Pick, Section};
use super::super::stats::{less, more};
use super::super::subject::Subject;
use super::figure::{maybe, number};
use super::plot;

/// Two tables for each workload that is none of a series, for one would be too wide to read. With links to the
/// drawings, to whose names `plots` is put in front; none where there are no drawings.
pub(in super::super) fn markdown(sections: &[Section], plots: Option<&str>) -> String {
    let mut text = String::new();
    for section in sections.iter().filter(|section| !section.workload.series) {
        let _ = write!(text, "### {}\n\n{}.", section.workload.name, section.workload.about);
        if let Some(prefix) = plots {
            let _ = write!(text, " {}", links(prefix, &plot::of(&section.workload)));
        }
        text += "\n\n";
        if section.is_measured() {
            table(&mut text, section, &THROUGHPUT, throughput);
            table(&mut text, section, &COST, cost);
        }
        text += &missing(&section.cells);
    }
    text
}

/// To drawings, by their names and what they show.
pub(super) fn links(prefix: &str, plots: &[(String, &str)]) -> String {
    let links: Vec<_> = plots.iter().map(|(name, what)| format!("[{what}]({prefix}{name})")).collect();
    format!("Drawn: {}.", links.join(", "))
}

const THROUGHPUT: [&str; 8] = [
    "messages/s",
    "lowest to highest",
    "messages/s, of tokio's best",
    "p50 µs",
    "p99 µs",
    "p99, of tokio's best",
    "p99.9 µs",
    "least served",
];

fn throughput(section: &Section, cell: &Cell) -> Vec<String> {
    let rate: Pick = |figures| figures.messages_per_second;
    let p99: Pick = |figures| figures.p99_us;
    let of = |pick: Pick| maybe(cell.median(pick));
    let range = cell
        .range(rate)
        .map_or_else(|| "-".to_owned(), |(low, high)| format!("{} to {}", number(low), number(high)));
    vec![
        of(rate) + if cell.is_saturated() { " (!)" } else { "" },
        range,
        maybe(section.ratio(cell, rate, more)),
        of(|figures| figures.p50_us),
        of(p99),
        maybe(section.ratio(cell, p99, less)),
        of(|figures| figures.p999_us),
        of(|figures| figures.evenness),
    ]
}

const COST: [&str; 7] = [
    "CPU µs/message",
    "CPU, of tokio's best",
    "CPU, of the floor",
    "KiB/connection",
    "switches/1,000 messages",
    "server busy",
    "generator busy",
];

fn cost(section: &Section, cell: &Cell) -> Vec<String> {
    let cpu: Pick = |figures| figures.cpu_us_per_message;
    let of = |pick: Pick| maybe(cell.median(pick));
    let share = |pick: Pick| {
        cell.median(pick).map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", 100.0 * share))
    };
    vec![
        of(cpu),
        maybe(section.ratio(cell, cpu, less)),
        maybe(section.ratio_to(Subject::is_floor, cell, cpu, less)),
        of(|figures| figures.rss_kib_per_connection),
        of(|figures| 1000.0 * figures.switches_per_message),
        share(|figures| figures.server_share),
        share(|figures| figures.generator_share + figures.generator_waiting),
    ]
}

/// A row for each subject that has figures.
fn table(text: &mut String, section: &Section, heads: &[&str], row: fn(&Section, &Cell) -> Vec<String>) {
    let _ = writeln!(text, "| | {} |\n|---|{}", heads.join(" | "), "--:|".repeat(heads.len()));
    for cell in section.cells.iter().filter(|cell| cell.is_measured()) {
        let _ = writeln!(text, "| {} | {} |", cell.subject, row(section, cell).join(" | "));
    }
    text.push('\n');
}

/// A paragraph for each reason for which subjects have no figures; nothing if all have some.
pub(super) fn missing<'a>(cells: impl IntoIterator<Item = &'a Cell>) -> String {
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for cell in cells.into_iter().filter(|cell| !cell.is_measured()) {
        let why = cell.why_not();
        let who = format!("`{}`", cell.subject);
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, subjects)) => subjects.push(who),
            None => reasons.push((why, vec![who])),
        }
    }
    let paragraphs = reasons.iter().map(|(why, who)| format!("No figures of {}: {why}.\n\n", who.join(", ")));
    paragraphs.collect()
}

#[cfg(test)]
mod tests {
    use super::super::example::{cell, failed, figures, section};
    use super::*;

    fn example() -> String {
        let cells = vec![
            failed("mutex-deadlock/treescope", "it hangs"),
            failed("mutex-deadlock/tokio", "it hangs"),
            cell("mutex/tokio", &[figures(2e6, false); 2]),
            cell("scoped/treescope", &[figures(1e6, true); 2]),
        ];
        markdown(&[section("pairs", cells)], Some("comparison/"))
    }

    #[test]
    fn no_two_columns_of_a_table_have_the_same_head() {
        let text = example();
        let heads: Vec<_> = text.lines().filter(|line| line.starts_with("| |")).collect();
        assert_eq!(heads.len(), 2, "{text}");
        for line in heads {
            let columns: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            assert!(columns.len() < 10, "{line}");
            assert!((1..columns.len()).all(|n| !columns[..n].contains(&columns[n])), "{line}");
        }
    }

    #[test]
    fn every_row_has_as_many_cells_as_its_head() {
        for block in example().split("\n\n").filter(|block| block.starts_with("| |")) {
            let widths: Vec<_> = block.lines().map(|line| line.matches('|').count()).collect();
            assert!(widths.len() == 4 && widths.iter().all(|width| *width == widths[0]), "{block}");
        }
    }

    #[test]
    fn why_there_are_no_figures_is_said_once() {
        let text = example();
        let line = "No figures of `mutex-deadlock/treescope`, `mutex-deadlock/tokio`: it hangs.";
        assert!(text.matches("it hangs").count() == 1 && text.contains(line), "{text}");
    }

    #[test]
    fn a_rate_that_the_generator_limits_is_marked_and_switches_are_counted_per_thousand() {
        let text = example();
        assert!(text.contains("| scoped/treescope | 1,000,000 (!) |"), "{text}");
        assert!(text.contains("| mutex/tokio | 2,000,000 |"), "{text}");
        assert_eq!(text.matches("| 4.20 |").count(), 2, "{text}");
    }

    #[test]
    fn the_drawings_of_a_workload_are_linked() {
        let text = example();
        for name in ["pairs-throughput", "pairs-cpu"] {
            assert!(text.contains(&format!("](comparison/{name}.svg)")), "{text}");
        }
    }
}

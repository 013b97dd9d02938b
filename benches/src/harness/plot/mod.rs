//! The plots: one of all works as ratios to tokio, and one of each work with every round in it.

use super::results::{Cell, Results};
use super::table;
use scale::Scale;
use svg::{Anchor, Fill, GRID, INK, PALE, Svg};

mod mark;
mod overview;
mod scale;
mod svg;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 200.0;
const RIGHT: f64 = 40.0;
const TOP: f64 = 84.0;
const ROW: f64 = 30.0;
const BOTTOM: f64 = 44.0;

/// The file with all works.
pub(super) const OVERVIEW: &str = "overview.svg";

/// Names of files, and what is in them.
pub(super) fn all(runs: &[Results]) -> Vec<(String, String)> {
    let works = runs.iter().flat_map(|run| {
        run.by_work().filter_map(|cells| Some((file_name(cells.first()?.work), work(run, cells))))
    });
    std::iter::once((OVERVIEW.to_owned(), overview::draw(runs))).chain(works).collect()
}

/// The file with a work's plot: `echo-1000.svg` of `echo/1000`.
pub(super) fn file_name(work: &str) -> String {
    format!("{}.svg", work.replace('/', "-"))
}

/// Each runtime a row: its median, its lowest and highest round, and all rounds.
fn work(results: &Results, cells: &[Cell]) -> String {
    let (name, op, about) = cells.first().map_or(("", "", ""), |cell| (cell.work, cell.op, cell.about));
    let bottom = TOP + cells.len() as f64 * ROW;
    let mut svg = Svg::new(WIDTH, bottom + BOTTOM);
    let server = cells.iter().any(|cell| cell.shown().server);
    let what = if server { "the server's processor time" } else { "time" };
    svg.heading(20.0, 30.0, 18.0, format_args!("{name}: {what} per {op}"));
    svg.text(20.0, 50.0, 13.0, Anchor::Start, INK, about);
    svg.text(20.0, 68.0, 12.0, Anchor::Start, PALE, setting(results, results.workers(cells)));
    let times = cells.iter().flat_map(|cell| {
        let shown = cell.shown();
        shown.rounds.iter().copied().chain([shown.median]).flatten()
    });
    let scale = Scale::over(times, LEFT, WIDTH - RIGHT - 70.0);
    axis(&mut svg, &scale, TOP, bottom, round_time);
    for (n, cell) in cells.iter().enumerate() {
        row(&mut svg, &scale, TOP + (n as f64 + 0.5) * ROW, cell);
    }
    foot(&mut svg, LEFT, WIDTH - RIGHT - 70.0, bottom);
    svg.done()
}

fn row(svg: &mut Svg, scale: &Scale, y: f64, cell: &Cell) {
    svg.text(LEFT - 14.0, y + 4.5, 13.0, Anchor::End, INK, cell.runtime);
    let shown = cell.shown();
    let Some(median) = shown.median else {
        svg.text(LEFT + 10.0, y + 4.5, 13.0, Anchor::Start, "#cf222e", "failed");
        return;
    };
    let mark = mark::of(cell.runtime);
    let (low, high) = shown
        .rounds
        .iter()
        .flatten()
        .fold((median, median), |(low, high), &time| (low.min(time), high.max(time)));
    svg.line((scale.place(low), y), (scale.place(high), y), 2.0, mark.colour);
    for (round, &time) in shown.rounds.iter().enumerate() {
        let Some(time) = time else { continue };
        let title = format!("round {}: {}", round + 1, table::time(time));
        svg.mark((scale.place(time), y), 3.5, mark::Mark { fill: Fill::Faint, ..mark }, title);
    }
    svg.mark((scale.place(median), y), 6.0, mark, format_args!("median {}", table::time(median)));
    svg.text(WIDTH - 20.0, y + 4.5, 13.0, Anchor::End, INK, table::time(median));
}

/// Where and how a run was made; `workers` are those of what is drawn.
fn setting(results: &Results, workers: usize) -> String {
    let machine = &results.machine;
    format!(
        "{}, {} allocator, {}, {} x {}, commit {}",
        table::count(workers, "worker"),
        machine.allocator,
        table::count(machine.setting.rounds as usize, "round"),
        machine.processors,
        machine.processor,
        machine.commit
    )
}

fn axis(svg: &mut Svg, scale: &Scale, top: f64, bottom: f64, label: fn(f64) -> String) {
    for tick in scale.ticks() {
        let x = scale.place(tick);
        svg.line((x, top), (x, bottom), 1.0, GRID);
        svg.text(x, bottom + 17.0, 11.0, Anchor::Middle, PALE, label(tick));
    }
}

/// What has to be known of the axis.
fn foot(svg: &mut Svg, left: f64, right: f64, bottom: f64) {
    let text = "left is less; the axis is logarithmic";
    svg.text((left + right) / 2.0, bottom + 36.0, 12.0, Anchor::Middle, PALE, text);
}

/// A time on the axis: 20 ns, 1.50 µs.
fn round_time(ns: f64) -> String {
    table::time(ns).replace(".00 ", " ").replace(".0 ", " ")
}

/// A ratio on the axis: 0.01, 0.1, 1, 10.
fn plain(ratio: f64) -> String {
    // Steps times powers of ten are off by a last binary digit.
    let text = format!("{ratio:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::harness::slot::Report;
    use crate::machine::{Machine, Setting};
    use crate::runtimes::{PEERS, Peer};
    use crate::works::{self, SERVER_CPU};

    fn run(commit: &str) -> Results {
        let mut results = Results::new(Machine::look(Setting { workers: 2, rounds: 0, slot_ms: 0 }));
        results.machine.commit = commit.to_owned();
        results
    }

    fn cell(work: &str, peer: &Peer, workers: usize) -> Cell {
        Cell::new(works::find(work).expect("there is one"), peer, workers)
    }

    /// A second a message, of which the server takes `cpu` ns.
    fn served(peer: &str, cpu: f64) -> Cell {
        let mut cell = cell("echo", Peer::find(peer).expect("there is one"), 1);
        let metrics = BTreeMap::from([(SERVER_CPU.to_owned(), cpu)]);
        cell.add(Ok(Report { ns_per_op: 1e9, metrics }));
        cell.summarise();
        cell
    }

    fn file<'a>(drawn: &'a [(String, String)], name: &str) -> &'a str {
        drawn.iter().find(|(file, _)| file == name).map(|(_, svg)| svg.as_str()).expect("it is drawn")
    }

    #[test]
    fn a_work_that_failed_everywhere_is_drawn_too() {
        let mut results = run("one");
        results.cells.push(cell("fib", &PEERS[0], 2));
        results.compare();
        let drawn = all(&[results]);
        assert_eq!(drawn.len(), 2);
        assert!(drawn.iter().all(|(_, svg)| svg.ends_with("</svg>\n")));
        assert!(file(&drawn, "fib.svg").contains(">failed<"));
        assert!(file(&drawn, OVERVIEW).contains("no ratio"));
    }

    #[test]
    fn each_plot_names_the_commit_and_the_workers_of_its_own_run_and_the_overview_names_all() {
        let mut runs = [run("one"), run("two")];
        runs[0].cells.push(cell("fib", &PEERS[0], 2));
        runs[1].cells.push(cell("spawn_join/4w", &PEERS[0], 4));
        let drawn = all(&runs);
        let (fib, spawn_join) = (file(&drawn, "fib.svg"), file(&drawn, "spawn_join-4w.svg"));
        assert!(fib.contains("commit one") && fib.contains("2 workers") && !fib.contains("commit two"));
        assert!(spawn_join.contains("commit two") && spawn_join.contains("4 workers"));
        let overview = file(&drawn, OVERVIEW);
        assert!(overview.contains("commit one") && overview.contains("commit two"));
        assert!(overview.contains("spawn_join/4w, 4 workers"));
    }

    #[test]
    fn of_works_with_a_server_its_processor_time_is_drawn() {
        let mut results = run("one");
        results.cells.extend([served("treescope", 3_000.0), served("tokio", 4_000.0)]);
        results.compare();
        let drawn = all(&[results]);
        let echo = file(&drawn, "echo.svg");
        assert!(echo.contains("echo: the server's processor time per message"));
        assert!(echo.contains("median 3.00 µs") && !echo.contains("1000 ms"));
        let overview = file(&drawn, OVERVIEW);
        assert!(overview.contains("echo on treescope: 0.75 of tokio"));
        assert!(overview.contains("of echo the server's processor time"));
    }

    #[test]
    fn every_plot_says_that_its_axis_is_logarithmic() {
        let mut results = run("one");
        results.cells.push(cell("fib", &PEERS[0], 2));
        assert!(all(&[results]).iter().all(|(_, svg)| svg.contains("logarithmic")));
    }
}

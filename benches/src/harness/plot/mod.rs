//! The plots: one of all works as ratios to tokio, and one of each work with every round in it.

use super::results::{Cell, Results};
use super::table;
use crate::runtimes::TOKIO;
use scale::Scale;
use svg::{Anchor, Fill, GRID, INK, PALE, Svg};

mod mark;
mod scale;
mod svg;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 40.0;
const TOP: f64 = 84.0;
const ROW: f64 = 30.0;
const BOTTOM: f64 = 44.0;

/// The file with all works.
pub(super) const OVERVIEW: &str = "overview.svg";

/// Names of files, and what is in them.
pub(super) fn all(results: &Results) -> Vec<(String, String)> {
    let works = results.by_work().filter_map(|cells| {
        Some((format!("{}.svg", cells.first()?.work.replace('/', "-")), work(results, cells)))
    });
    std::iter::once((OVERVIEW.to_owned(), overview(results))).chain(works).collect()
}

/// Each work a row, each runtime a dot: how its time compares with tokio's.
fn overview(results: &Results) -> String {
    let rows: Vec<_> =
        results.by_work().filter(|cells| cells.iter().any(|cell| cell.ratio_to_tokio.is_some())).collect();
    let legend = 48.0;
    let bottom = TOP + legend + rows.len() as f64 * ROW;
    let mut svg = Svg::new(WIDTH, bottom + BOTTOM);
    svg.heading(20.0, 30.0, 18.0, "Time of each work, as a multiple of tokio's");
    svg.text(20.0, 52.0, 12.0, Anchor::Start, PALE, setting(results));
    let ratios = rows.iter().copied().flatten().filter_map(|cell| cell.ratio_to_tokio);
    let scale = Scale::over(ratios, LEFT, WIDTH - RIGHT);
    axis(&mut svg, &scale, TOP + legend, bottom, plain);

    let mut names: Vec<_> = rows.iter().copied().flatten().map(|cell| cell.runtime).collect();
    names.sort_by_key(|name| crate::runtimes::PEERS.iter().position(|peer| peer.name == *name));
    names.dedup();
    names.retain(|name| *name != TOKIO);
    for (n, name) in names.into_iter().enumerate() {
        let (x, y) = (26.0 + (n % 5) as f64 * 164.0, TOP - 4.0 + (n / 5) as f64 * 20.0);
        svg.mark((x, y - 4.0), 5.0, mark::of(name), name);
        svg.text(x + 11.0, y, 12.0, Anchor::Start, INK, name);
    }

    let one = scale.place(1.0);
    svg.line((one, TOP + legend), (one, bottom), 1.5, PALE);
    svg.text(one, TOP + legend - 6.0, 12.0, Anchor::Middle, PALE, TOKIO);
    for (n, cells) in rows.into_iter().enumerate() {
        let y = TOP + legend + (n as f64 + 0.5) * ROW;
        let work = cells.first().map_or("", |cell| cell.work);
        svg.text(LEFT - 14.0, y + 4.5, 13.0, Anchor::End, INK, work);
        // treescope last, so that nothing covers it.
        for cell in cells.iter().filter(|cell| cell.runtime != TOKIO).rev() {
            let Some(ratio) = cell.ratio_to_tokio else { continue };
            let title = format!("{} on {}: {} of tokio", cell.work, cell.runtime, table::times(ratio));
            svg.mark((scale.place(ratio), y), 5.5, mark::of(cell.runtime), title);
        }
    }
    svg.text((LEFT + WIDTH - RIGHT) / 2.0, bottom + 36.0, 12.0, Anchor::Middle, PALE, "left is faster");
    svg.done()
}

/// Each runtime a row: its median, its lowest and highest round, and all rounds.
fn work(results: &Results, cells: &[Cell]) -> String {
    let (name, op, about) = cells.first().map_or(("", "", ""), |cell| (cell.work, cell.op, cell.about));
    let bottom = TOP + cells.len() as f64 * ROW;
    let mut svg = Svg::new(WIDTH, bottom + BOTTOM);
    svg.heading(20.0, 30.0, 18.0, format_args!("{name}: time per {op}"));
    svg.text(20.0, 50.0, 13.0, Anchor::Start, INK, about);
    svg.text(20.0, 68.0, 12.0, Anchor::Start, PALE, setting(results));
    let times = cells.iter().flat_map(|cell| cell.rounds.iter().copied().flatten());
    let scale = Scale::over(times, LEFT, WIDTH - RIGHT - 70.0);
    axis(&mut svg, &scale, TOP, bottom, round_time);
    for (n, cell) in cells.iter().enumerate() {
        let y = TOP + (n as f64 + 0.5) * ROW;
        svg.text(LEFT - 14.0, y + 4.5, 13.0, Anchor::End, INK, cell.runtime);
        let (Some(median), Some(min), Some(max)) = (cell.median_ns, cell.min_ns, cell.max_ns) else {
            svg.text(LEFT + 10.0, y + 4.5, 13.0, Anchor::Start, "#cf222e", "failed");
            continue;
        };
        let mark = mark::of(cell.runtime);
        svg.line((scale.place(min), y), (scale.place(max), y), 2.0, mark.colour);
        for (round, &time) in cell.rounds.iter().enumerate() {
            let Some(time) = time else { continue };
            let title = format!("round {}: {}", round + 1, table::time(time));
            svg.mark((scale.place(time), y), 3.5, mark::Mark { fill: Fill::Faint, ..mark }, title);
        }
        svg.mark((scale.place(median), y), 6.0, mark, format_args!("median {}", table::time(median)));
        svg.text(WIDTH - 20.0, y + 4.5, 13.0, Anchor::End, INK, table::time(median));
    }
    svg.done()
}

fn setting(results: &Results) -> String {
    let machine = &results.machine;
    format!(
        "{} workers, {} allocator, {} rounds, {} x {}, commit {}",
        machine.setting.workers,
        machine.allocator,
        machine.setting.rounds,
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
    use super::*;
    use crate::machine::{Machine, Setting};
    use crate::runtimes::PEERS;
    use crate::works;

    #[test]
    fn a_work_that_failed_everywhere_is_drawn_too() {
        let entry = works::find("fib").expect("there is one");
        let mut results = Results::new(Machine::look(Setting { workers: 1, rounds: 0, slot_ms: 0 }));
        results.cells.push(Cell::new(entry, &PEERS[0], 1));
        results.compare();
        let drawn = all(&results);
        assert_eq!(drawn.len(), 2);
        assert!(drawn.iter().all(|(_, svg)| svg.ends_with("</svg>\n")));
        assert!(drawn.iter().any(|(name, svg)| name == "fib.svg" && svg.contains(">failed<")));
    }
}

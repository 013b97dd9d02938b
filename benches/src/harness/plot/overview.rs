//! Each work a row, each runtime a mark: how it compares with tokio.

use super::scale::Scale;
use super::svg::{Anchor, INK, PALE, Svg};
use super::{BOTTOM, LEFT, RIGHT, ROW, WIDTH, axis, foot, mark, plain, setting};
use crate::harness::results::{Cell, Results};
use crate::harness::table;
use crate::runtimes::{PEERS, TOKIO};

pub(super) fn draw(runs: &[Results]) -> String {
    let rows: Vec<_> = runs.iter().flat_map(|run| run.by_work().map(move |cells| (run, cells))).collect();
    let cells = || rows.iter().flat_map(|(_, cells)| cells.iter());
    let legend = 66.0 + runs.len() as f64 * 16.0 + 22.0;
    let top = legend + 52.0;
    let bottom = top + rows.len() as f64 * ROW;
    let mut svg = Svg::new(WIDTH, bottom + BOTTOM);
    svg.heading(20.0, 30.0, 18.0, "Each work, as a multiple of what it takes on tokio");
    svg.text(20.0, 50.0, 13.0, Anchor::Start, INK, what(cells()));
    for (n, run) in runs.iter().enumerate() {
        svg.text(20.0, 68.0 + n as f64 * 16.0, 11.0, Anchor::Start, PALE, caption(run, runs.len() == 1));
    }
    let scale = Scale::over(cells().filter_map(|cell| cell.shown().of_tokio), LEFT, WIDTH - RIGHT);
    axis(&mut svg, &scale, top, bottom, plain);
    names(&mut svg, legend, cells());

    let one = scale.place(1.0);
    svg.line((one, top), (one, bottom), 1.5, PALE);
    svg.text(one, top - 6.0, 12.0, Anchor::Middle, PALE, TOKIO);
    for (n, (run, cells)) in rows.iter().enumerate() {
        let y = top + (n as f64 + 0.5) * ROW;
        row(&mut svg, &scale, y, run, cells);
    }
    foot(&mut svg, LEFT, WIDTH - RIGHT, bottom);
    svg.done()
}

fn row(svg: &mut Svg, scale: &Scale, y: f64, run: &Results, cells: &[Cell]) {
    let work = cells.first().map_or("", |cell| cell.work);
    let workers = run.other_workers(cells);
    let workers = workers.map(|n| format!(", {}", table::count(n, "worker"))).unwrap_or_default();
    svg.text(LEFT - 14.0, y + 4.5, 13.0, Anchor::End, INK, format_args!("{work}{workers}"));
    if cells.iter().all(|cell| cell.shown().of_tokio.is_none()) {
        svg.text(LEFT + 10.0, y + 4.5, 12.0, Anchor::Start, PALE, "no ratio");
    }
    // treescope last, so that nothing covers it.
    for cell in cells.iter().filter(|cell| cell.runtime != TOKIO).rev() {
        let Some(ratio) = cell.shown().of_tokio else { continue };
        let title = format!("{} on {}: {} of tokio", cell.work, cell.runtime, table::times(ratio));
        svg.mark((scale.place(ratio), y), 5.5, mark::of(cell.runtime), title);
    }
}

/// The legend.
fn names<'a>(svg: &mut Svg, top: f64, cells: impl Iterator<Item = &'a Cell>) {
    let shown: Vec<_> = cells.map(|cell| cell.runtime).collect();
    let names = PEERS.iter().map(|peer| peer.name).filter(|name| *name != TOKIO && shown.contains(name));
    for (n, name) in names.enumerate() {
        let (x, y) = (26.0 + (n % 5) as f64 * 164.0, top + (n / 5) as f64 * 20.0);
        svg.mark((x, y - 4.0), 5.0, mark::of(name), name);
        svg.text(x + 11.0, y, 12.0, Anchor::Start, INK, name);
    }
}

/// What is compared.
fn what<'a>(cells: impl Iterator<Item = &'a Cell>) -> String {
    let mut served: Vec<_> = cells
        .filter(|cell| cell.shown().server)
        .map(|cell| cell.work.split('/').next().unwrap_or(cell.work))
        .collect();
    served.dedup();
    if served.is_empty() {
        return "the time".to_owned();
    }
    format!("the time; of {} the server's processor time", served.join(" and "))
}

/// Where and how a run was made, and, if it is not the only one, which works are of it.
fn caption(run: &Results, alone: bool) -> String {
    let setting = setting(run, run.machine.setting.workers);
    match (run.cells.first(), run.cells.last()) {
        (Some(first), Some(last)) if !alone => format!("{} to {}: {setting}", first.work, last.work),
        _ => setting,
    }
}

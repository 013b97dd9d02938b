//! Drawings with a row for each subject.

use super::super::super::machine::Machine;
use super::super::super::rounds::{Cell, Pick, Section};
use super::super::figure::micros;
use super::super::scale::Scale;
use super::super::svg::{Align, GRID, INK, PALE, Svg, shortened};
use super::{EDGE, WIDTH, colour, heading, why_not};

/// What stands left and right of the axis.
const LEFT: f64 = 210.0;
const RIGHT: f64 = 120.0;

/// Where the rows are.
struct Rows {
    top: f64,
    height: f64,
    count: usize,
}

impl Rows {
    fn middle(&self, n: usize) -> f64 {
        self.top + (n as f64 + 0.5) * self.height
    }

    fn bottom(&self) -> f64 {
        self.top + self.count as f64 * self.height
    }
}

fn columns(svg: &mut Svg, scale: &Scale, rows: &Rows, label: fn(f64) -> String) {
    for tick in scale.ticks() {
        let x = scale.place(tick);
        svg.line(&[(x, rows.top), (x, rows.bottom())], 1.0, GRID, false);
        let label = label(tick).replace(".00", "").replace(".0 ", " ");
        svg.text((x, rows.bottom() + 17.0), Align::Middle, 11.0, PALE, &label);
    }
}

fn name(svg: &mut Svg, cell: &Cell, y: f64) {
    svg.text((LEFT - 12.0, y + 4.5), Align::Right, 13.0, colour(cell.subject), &cell.subject.to_string());
}

fn failed(svg: &mut Svg, cell: &Cell, y: f64) {
    let x = LEFT + 8.0;
    let why = shortened(why_not(cell), 12.0, WIDTH - EDGE - x);
    svg.text((x, y + 4.5), Align::Left, 12.0, "#cf222e", &why);
}

/// The median, and the lowest and highest round.
pub(super) fn dots(
    section: &Section,
    machine: &Machine,
    title: &str,
    pick: Pick,
    label: fn(f64) -> String,
) -> String {
    let mut svg = Svg::new(WIDTH);
    let top = heading(&mut svg, title, section.workload.about, machine);
    let rows = Rows { top, height: 26.0, count: section.cells.len() };
    let values = section.cells.iter().filter_map(|cell| cell.range(pick)).flat_map(|(low, high)| [low, high]);
    let scale = Scale::over(values, LEFT, WIDTH - RIGHT);
    columns(&mut svg, &scale, &rows, label);
    for (n, cell) in section.cells.iter().enumerate() {
        let y = rows.middle(n);
        name(&mut svg, cell, y);
        let (Some(median), Some((low, high))) = (cell.median(pick), cell.range(pick)) else {
            failed(&mut svg, cell, y);
            continue;
        };
        let colour = colour(cell.subject);
        svg.line(&[(scale.place(low), y), (scale.place(high), y)], 2.0, colour, false);
        svg.dot((scale.place(median), y), 5.0, colour, cell.subject.design.is_on_one_thread());
        svg.text((WIDTH - 16.0, y + 4.5), Align::Right, 13.0, INK, &label(median));
    }
    let note = "dot: median of the rounds; line: lowest to highest round; logarithmic";
    svg.text((LEFT, rows.bottom() + 38.0), Align::Left, 12.0, PALE, note);
    svg.done(rows.bottom() + 54.0)
}

/// How the figures of a latency look.
#[derive(Clone, Copy)]
enum Mark {
    Large,
    Small,
    Bar,
}

impl Mark {
    fn draw(self, svg: &mut Svg, (x, y): (f64, f64), colour: &str, hollow: bool) {
        match self {
            Mark::Large => svg.dot((x, y), 5.0, colour, hollow),
            Mark::Small => svg.dot((x, y), 3.0, colour, false),
            Mark::Bar => svg.line(&[(x, y - 5.0), (x, y + 5.0)], 3.0, colour, false),
        }
    }
}

/// The figures of a latency; below each other, for their ranges overlap.
const LATENCIES: [(Pick, Mark, &str, f64); 3] = [
    (|figures| figures.p50_us, Mark::Large, "median", -9.0),
    (|figures| figures.p99_us, Mark::Small, "p99", 0.0),
    (|figures| figures.p999_us, Mark::Bar, "p99.9", 9.0),
];

/// Median, p99 and p99.9, each with its lowest and highest round.
pub(super) fn latencies(section: &Section, machine: &Machine) -> String {
    let mut svg = Svg::new(WIDTH);
    let title = format!("{}: from when a message was to be sent to its arrival", section.workload.name);
    let top = heading(&mut svg, &title, section.workload.about, machine);
    let rows = Rows { top: top + legend(&mut svg, top), height: 38.0, count: section.cells.len() };
    let ranges = section.cells.iter().flat_map(|cell| LATENCIES.map(|(pick, ..)| cell.range(pick)));
    let values = ranges.flatten().flat_map(|(low, high)| [low, high]);
    let scale = Scale::over(values, LEFT, WIDTH - RIGHT);
    columns(&mut svg, &scale, &rows, micros);
    for (n, cell) in section.cells.iter().enumerate() {
        let y = rows.middle(n);
        name(&mut svg, cell, y);
        if !cell.is_measured() {
            failed(&mut svg, cell, y);
            continue;
        }
        let (colour, alone) = (colour(cell.subject), cell.subject.design.is_on_one_thread());
        for (pick, mark, _, below) in LATENCIES {
            let (Some(median), Some((low, high))) = (cell.median(pick), cell.range(pick)) else { continue };
            let y = y + below;
            svg.line(&[(scale.place(low), y), (scale.place(high), y)], THIN, colour, false);
            mark.draw(&mut svg, (scale.place(median), y), colour, alone);
        }
        let p99 = cell.median(|figures| figures.p99_us).map(|us| format!("p99 {}", micros(us)));
        svg.text((WIDTH - 16.0, y + 4.5), Align::Right, 13.0, INK, &p99.unwrap_or_default());
    }
    svg.text((LEFT, rows.bottom() + 38.0), Align::Left, 12.0, PALE, "logarithmic");
    svg.done(rows.bottom() + 54.0)
}

/// The width of a line that is a range.
const THIN: f64 = 1.2;

/// What dot, bar and line are. Gives how high it is.
fn legend(svg: &mut Svg, y: f64) -> f64 {
    let mut x = EDGE;
    for (_, mark, label, _) in LATENCIES {
        mark.draw(svg, (x + 5.0, y), PALE, false);
        svg.text((x + 14.0, y + 4.0), Align::Left, 12.0, PALE, label);
        x += 100.0;
    }
    svg.text((x, y + 4.0), Align::Left, 12.0, PALE, "(each the median of the rounds)");
    x += 250.0;
    svg.line(&[(x, y), (x + 24.0, y)], THIN, PALE, false);
    svg.text((x + 30.0, y + 4.0), Align::Left, 12.0, PALE, "lowest to highest round");
    22.0
}

//! The drawings: each workload's throughput and processor time, what a client waits for at a fixed rate, and what a
//! handler's cost does.

use super::super::machine::Machine;
use super::super::rounds::{Cell, Pick, Section};
use super::super::subject::Subject;
use super::figure::{micros, number};
use super::scale::Scale;
use super::svg::{Align, GRID, INK, PALE, Svg};
use crate::runtimes::RuntimeKind;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 120.0;
const TOP: f64 = 104.0;
const ROW: f64 = 26.0;
const BOTTOM: f64 = 54.0;

/// Names of files, and what is in them.
pub(in super::super) fn all(sections: &[Section], machine: &Machine) -> Vec<(String, String)> {
    let mut drawings = Vec::new();
    for section in sections.iter().filter(|section| !section.workload.series) {
        let mut add = |what: &str, svg| drawings.push((format!("{}-{what}.svg", section.workload.name), svg));
        if section.workload.rate.is_some() {
            add("latency", latencies(section, machine));
        } else {
            let title = format!("{}: messages per second", section.workload.name);
            add("throughput", dots(section, machine, &title, |f| f.messages_per_second, number));
        }
        let title = format!("{}: the server's processor time per message", section.workload.name);
        add("cpu", dots(section, machine, &title, |f| f.cpu_us_per_message, micros));
    }
    let series: Vec<_> = sections.iter().filter(|section| section.workload.series).collect();
    if !series.is_empty() {
        drawings.push(("cost.svg".to_owned(), costs(&series, machine)));
    }
    drawings
}

fn colour(subject: Subject) -> &'static str {
    match subject.runtime {
        RuntimeKind::Treescope => "#1a7f37",
        RuntimeKind::Tokio => "#0969da",
        RuntimeKind::Bare => "#57606a",
    }
}

/// What applies to all drawings: the heading, and what the colours mean.
fn heading(svg: &mut Svg, title: &str, about: &str, machine: &Machine) {
    svg.text((20.0, 30.0), Align::Left, 18.0, INK, title);
    svg.text((20.0, 50.0), Align::Left, 12.5, INK, about);
    svg.text((20.0, 67.0), Align::Left, 10.5, PALE, &machine.line());
    let mut x = 20.0;
    for (runtime, colour) in [("treescope", "#1a7f37"), ("tokio", "#0969da"), ("no runtime", "#57606a")] {
        svg.dot((x + 5.0, 81.0), 4.5, colour, false);
        svg.text((x + 14.0, 85.0), Align::Left, 12.0, colour, runtime);
        x += 100.0;
    }
    svg.dot((x + 5.0, 81.0), 4.5, PALE, true);
    svg.text((x + 14.0, 85.0), Align::Left, 12.0, PALE, "one thread by design");
}

fn columns(svg: &mut Svg, scale: &Scale, bottom: f64, label: fn(f64) -> String) {
    for tick in scale.ticks() {
        let x = scale.place(tick);
        svg.line(&[(x, TOP), (x, bottom)], 1.0, GRID, false);
        svg.text(
            (x, bottom + 17.0),
            Align::Middle,
            11.0,
            PALE,
            &label(tick).replace(".00", "").replace(".0 ", " "),
        );
    }
}

fn name(svg: &mut Svg, cell: &Cell, y: f64) {
    svg.text((LEFT - 12.0, y + 4.5), Align::Right, 13.0, colour(cell.subject), &cell.subject.to_string());
}

/// Instead of figures.
fn failed(svg: &mut Svg, cell: &Cell, y: f64) {
    let why = cell.failure.as_deref().unwrap_or("not measured");
    svg.text((LEFT + 8.0, y + 4.5), Align::Left, 12.0, "#cf222e", why);
}

/// A row for each subject: the median, and the lowest and highest round.
fn dots(section: &Section, machine: &Machine, title: &str, pick: Pick, label: fn(f64) -> String) -> String {
    let bottom = TOP + section.cells.len() as f64 * ROW;
    let mut svg = Svg::new(WIDTH, bottom + BOTTOM);
    heading(&mut svg, title, section.workload.about, machine);
    let values = section.cells.iter().filter_map(|cell| cell.range(pick)).flat_map(|(low, high)| [low, high]);
    let scale = Scale::over(values, LEFT, WIDTH - RIGHT);
    columns(&mut svg, &scale, bottom, label);
    for (n, cell) in section.cells.iter().enumerate() {
        let y = TOP + (n as f64 + 0.5) * ROW;
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
    let note = "median of the rounds; the line spans the lowest and the highest; logarithmic";
    svg.text((LEFT, bottom + 38.0), Align::Left, 11.0, PALE, note);
    svg.done()
}

/// A row for each subject: median, p99 and p99.9.
fn latencies(section: &Section, machine: &Machine) -> String {
    let picks: [(Pick, &str); 3] =
        [(|f| f.p50_us, "median"), (|f| f.p99_us, "p99"), (|f| f.p999_us, "p99.9")];
    let bottom = TOP + section.cells.len() as f64 * ROW;
    let mut svg = Svg::new(WIDTH, bottom + BOTTOM);
    let title = format!("{}: from when a message was to be sent to its arrival", section.workload.name);
    heading(&mut svg, &title, section.workload.about, machine);
    let values = section.cells.iter().flat_map(|cell| picks.map(|(pick, _)| cell.median(pick))).flatten();
    let scale = Scale::over(values, LEFT, WIDTH - RIGHT);
    columns(&mut svg, &scale, bottom, micros);
    let mut labelled = false;
    for (n, cell) in section.cells.iter().enumerate() {
        let y = TOP + (n as f64 + 0.5) * ROW;
        name(&mut svg, cell, y);
        let medians: Vec<_> = picks.iter().filter_map(|(pick, _)| cell.median(*pick)).collect();
        let [p50, p99, p999] = medians[..] else {
            failed(&mut svg, cell, y);
            continue;
        };
        let colour = colour(cell.subject);
        svg.line(&[(scale.place(p50), y), (scale.place(p999), y)], 1.5, colour, false);
        svg.line(&[(scale.place(p999), y - 6.0), (scale.place(p999), y + 6.0)], 2.5, colour, false);
        svg.dot((scale.place(p99), y), 3.5, colour, false);
        svg.dot((scale.place(p50), y), 5.5, colour, cell.subject.design.is_on_one_thread());
        svg.text((WIDTH - 16.0, y + 4.5), Align::Right, 13.0, INK, &format!("p99 {}", micros(p99)));
        if !std::mem::replace(&mut labelled, true) {
            // The last two are often close together.
            let aligned = [(p50, Align::Middle), (p99, Align::Right), (p999, Align::Left)];
            for ((_, label), (value, align)) in picks.iter().zip(aligned) {
                svg.text((scale.place(value), y - 9.0), align, 10.5, PALE, label);
            }
        }
    }
    svg.text((LEFT, bottom + 38.0), Align::Left, 11.0, PALE, "medians of the rounds; logarithmic");
    svg.done()
}

/// A line for each subject: throughput over what a handler computes per message.
fn costs(series: &[&Section], machine: &Machine) -> String {
    const RIGHT: f64 = 240.0;
    let (left, height) = (80.0, 560.0);
    let Some(first) = series.first() else { return Svg::new(1.0, 1.0).done() };
    let mut svg = Svg::new(WIDTH, TOP + height + BOTTOM);
    heading(
        &mut svg,
        "Messages per second, by what a handler computes for each",
        first.workload.about,
        machine,
    );
    // There is no zero on a logarithmic axis; it stands where half of the lowest cost would.
    let lowest = series.iter().map(|s| s.workload.work_us as f64).filter(|us| *us > 0.0).fold(1e9, f64::min);
    let cost = |section: &Section| {
        if section.workload.work_us == 0 { lowest / 2.0 } else { section.workload.work_us as f64 }
    };
    let throughput: Pick = |figures| figures.messages_per_second;
    let xs = Scale::over(series.iter().map(|section| cost(section)), left, WIDTH - RIGHT);
    let values = series
        .iter()
        .flat_map(|section| section.cells.iter().filter_map(move |cell| cell.median(throughput)));
    let ys = Scale::over(values, TOP + height, TOP);
    for section in series {
        let x = xs.place(cost(section));
        svg.line(&[(x, TOP), (x, TOP + height)], 1.0, GRID, false);
        let label = format!("{} µs", section.workload.work_us);
        svg.text((x, TOP + height + 18.0), Align::Middle, 12.0, PALE, &label);
    }
    for tick in ys.ticks() {
        svg.line(&[(left, ys.place(tick)), (WIDTH - RIGHT, ys.place(tick))], 1.0, GRID, false);
        svg.text(
            (left - 8.0, ys.place(tick) + 4.0),
            Align::Right,
            11.0,
            PALE,
            &number(tick).replace(".00", ""),
        );
    }
    let mut labels = Vec::new();
    for (n, cell) in first.cells.iter().enumerate() {
        let values = series.iter().filter_map(|section| {
            Some((xs.place(cost(section)), ys.place(section.cells.get(n)?.median(throughput)?)))
        });
        let points: Vec<_> = values.collect();
        let (colour, alone) = (colour(cell.subject), cell.subject.design.is_on_one_thread());
        svg.line(&points, 1.8, colour, alone);
        points.iter().for_each(|&at| svg.dot(at, 3.0, colour, alone));
        if let Some(&(x, y)) = points.last() {
            let ends = if points.len() < series.len() { " (failed beyond)" } else { "" };
            labels.push((y, x, colour, format!("{}{ends}", cell.subject)));
        }
    }
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    let places = spread(&labels.iter().map(|label| label.0).collect::<Vec<_>>(), 14.0, TOP + height);
    for ((y, x, colour, text), place) in labels.iter().zip(places) {
        svg.line(&[(x + 5.0, *y), (WIDTH - RIGHT + 24.0, place)], 0.7, colour, false);
        svg.text((WIDTH - RIGHT + 28.0, place + 4.0), Align::Left, 12.0, colour, text);
    }
    let note = "both axes logarithmic; dashed: one thread by design";
    svg.text((left, TOP + height + 40.0), Align::Left, 11.0, PALE, note);
    svg.done()
}

/// Places near `wanted`, which ascend, at least `gap` apart, and none below `bottom` if there is room.
fn spread(wanted: &[f64], gap: f64, bottom: f64) -> Vec<f64> {
    let mut places = wanted.to_vec();
    for n in 1..places.len() {
        places[n] = places[n].max(places[n - 1] + gap);
    }
    let mut lowest = bottom;
    for place in places.iter_mut().rev() {
        *place = place.min(lowest);
        lowest = *place - gap;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_apart_and_in_order() {
        let places = spread(&[10.0, 11.0, 12.0, 99.0, 100.0], 10.0, 100.0);
        assert_eq!(places, [10.0, 20.0, 30.0, 90.0, 100.0]);
    }
}

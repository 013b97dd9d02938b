//! The drawing of what a handler's cost does.

use super::super::super::machine::Machine;
use super::super::super::rounds::{Pick, Section};
use super::super::figure::number;
use super::super::scale::Scale;
use super::super::svg::{Align, GRID, PALE, Svg};
use super::{WIDTH, colour, heading};

/// A line for each subject: throughput over what a handler computes per message.
///
/// `first` is the first of the series.
pub(super) fn draw(first: &Section, series: &[&Section], machine: &Machine) -> String {
    const RIGHT: f64 = 310.0;
    let (left, height) = (80.0, 560.0);
    let mut svg = Svg::new(WIDTH);
    let title = "Messages per second, by what a handler computes for each";
    let top = heading(&mut svg, title, first.workload.about, machine);
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
    let ys = Scale::over(values, top + height, top);
    for section in series {
        let x = xs.place(cost(section));
        svg.line(&[(x, top), (x, top + height)], 1.0, GRID, false);
        let label = format!("{} µs", section.workload.work_us);
        svg.text((x, top + height + 18.0), Align::Middle, 12.0, PALE, &label);
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
            let ends = if points.len() < series.len() { ", then fails" } else { "" };
            labels.push((y, x, colour, format!("{}{ends}", cell.subject)));
        }
    }
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    let places = spread(&labels.iter().map(|label| label.0).collect::<Vec<_>>(), 14.0, top + height);
    for ((y, x, colour, text), place) in labels.iter().zip(places) {
        svg.line(&[(x + 5.0, *y), (WIDTH - RIGHT + 24.0, place)], 0.7, colour, false);
        svg.text((WIDTH - RIGHT + 28.0, place + 4.0), Align::Left, 12.0, colour, text);
    }
    let note = "both axes logarithmic; dashed: one thread by design";
    svg.text((left, top + height + 40.0), Align::Left, 12.0, PALE, note);
    svg.done(top + height + 54.0)
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

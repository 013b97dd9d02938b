//! The drawings: each workload's throughput and processor time, what a client waits for at a fixed rate, and what a
//! handler's cost does.

mod costs;
mod rows;

use super::super::machine::Machine;
use super::super::rounds::{Cell, Section};
use super::super::subject::Subject;
use super::super::workload::Workload;
use super::figure::{micros, number};
use super::svg::{Align, INK, PALE, Svg, wrap};
use crate::runtimes::RuntimeKind;

const WIDTH: f64 = 900.0;
/// Around everything.
const EDGE: f64 = 20.0;

/// The drawings of a workload that is none of a series: names of files, and what they show.
pub(in super::super) fn of(workload: &Workload) -> [(String, &'static str); 2] {
    let file = |what: &str| format!("{}-{what}.svg", workload.name);
    let first = match workload.rate {
        Some(_) => (file("latency"), "latency"),
        None => (file("throughput"), "messages per second"),
    };
    [first, (file("cpu"), "processor time per message")]
}

/// That of the series.
pub(in super::super) fn of_costs() -> (String, &'static str) {
    ("cost.svg".to_owned(), "messages per second by what a handler computes")
}

/// Names of files, and what is in them.
pub(in super::super) fn all(sections: &[Section], machine: &Machine) -> Vec<(String, String)> {
    let mut drawings = Vec::new();
    for section in sections.iter().filter(|section| !section.workload.series) {
        let name = section.workload.name;
        let first = if section.workload.rate.is_some() {
            rows::latencies(section, machine)
        } else {
            let title = format!("{name}: messages per second");
            rows::dots(section, machine, &title, |figures| figures.messages_per_second, number)
        };
        let title = format!("{name}: the server's processor time per message");
        let second = rows::dots(section, machine, &title, |figures| figures.cpu_us_per_message, micros);
        drawings.extend(of(&section.workload).map(|(name, _)| name).into_iter().zip([first, second]));
    }
    let series: Vec<_> = sections.iter().filter(|section| section.workload.series).collect();
    if let Some(first) = series.first() {
        drawings.push((of_costs().0, costs::draw(first, &series, machine)));
    }
    drawings
}

fn colour(subject: Subject) -> &'static str {
    colour_of(subject.runtime)
}

fn colour_of(runtime: RuntimeKind) -> &'static str {
    match runtime {
        RuntimeKind::Treescope => "#1a7f37",
        RuntimeKind::Tokio => "#0969da",
        RuntimeKind::Bare => "#57606a",
    }
}

/// What applies to all drawings: the heading, and what the colours mean. Gives where it ends.
fn heading(svg: &mut Svg, title: &str, about: &str, machine: &Machine) -> f64 {
    svg.text((EDGE, 30.0), Align::Left, 18.0, INK, title);
    let mut y = 50.0;
    for (text, size, colour) in [(about, 12.5, INK), (&machine.line(), 10.5, PALE)] {
        for line in wrap(text, size, WIDTH - 2.0 * EDGE) {
            svg.text((EDGE, y), Align::Left, size, colour, &line);
            y += size + 4.0;
        }
    }
    let mut x = EDGE;
    for (kind, name) in [
        (RuntimeKind::Treescope, "treescope"),
        (RuntimeKind::Tokio, "tokio"),
        (RuntimeKind::Bare, "no runtime"),
    ] {
        let colour = colour_of(kind);
        svg.dot((x + 5.0, y), 4.5, colour, false);
        svg.text((x + 14.0, y + 4.0), Align::Left, 12.0, colour, name);
        x += 100.0;
    }
    svg.dot((x + 5.0, y), 4.5, PALE, true);
    svg.text((x + 14.0, y + 4.0), Align::Left, 12.0, PALE, "one thread by design");
    y + 22.0
}

/// Instead of figures.
fn why_not(cell: &Cell) -> &str {
    cell.failure.as_deref().unwrap_or("not measured")
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::super::svg::width;
    use super::*;

    /// An attribute of a shape.
    fn attribute<'a>(line: &'a str, name: &str) -> &'a str {
        let (_, rest) = line.split_once(&format!(" {name}=\"")).unwrap_or_else(|| panic!("{name}: {line}"));
        rest.split('"').next().expect("there is a first part")
    }

    fn number(line: &str, name: &str) -> f64 {
        attribute(line, name).parse().expect("a number")
    }

    /// The drawings of a run with a long command, in which servers fail with long reasons.
    fn drawings() -> Vec<(String, String)> {
        let mut sections = example::everything();
        for (n, section) in sections.iter_mut().enumerate() {
            let cell = &mut section.cells[6 + n % 4];
            cell.failure =
                Some("it is <broken> for reasons that take a while to tell, and then some more ".repeat(3));
            cell.rounds.fill(None);
        }
        let command =
            format!("server compare --only {} --out {}", "scoped,mutex,".repeat(30), "x/".repeat(200));
        all(&sections, &Machine::example().with_command(command))
    }

    #[test]
    fn no_text_is_wider_than_the_drawing() {
        let drawings = drawings();
        assert!(drawings.len() > 20);
        for (name, svg) in drawings {
            let height = number(svg.lines().next().expect("there is a first line"), "height");
            for line in svg.lines().filter(|line| line.starts_with("<text ")) {
                let text = line.split_once('>').expect("a tag").1.trim_end_matches("</text>");
                let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
                let wide = width(&text, number(line, "font-size"));
                let left = number(line, "x")
                    - match attribute(line, "text-anchor") {
                        "start" => 0.0,
                        "middle" => wide / 2.0,
                        _ => wide,
                    };
                assert!(left >= 0.0 && left + wide <= WIDTH, "{name}: {left} to {}: {text}", left + wide);
                assert!((0.0..height).contains(&number(line, "y")), "{name}: {text}");
            }
        }
    }

    #[test]
    fn the_command_is_there_as_a_whole() {
        for (name, svg) in drawings() {
            assert_eq!(svg.matches("scoped,").count(), 30, "{name}");
        }
    }

    #[test]
    fn every_drawing_has_the_name_that_it_is_linked_by() {
        let sections = example::everything();
        let names: Vec<_> = drawings().into_iter().map(|(name, _)| name).collect();
        let alone = sections.iter().filter(|section| !section.workload.series);
        let linked = alone.flat_map(|section| of(&section.workload)).chain([of_costs()]);
        assert_eq!(names, linked.map(|(name, _)| name).collect::<Vec<_>>());
    }

    #[test]
    fn there_is_no_drawing_of_costs_without_any() {
        let mut sections = example::everything();
        sections.retain(|section| !section.workload.series);
        let names = all(&sections, &Machine::example());
        assert!(names.iter().all(|(name, _)| name != "cost.svg"));
    }

    #[test]
    fn latencies_have_their_range_and_a_legend_that_can_be_read() {
        let (_, svg) =
            drawings().into_iter().find(|(name, _)| name == "rate-latency.svg").expect("it is drawn");
        for label in ["median", "p99", "p99.9", "lowest to highest round"] {
            let line = svg.lines().find(|line| line.contains(&format!(">{label}</text>")));
            let line = line.unwrap_or_else(|| panic!("{label} is not explained"));
            assert!(number(line, "font-size") >= 12.0, "{line}");
        }
        // Rounds of the example differ by 3, and an axis has a factor of 8 or so on 670 pixels.
        let thin = svg.lines().filter(|line| line.contains("stroke-width=\"1.2\""));
        let spans = thin.map(|line| {
            let points = attribute(line, "points");
            let xs: Vec<f64> = points
                .split(' ')
                .map(|at| at.split(',').next().expect("x").parse().expect("a number"))
                .collect();
            xs[1] - xs[0]
        });
        assert!(spans.filter(|span| *span > 100.0).count() > 10);
    }
}

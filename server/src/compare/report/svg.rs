//! The few shapes that the drawings need.

use std::fmt::Write as _;

pub(super) const INK: &str = "#1f2328";
pub(super) const PALE: &str = "#656d76";
pub(super) const GRID: &str = "#e6e9ed";

/// How a text lies at its place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Align {
    Left,
    Middle,
    Right,
}

#[derive(Debug)]
pub(super) struct Svg {
    size: (f64, f64),
    shapes: String,
}

impl Svg {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Svg { size: (width, height), shapes: String::new() }
    }

    pub(super) fn text(&mut self, at: (f64, f64), align: Align, size: f64, colour: &str, text: &str) {
        let anchor = match align {
            Align::Left => "start",
            Align::Middle => "middle",
            Align::Right => "end",
        };
        let weight = if size > 15.0 { " font-weight=\"600\"" } else { "" };
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let _ = writeln!(
            self.shapes,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\"{weight} fill=\"{colour}\">{text}</text>",
            at.0, at.1
        );
    }

    /// A line through these points.
    pub(super) fn line(&mut self, points: &[(f64, f64)], width: f64, colour: &str, dashed: bool) {
        let points: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let dash = if dashed { " stroke-dasharray=\"5 4\"" } else { "" };
        let _ = writeln!(
            self.shapes,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{dash}/>",
            points.join(" ")
        );
    }

    pub(super) fn dot(&mut self, at: (f64, f64), radius: f64, colour: &str, hollow: bool) {
        let fill = if hollow { "#ffffff" } else { colour };
        let _ = writeln!(
            self.shapes,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\" fill=\"{fill}\" stroke=\"{colour}\" stroke-width=\"1.6\"/>",
            at.0, at.1
        );
    }

    pub(super) fn done(self) -> String {
        let (width, height) = self.size;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" font-family=\"system-ui, sans-serif\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{}</svg>\n",
            self.shapes
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let mut svg = Svg::new(10.0, 10.0);
        svg.text((0.0, 0.0), Align::Left, 12.0, INK, "<script> & co");
        assert!(svg.done().contains(">&lt;script&gt; &amp; co</text>"));
    }
}

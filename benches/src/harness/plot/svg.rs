//! Just enough SVG.

use std::fmt::{Display, Write as _};

use super::mark::Mark;

/// Where text begins or ends.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a mark is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    Solid,
    /// Only its outline.
    Hollow,
    /// For many marks in one place.
    Faint,
}

/// A mark's outline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Circle,
    Square,
    /// A square on its corner.
    Diamond,
}

/// A drawing.
pub(super) struct Svg {
    body: String,
    width: f64,
    height: f64,
}

pub(super) const INK: &str = "#1f2328";
pub(super) const PALE: &str = "#6e7781";
pub(super) const GRID: &str = "#e4e8ec";

impl Svg {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self { body: String::new(), width, height }
    }

    pub(super) fn text(
        &mut self,
        x: f64,
        y: f64,
        size: f64,
        anchor: Anchor,
        colour: &str,
        text: impl Display,
    ) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(&text.to_string());
        let _ = writeln!(
            self.body,
            r#"<text x="{x:.1}" y="{y:.1}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{text}</text>"#
        );
    }

    /// The same in bold.
    pub(super) fn heading(&mut self, x: f64, y: f64, size: f64, text: impl Display) {
        let text = escaped(&text.to_string());
        let _ = writeln!(
            self.body,
            r#"<text x="{x:.1}" y="{y:.1}" font-size="{size}" font-weight="600" fill="{INK}">{text}</text>"#
        );
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), width: f64, colour: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = writeln!(
            self.body,
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}" stroke-width="{width}" stroke-linecap="round"/>"#
        );
    }

    /// A mark with a title, which shows when pointed at.
    pub(super) fn mark(&mut self, at: (f64, f64), radius: f64, mark: Mark, title: impl Display) {
        let ((x, y), Mark { colour, fill, shape }) = (at, mark);
        let style = match fill {
            Fill::Solid => format!(r#"fill="{colour}""#),
            Fill::Hollow => format!(r#"fill="white" stroke="{colour}" stroke-width="2""#),
            Fill::Faint => format!(r#"fill="{colour}" fill-opacity="0.3""#),
        };
        let title = escaped(&title.to_string());
        // With corners a mark seems larger than a circle of the same height, so that it is made a little smaller.
        let half = radius * 0.9;
        let _ = match shape {
            Shape::Circle => writeln!(
                self.body,
                r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius}" {style}><title>{title}</title></circle>"#
            ),
            Shape::Square => writeln!(
                self.body,
                r#"<rect x="{:.1}" y="{:.1}" width="{2:.1}" height="{2:.1}" {style}><title>{title}</title></rect>"#,
                x - half,
                y - half,
                2.0 * half
            ),
            Shape::Diamond => writeln!(
                self.body,
                r#"<path d="M{x:.1} {:.1}l{r} {r}l-{r} {r}l-{r} -{r}z" {style}><title>{title}</title></path>"#,
                y - radius,
                r = radius
            ),
        };
    }

    pub(super) fn done(self) -> String {
        let Self { body, width, height } = self;
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif">
<rect width="{width}" height="{height}" fill="white"/>
{body}</svg>
"#
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_end_its_element() {
        let mut svg = Svg::new(10.0, 10.0);
        svg.text(0.0, 0.0, 1.0, Anchor::Start, INK, "a < b & c");
        assert!(svg.done().contains("a &lt; b &amp; c</text>"));
    }
}

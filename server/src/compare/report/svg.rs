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

/// How wide a text is, at most: which font it will have nobody knows, so that of a wide one is taken.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let wide = if size > BOLD { 0.65 } else { 0.6 };
    wide * size * text.chars().count() as f64
}

/// Lines that are no wider than `room`, broken at spaces and after commas, and within a word where there is no other
/// way.
pub(super) fn wrap(text: &str, size: f64, room: f64) -> Vec<String> {
    let most = letters(size, room);
    let mut lines = vec![String::new()];
    for piece in text.split_inclusive([' ', ',']) {
        let word = piece.trim_end();
        let letters: Vec<char> = word.chars().collect();
        let used = lines.last().map_or(0, |line| line.chars().count());
        if used > 0 && used + letters.len() > most {
            lines.push(String::new());
        }
        for (n, part) in letters.chunks(most).enumerate() {
            if n > 0 {
                lines.push(String::new());
            }
            lines.last_mut().into_iter().for_each(|last| last.extend(part));
        }
        lines.last_mut().into_iter().for_each(|last| *last += &piece[word.len()..]);
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// The beginning, where the whole is wider than `room`.
pub(super) fn shortened(text: &str, size: f64, room: f64) -> String {
    let most = letters(size, room);
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// How many letters have room, one at least.
fn letters(size: f64, room: f64) -> usize {
    ((room / width("x", size)) as usize).max(1)
}

/// Texts larger than this are bold.
const BOLD: f64 = 15.0;

#[derive(Debug)]
pub(super) struct Svg {
    width: f64,
    shapes: String,
}

impl Svg {
    pub(super) fn new(width: f64) -> Self {
        Svg { width, shapes: String::new() }
    }

    pub(super) fn text(&mut self, at: (f64, f64), align: Align, size: f64, colour: &str, text: &str) {
        let anchor = match align {
            Align::Left => "start",
            Align::Middle => "middle",
            Align::Right => "end",
        };
        let weight = if size > BOLD { " font-weight=\"600\"" } else { "" };
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

    /// Its text, when it is known how high it has become.
    pub(super) fn done(self, height: f64) -> String {
        let width = self.width;
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
        let mut svg = Svg::new(10.0);
        svg.text((0.0, 0.0), Align::Left, 12.0, INK, "<script> & co");
        assert!(svg.done(10.0).contains(">&lt;script&gt; &amp; co</text>"));
    }

    #[test]
    fn a_long_text_is_broken_where_it_can_be_and_nothing_of_it_is_lost() {
        let room = width("xxxxxxxxxx", 10.0);
        for (text, lines) in [
            ("", &[""][..]),
            ("one two three", &["one two", "three"]),
            ("0123456789 x", &["0123456789", "x"]),
            ("a,b,c,d,e,f,g,h", &["a,b,c,d,e,", "f,g,h"]),
            ("no 0123456789abcdef so", &["no", "0123456789", "abcdef so"]),
            ("0123456789abcdefghij", &["0123456789", "abcdefghij"]),
        ] {
            assert_eq!(wrap(text, 10.0, room), lines);
        }
        assert_eq!(shortened("0123456789", 10.0, room), "0123456789");
        assert_eq!(shortened("0123456789a", 10.0, room), "012345678…");
    }
}

//! One chart of lines: a frame with marks, and curves in it, as inline SVG.
//!
//! Places are percentages and text has the size of the page's text, so that the chart takes any
//! width without a script. The curves alone are stretched, in a box of their own.

use std::fmt::Write;

use super::axis::Mark;
use super::text::escaped;

/// The box that curves are drawn in and stretched from.
const BOX: (f64, f64) = (4_000.0, 2_000.0);

/// A chart.
pub(super) struct Plot {
    /// What is to be seen, for those who cannot see it.
    pub(super) summary: String,
    /// From left to right.
    pub(super) x: Vec<Mark>,
    /// From the top down.
    pub(super) y: Vec<Mark>,
    pub(super) lines: Vec<Line>,
}

/// A curve.
pub(super) struct Line {
    /// The class that gives it its colour.
    pub(super) class: &'static str,
    /// Places from 0 to 1, from the left and from the top.
    pub(super) points: Vec<(f64, f64)>,
    /// Whether the area below it is tinted.
    pub(super) filled: bool,
}

impl Plot {
    pub(super) fn svg(&self) -> String {
        let mut out = format!(
            "<div class=\"plot\"><svg role=\"img\" aria-label=\"{}\">\n",
            escaped(&self.summary)
        );
        for mark in &self.y {
            let (at, label) = (in_percent(mark.at), escaped(&mark.label));
            let _ = writeln!(out, "<line class=\"grid\" x2=\"100%\" y1=\"{at}\" y2=\"{at}\"/>");
            let _ = writeln!(out, "<text class=\"y\" y=\"{at}\" dx=\"-8\" dy=\"4\">{label}</text>");
        }
        for mark in &self.x {
            let (at, label) = (in_percent(mark.at), escaped(&mark.label));
            let _ = writeln!(out, "<line class=\"grid\" x1=\"{at}\" x2=\"{at}\" y2=\"100%\"/>");
            let _ =
                writeln!(out, "<text class=\"x\" x=\"{at}\" y=\"100%\" dy=\"21\">{label}</text>");
        }
        let (width, height) = BOX;
        let _ = writeln!(
            out,
            "<svg class=\"curves\" viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\">"
        );
        self.lines.iter().for_each(|line| out.push_str(&line.path()));
        out + "</svg>\n</svg></div>\n"
    }
}

impl Line {
    fn path(&self) -> String {
        let Line { class, points, filled } = self;
        let places: Vec<(i64, i64)> = points
            .iter()
            .map(|(x, y)| ((x * BOX.0).round() as i64, (y * BOX.1).round() as i64))
            .collect();
        let d = commands(&places);
        let Some(((first, _), (last, _))) = places.first().zip(places.last()) else {
            return String::new();
        };
        let bottom = BOX.1;
        let area = if *filled {
            format!("<path class=\"area {class}\" d=\"{d}V{bottom}H{last}L{first} {bottom}Z\"/>\n")
        } else {
            String::new()
        };
        area + &format!("<path class=\"line {class}\" d=\"{d}\"/>\n")
    }
}

/// The points as a path, without those in the middle of a level stretch.
fn commands(places: &[(i64, i64)]) -> String {
    let mut out = String::new();
    for (number, (x, y)) in places.iter().enumerate() {
        let level = |other: Option<&(i64, i64)>| other.is_some_and(|(_, level)| level == y);
        let before = number.checked_sub(1).and_then(|before| places.get(before));
        if level(before) && level(places.get(number + 1)) {
            continue;
        }
        let letter = if number == 0 { 'M' } else { 'L' };
        let _ = write!(out, "{letter}{x} {y}");
    }
    out
}

/// A place from 0 to 1 as an attribute's value.
pub(super) fn in_percent(place: f64) -> String {
    format!("{:.2}%", place * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_stretch_is_two_points() {
        let level = [(0, 5), (1, 5), (2, 5), (3, 5), (4, 7)];
        assert_eq!(commands(&level), "M0 5L3 5L4 7");
        assert_eq!(commands(&[(0, 5)]), "M0 5");
        assert_eq!(commands(&[]), "");
    }

    #[test]
    fn an_area_ends_on_the_floor() {
        let line = Line { class: "fair", points: vec![(0.0, 0.5), (1.0, 0.0)], filled: true };
        let path = line.path();
        assert!(
            path.contains("class=\"area fair\" d=\"M0 1000L4000 0V2000H4000L0 2000Z\""),
            "{path}"
        );
        assert!(path.contains("class=\"line fair\" d=\"M0 1000L4000 0\""), "{path}");
        let nothing = Line { points: Vec::new(), ..line };
        assert_eq!(nothing.path(), "");
    }
}

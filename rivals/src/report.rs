//! Rows, and how they are printed.

use serde_json::{Map, Value, json};

/// Median, smallest and largest of a figure over the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// The middle one; of an even number, the upper of the two.
    pub(crate) median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    /// Of one value for each round; none without rounds.
    pub(crate) fn of(rounds: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut sorted: Vec<f64> = rounds.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let median = *sorted.get(sorted.len() / 2)?;
        Some(Spread { median, min: *sorted.first()?, max: *sorted.last()? })
    }
}

/// One figure of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Figure {
    /// Of all rounds.
    Rounds(Spread),
    /// A single number.
    One(f64),
    /// There is none, which the README explains.
    Missing,
}

impl From<Option<Spread>> for Figure {
    fn from(rounds: Option<Spread>) -> Figure {
        rounds.map_or(Figure::Missing, Figure::Rounds)
    }
}

impl From<Option<f64>> for Figure {
    fn from(number: Option<f64>) -> Figure {
        number.map_or(Figure::Missing, Figure::One)
    }
}

/// What one system did in one case of a workload.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The workload's name.
    pub(crate) workload: &'static str,
    /// What was varied: "100 tenants".
    pub(crate) case: String,
    /// The system's name.
    pub(crate) system: &'static str,
    /// Names and values, the same names for all rows of a workload.
    pub(crate) figures: Vec<(&'static str, Figure)>,
}

impl Row {
    /// The row as documented in the README.
    pub(crate) fn json(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("workload".to_owned(), json!(self.workload));
        fields.insert("case".to_owned(), json!(self.case));
        fields.insert("system".to_owned(), json!(self.system));
        for (name, figure) in &self.figures {
            fields.insert((*name).to_owned(), figure.json());
        }
        Value::Object(fields)
    }
}

impl Figure {
    fn json(self) -> Value {
        match self {
            Figure::Rounds(Spread { median, min, max }) => {
                json!({ "median": short(median), "min": short(min), "max": short(max) })
            }
            Figure::One(number) => json!(short(number)),
            Figure::Missing => Value::Null,
        }
    }

    fn text(self) -> String {
        match self {
            Figure::Rounds(Spread { median, min, max }) => {
                format!("{} [{}..{}]", short(median), short(min), short(max))
            }
            Figure::One(number) => short(number).to_string(),
            Figure::Missing => "-".to_owned(),
        }
    }
}

/// The number with four significant digits; more is noise.
fn short(number: f64) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return number;
    }
    let digits = 3 - number.abs().log10().floor() as i32;
    if digits <= 0 {
        return number.round();
    }
    let scale = 10f64.powi(digits);
    (number * scale).round() / scale
}

/// The rows of one workload as a table, with a head.
pub(crate) fn table(rows: &[Row]) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let names = first.figures.iter().map(|(name, _)| (*name).to_owned());
    let head: Vec<String> =
        ["case", "system"].map(str::to_owned).into_iter().chain(names).collect();
    let mut lines = vec![head];
    for row in rows {
        let figures = row.figures.iter().map(|(_, figure)| figure.text());
        let line = [row.case.clone(), row.system.to_owned()].into_iter().chain(figures);
        lines.push(line.collect());
    }
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
    lines.iter().map(|line| aligned(line, &widths)).collect()
}

/// Words to the left, figures to the right.
fn aligned(line: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (column, (cell, &width)) in line.iter().zip(widths).enumerate() {
        let cell =
            if column < 2 { format!("{cell:<width$}  ") } else { format!("{cell:>width$}  ") };
        text.push_str(&cell);
    }
    format!("{}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_median_between_the_extremes() {
        let spread = Spread::of([3.0, 1.0, 9.0, 2.0, 4.0]);
        assert_eq!(spread, Some(Spread { median: 3.0, min: 1.0, max: 9.0 }));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn numbers_keep_four_digits() {
        let shortened = [12.345_678, 0.001_234_56, 123_456.7, 0.0, -7.654_321].map(short);
        assert_eq!(shortened, [12.35, 0.001_235, 123_457.0, 0.0, -7.654]);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |system, figure| Row {
            workload: "W0",
            case: "1 tenant".to_owned(),
            system,
            figures: vec![("mops", figure)],
        };
        let rows = [row("a", Figure::One(10.5)), row("longer", Figure::Missing)];
        let expected = "case      system  mops\n1 tenant  a       10.5\n1 tenant  longer     -\n";
        assert_eq!(table(&rows), expected);
    }
}

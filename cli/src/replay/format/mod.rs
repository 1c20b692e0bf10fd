//! Lines to fields: which bytes of a line are the tenant, the time and the cost.

mod clf;
mod csv;
mod jsonl;

use std::borrow::Cow;
use std::io::{self, Read};

use self::clf::Clf;
use self::csv::Csv;
use self::jsonl::Jsonl;
use super::input::{LINE_MAX_BYTES, Lines, Step};

/// Non-empty lines that are looked at to tell the format.
const LOOK_LINES: usize = 20;

/// What is wrong with a line.
pub(super) type Fault = Cow<'static, str>;

/// How lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    /// Common and Combined Log Format.
    Clf,
    /// Comma-separated, RFC 4180, with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

/// Which fields to read, as asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    pub(super) tenant: Option<String>,
    pub(super) time: Option<String>,
    pub(super) cost: CostFrom,
}

/// Where a job's cost comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum CostFrom {
    /// The column `cost`, and 1 where there is none.
    Default,
    /// Every job costs 1.
    One,
    /// The bytes sent, in KiB.
    Bytes,
    Field(String),
}

impl Wanted {
    fn time(&self) -> &str {
        self.time.as_deref().unwrap_or("time")
    }

    /// The field that holds the cost, and whether a line may lack it.
    fn cost(&self) -> Option<(&str, bool)> {
        match &self.cost {
            CostFrom::Default => Some(("cost", true)),
            CostFrom::One => None,
            CostFrom::Bytes => Some(("bytes", false)),
            CostFrom::Field(name) => Some((name, false)),
        }
    }
}

/// The fields of one job, as written.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    pub(super) tenant: Cow<'a, [u8]>,
    pub(super) time: Cow<'a, [u8]>,
    /// `None` where the cost is 1.
    pub(super) cost: Option<Cow<'a, [u8]>>,
}

/// Reads jobs of one format, blank lines left out.
pub(super) struct Records<R> {
    lines: Lines<R>,
    parser: Parser,
    /// The line at which the record begins.
    number: u64,
    step: Step,
}

enum Parser {
    Clf(Clf),
    Csv(Box<Csv>),
    Jsonl(Jsonl),
}

impl<R: Read> Records<R> {
    /// Begins to read; takes the header off where there is one.
    pub(super) fn new(
        mut lines: Lines<R>,
        format: Format,
        wanted: &Wanted,
    ) -> Result<Records<R>, String> {
        let parser = match format {
            Format::Clf => Parser::Clf(Clf::new(wanted)?),
            Format::Csv => Parser::Csv(Box::new(Csv::new(&mut lines, wanted)?)),
            Format::Jsonl => Parser::Jsonl(Jsonl::new(wanted)),
        };
        Ok(Records { lines, parser, number: 0, step: Step::End })
    }

    /// Moves to the next record; `false` at the end.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        loop {
            self.step = self.lines.advance()?;
            match self.step {
                Step::End => return Ok(false),
                Step::Line if self.lines.text().trim_ascii().is_empty() => {}
                Step::Line | Step::TooLong => break,
            }
        }
        self.number = self.lines.number();
        if let (Parser::Csv(csv), Step::Line) = (&mut self.parser, self.step) {
            self.step = csv.read(&mut self.lines)?;
        }
        Ok(true)
    }

    /// The fields of the record.
    pub(super) fn fields(&mut self) -> Result<Fields<'_>, Fault> {
        match (&self.parser, self.step) {
            (_, Step::TooLong) => Err(too_long()),
            (Parser::Csv(_), Step::End) => Err("a quote is not closed".into()),
            (Parser::Clf(clf), _) => clf.fields(self.lines.text()),
            (Parser::Csv(csv), _) => csv.fields(),
            (Parser::Jsonl(jsonl), _) => jsonl.fields(self.lines.text()),
        }
    }

    /// The number of the record's first line, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.lines.bytes_read()
    }
}

fn too_long() -> Fault {
    format!("longer than {LINE_MAX_BYTES} bytes").into()
}

fn missing(field: &str) -> Fault {
    format!("no field `{}`", field.escape_debug()).into()
}

/// Tells the format from the first lines: csv when the first is a header with the time's column, else
/// what the first line that is a JSON object or a line of a web log says.
pub(super) fn detect(
    mut lines: Lines<impl Read>,
    wanted: &Wanted,
) -> Result<Option<Format>, io::Error> {
    let mut looked = 0;
    while looked < LOOK_LINES {
        match lines.advance()? {
            Step::End => break,
            Step::TooLong => {}
            Step::Line => {
                let text = lines.text();
                if looked == 0 && csv::header(text).iter().any(|name| name == wanted.time()) {
                    return Ok(Some(Format::Csv));
                }
                if jsonl::is_object(text) {
                    return Ok(Some(Format::Jsonl));
                }
                if clf::is_line(text) {
                    return Ok(Some(Format::Clf));
                }
                looked += usize::from(!text.trim_ascii().is_empty());
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn wanted() -> Wanted {
        Wanted { tenant: None, time: None, cost: CostFrom::Default }
    }

    /// Every record as `number tenant|time|cost`, or `number !fault`.
    pub(super) fn all(text: &[u8], format: Format, wanted: &Wanted) -> Vec<String> {
        let mut records = Records::new(Lines::new(text).unwrap(), format, wanted).unwrap();
        let mut seen = Vec::new();
        while records.advance().unwrap() {
            let number = records.number();
            let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            seen.push(match records.fields() {
                Ok(Fields { tenant, time, cost }) => {
                    let cost = cost.map_or("none".to_owned(), |cost| show(&cost));
                    format!("{number} {}|{}|{cost}", show(&tenant), show(&time))
                }
                Err(fault) => format!("{number} !{fault}"),
            });
        }
        seen
    }

    fn detected(text: &str) -> Option<Format> {
        detect(Lines::new(text.as_bytes()).unwrap(), &wanted()).unwrap()
    }

    const WEB: &str = r#"::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5"#;

    #[test]
    fn the_format_is_told_from_the_first_lines() {
        assert_eq!(detected("tenant,time\na,5\n"), Some(Format::Csv));
        assert_eq!(detected("\u{feff}\"time\",x\n"), Some(Format::Csv));
        assert_eq!(detected("\n{\"time\": 5}\n"), Some(Format::Jsonl));
        assert_eq!(detected(&format!("junk\n\n{WEB}\n")), Some(Format::Clf));
        assert_eq!(detected(""), None);
        assert_eq!(detected("tenant,when\na,5\n"), None);
        let late = format!("{}{WEB}\n", "junk\n".repeat(20));
        assert_eq!(detected(&late), None, "only the first 20 lines are looked at");
    }

    #[test]
    fn the_header_is_looked_for_by_the_name_of_the_time() {
        let wanted = Wanted { time: Some("when".to_owned()), ..wanted() };
        let lines = Lines::new(&b"tenant,when\na,5\n"[..]).unwrap();
        assert_eq!(detect(lines, &wanted).unwrap(), Some(Format::Csv));
    }

    #[test]
    fn blank_lines_are_no_records_and_count_as_lines() {
        let text = format!("\n  \r\n{WEB}\r\n\t\n{WEB}");
        let seen = all(text.as_bytes(), Format::Clf, &wanted());
        assert_eq!(seen.len(), 2);
        assert!(seen[0].starts_with("3 ") && seen[1].starts_with("5 "), "{seen:?}");
    }

    #[test]
    fn a_line_too_long_is_one_faulty_record() {
        let long = "x".repeat(LINE_MAX_BYTES + 1);
        for (format, text) in [
            (Format::Clf, format!("{long}\n{WEB}\n")),
            (Format::Jsonl, format!("{long}\n{{\"tenant\":\"a\",\"time\":5}}\n")),
            (Format::Csv, format!("tenant,time\n{long}\na,5\n")),
        ] {
            let seen = all(text.as_bytes(), format, &wanted());
            assert_eq!(seen.len(), 2, "{format:?}");
            assert!(seen[0].ends_with("!longer than 1048576 bytes"), "{format:?}: {}", seen[0]);
            assert!(!seen[1].contains('!'), "{format:?}: {}", seen[1]);
        }
    }
}

//! Comma-separated records under a header.
//!
//! The grammar is that of the `csv` crate, through its core, which is fed line by line: so a record
//! is bounded in memory, and one that never closes its quote ends at the bound.

use std::borrow::Cow;
use std::io::{self, Read};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};

use super::super::input::{LINE_MAX_BYTES, Lines, Step};
use super::{Fault, Fields, Wanted, missing};

/// Reads records and knows where their fields are.
pub(super) struct Csv {
    record: Record,
    tenant: Column,
    time: Column,
    cost: Option<Column>,
}

/// A column by its place and its name.
struct Column {
    place: usize,
    name: String,
}

/// The record read last, unquoted.
struct Record {
    core: Reader,
    text: Vec<u8>,
    /// Where each field ends in `text`.
    ends: Vec<usize>,
    fields: usize,
    /// Bytes of `text` in use.
    used: usize,
}

impl Csv {
    /// Reads the header.
    pub(super) fn new(lines: &mut Lines<impl Read>, wanted: &Wanted) -> Result<Csv, String> {
        let mut record = Record::new();
        let header = loop {
            match lines.advance().map_err(|error| format!("cannot be read: {error}"))? {
                Step::End => return Err("the csv has no header".to_owned()),
                Step::TooLong => return Err("the csv header is too long".to_owned()),
                Step::Line if lines.text().trim_ascii().is_empty() => {}
                Step::Line => break record.header(lines.text()),
            }
        };
        let (cost, may_lack) = wanted.cost().unzip();
        let cost = cost.map(|name| column(&header, name)).transpose();
        Ok(Csv {
            tenant: column(&header, wanted.tenant.as_deref().unwrap_or("tenant"))?,
            time: column(&header, wanted.time())?,
            cost: if may_lack == Some(true) { cost.ok().flatten() } else { cost? },
            record,
        })
    }

    /// Reads the record that begins with the present line. [`Step::End`] for an open quote at the
    /// end of the input.
    pub(super) fn read(&mut self, lines: &mut Lines<impl Read>) -> io::Result<Step> {
        self.record.begin();
        loop {
            match self.record.feed(lines.text()) {
                Fed::Whole => return Ok(Step::Line),
                Fed::TooLong => return Ok(Step::TooLong),
                Fed::Open => {}
            }
            let step = lines.advance()?;
            if step != Step::Line {
                return Ok(step);
            }
        }
    }

    pub(super) fn fields(&self) -> Result<Fields<'_>, Fault> {
        let read = |column: &Column| {
            let field = self.record.field(column.place).ok_or_else(|| missing(&column.name));
            field.map(Cow::Borrowed)
        };
        Ok(Fields {
            tenant: read(&self.tenant)?,
            time: read(&self.time)?,
            cost: self.cost.as_ref().map(read).transpose()?,
        })
    }
}

/// The names in a header's line; none when it is not one.
pub(super) fn header(line: &[u8]) -> Vec<String> {
    Record::new().header(line)
}

fn column(header: &[String], name: &str) -> Result<Column, String> {
    let place = header.iter().position(|own| own == name).ok_or_else(|| {
        let names: Vec<String> =
            header.iter().map(|name| name.escape_debug().to_string()).collect();
        format!("the csv has no column `{}`: it has {}", name.escape_debug(), names.join(", "))
    })?;
    Ok(Column { place, name: name.to_owned() })
}

/// What a line did for its record.
enum Fed {
    Whole,
    /// A quote is open: the record goes on.
    Open,
    TooLong,
}

impl Record {
    fn new() -> Record {
        // Carriage returns before line feeds are gone already; others belong to their field.
        let core = ReaderBuilder::new().terminator(Terminator::Any(b'\n')).build();
        Record { core, text: vec![0; 1 << 12], ends: vec![0; 1 << 6], fields: 0, used: 0 }
    }

    fn begin(&mut self) {
        self.core.reset();
        (self.fields, self.used) = (0, 0);
    }

    fn feed(&mut self, line: &[u8]) -> Fed {
        match self.feed_part(line) {
            Fed::Open => self.feed_part(b"\n"),
            fed => fed,
        }
    }

    fn feed_part(&mut self, mut part: &[u8]) -> Fed {
        while !part.is_empty() {
            let (text, ends) = (&mut self.text[self.used..], &mut self.ends[self.fields..]);
            let (result, read, written, ended) = self.core.read_record(part, text, ends);
            part = &part[read..];
            self.used += written;
            self.fields += ended;
            match result {
                ReadRecordResult::Record => return Fed::Whole,
                ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
                ReadRecordResult::OutputFull if self.text.len() >= LINE_MAX_BYTES => {
                    return Fed::TooLong;
                }
                ReadRecordResult::OutputFull => self.text.resize(2 * self.text.len(), 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
            }
        }
        Fed::Open
    }

    fn field(&self, place: usize) -> Option<&[u8]> {
        let ends = &self.ends[..self.fields];
        let start = if place == 0 { 0 } else { *ends.get(place - 1)? };
        Some(&self.text[start..*ends.get(place)?])
    }

    fn header(&mut self, line: &[u8]) -> Vec<String> {
        self.begin();
        let Fed::Whole = self.feed(line) else { return Vec::new() };
        let fields = (0..self.fields).filter_map(|place| self.field(place));
        fields.map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all, wanted};
    use super::super::{CostFrom, Format};
    use super::*;

    fn read(text: &str) -> Vec<String> {
        all(text.as_bytes(), Format::Csv, &wanted())
    }

    #[test]
    fn columns_are_found_by_name_wherever_they_stand() {
        assert_eq!(read("x,cost,time,tenant\n0,7,5,acme\n"), ["2 acme|5|7"]);
        assert_eq!(read("tenant,time\r\nacme,5\r\n"), ["2 acme|5|none"]);
        let wanted = Wanted {
            tenant: Some("who".to_owned()),
            time: Some("when".to_owned()),
            cost: CostFrom::Field("price".to_owned()),
        };
        let seen = all(b"price,who,when\n3,acme,5", Format::Csv, &wanted);
        assert_eq!(seen, ["2 acme|5|3"]);
    }

    #[test]
    fn quotes_hold_commas_quotes_and_line_ends() {
        let text = "tenant,time\n\"a, \"\"b\"\"\",5\n\"c\nd\",6\n e,7\n";
        assert_eq!(read(text), ["2 a, \"b\"|5|none", "3 c\nd|6|none", "5  e|7|none"]);
        assert_eq!(read("tenant,time\n5\" disk,5\nb,6\n"), ["2 5\" disk|5|none", "3 b|6|none"]);
    }

    #[test]
    fn a_short_record_lacks_its_fields_and_a_long_one_has_some_too_many() {
        assert_eq!(read("tenant,time\na\nb,5,9,9\n"), ["2 !no field `time`", "3 b|5|none"]);
    }

    #[test]
    fn a_quote_that_is_never_closed_costs_what_it_swallows_and_no_more() {
        assert_eq!(
            read("tenant,time\na,5\n\"b,6\nc,7\n"),
            ["2 a|5|none", "3 !a quote is not closed"]
        );
        let text = format!("tenant,time\n\"{}a,5\n", "x\n".repeat(LINE_MAX_BYTES));
        let seen = read(&text);
        assert_eq!(seen[0], "2 !longer than 1048576 bytes");
        assert_eq!(seen.last().unwrap(), &format!("{} a|5|none", LINE_MAX_BYTES + 2));
    }

    #[test]
    fn a_header_without_a_wanted_column_is_refused_with_those_it_has() {
        let new = |text: &str, wanted: &Wanted| {
            Csv::new(&mut Lines::new(text.as_bytes()).unwrap(), wanted).err()
        };
        let problem = new("a,time\n", &wanted()).unwrap();
        assert_eq!(problem, "the csv has no column `tenant`: it has a, time");
        let bytes = Wanted { cost: CostFrom::Bytes, ..wanted() };
        assert!(new("tenant,time\n", &bytes).unwrap().contains("`bytes`"));
        assert!(new("tenant,time\n", &wanted()).is_none());
        assert!(new("", &wanted()).unwrap().contains("no header"));
    }
}

//! `host ident user [time] "request" status bytes`, and `"referer" "agent"` in the Combined format.

use std::borrow::Cow;

use memchr::{memchr, memmem};

use super::{CostFrom, Fault, Fields, Wanted, missing};

/// Which fields of a web log's lines are read.
pub(super) struct Clf {
    tenant: Field,
    cost: Option<Field>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Field {
    Host,
    Ident,
    User,
    Time,
    Method,
    Path,
    Protocol,
    Status,
    Bytes,
    Referer,
    Agent,
}

/// Every field by its name. The path is that of the request, without its query.
const FIELDS: [(&str, Field); 11] = [
    ("host", Field::Host),
    ("ident", Field::Ident),
    ("user", Field::User),
    ("time", Field::Time),
    ("method", Field::Method),
    ("path", Field::Path),
    ("protocol", Field::Protocol),
    ("status", Field::Status),
    ("bytes", Field::Bytes),
    ("referer", Field::Referer),
    ("agent", Field::Agent),
];

/// One line, cut up.
struct Web<'a> {
    host: &'a [u8],
    ident: &'a [u8],
    user: &'a [u8],
    time: &'a [u8],
    request: &'a [u8],
    status: &'a [u8],
    bytes: &'a [u8],
    /// What follows: the Combined format's fields, and what servers append to them.
    rest: &'a [u8],
}

impl Clf {
    pub(super) fn new(wanted: &Wanted) -> Result<Clf, String> {
        let tenant = wanted.tenant.as_deref().map_or(Ok(Field::Host), named)?;
        if named(wanted.time())? != Field::Time {
            return Err("a web log has one time only: leave `--time` out".to_owned());
        }
        let cost = match &wanted.cost {
            CostFrom::Default | CostFrom::One => None,
            CostFrom::Bytes => Some(Field::Bytes),
            CostFrom::Field(name) => Some(named(name)?),
        };
        Ok(Clf { tenant, cost })
    }

    pub(super) fn fields<'a>(&self, line: &'a [u8]) -> Result<Fields<'a>, Fault> {
        let web = Web::parse(line).ok_or("not a line of a web log")?;
        let read = |field| web.field(field).ok_or_else(|| missing(name_of(field)));
        Ok(Fields {
            tenant: Cow::Borrowed(read(self.tenant)?),
            time: Cow::Borrowed(web.time),
            cost: self.cost.map(|field| read(field).map(Cow::Borrowed)).transpose()?,
        })
    }
}

fn named(name: &str) -> Result<Field, String> {
    let found = FIELDS.iter().find(|(own, _)| *own == name).map(|(_, field)| *field);
    found.ok_or_else(|| {
        let names: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
        format!("a web log has no field `{}`: it has {}", name.escape_debug(), names.join(", "))
    })
}

fn name_of(field: Field) -> &'static str {
    FIELDS.iter().find(|(_, own)| *own == field).map_or("", |(name, _)| name)
}

/// Whether a line is one of a web log.
pub(super) fn is_line(line: &[u8]) -> bool {
    Web::parse(line).is_some()
}

impl<'a> Web<'a> {
    fn parse(line: &'a [u8]) -> Option<Web<'a>> {
        let (host, rest) = cut(line, b' ')?;
        let (ident, rest) = cut(rest, b' ')?;
        let bracket = memmem::find(rest, b" [")?;
        let (user, rest) = (&rest[..bracket], &rest[bracket + 2..]);
        let (time, rest) = cut(rest, b']')?;
        let (request, rest) = quoted(rest.strip_prefix(b" ")?)?;
        let (status, rest) = cut(rest.strip_prefix(b" ")?, b' ')?;
        let (bytes, rest) = cut(rest, b' ').unwrap_or((rest, b""));
        let is_number = |text: &[u8]| text.iter().all(u8::is_ascii_digit) && !text.is_empty();
        // A negative size is of the right shape; as a cost it is refused.
        let size = bytes.strip_prefix(b"-").unwrap_or(bytes);
        let is_whole = !host.is_empty()
            && (is_number(status) || status == b"-")
            && (is_number(size) || bytes == b"-");
        is_whole.then_some(Web { host, ident, user, time, request, status, bytes, rest })
    }

    fn field(&self, field: Field) -> Option<&'a [u8]> {
        match field {
            Field::Host => Some(self.host),
            Field::Ident => Some(self.ident),
            Field::User => Some(self.user),
            Field::Time => Some(self.time),
            Field::Method => self.request.split(|byte| *byte == b' ').next(),
            Field::Path => self.path(),
            Field::Protocol => self.request.split(|byte| *byte == b' ').nth(2),
            Field::Status => Some(self.status),
            Field::Bytes => Some(self.bytes),
            Field::Referer => Some(quoted(self.rest)?.0),
            Field::Agent => Some(quoted(quoted(self.rest)?.1.strip_prefix(b" ")?)?.0),
        }
    }

    fn path(&self) -> Option<&'a [u8]> {
        let target = self.request.split(|byte| *byte == b' ').nth(1)?;
        Some(memchr(b'?', target).map_or(target, |query| &target[..query]))
    }
}

/// The text before and after the first `end`.
fn cut(text: &[u8], end: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr(end, text)?;
    Some((&text[..at], &text[at + 1..]))
}

/// The text in quotes, and what follows them. A backslash takes the meaning from the next byte.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = text.strip_prefix(b"\"")?;
    let mut from = 0;
    loop {
        let quote = from + memchr(b'"', &inner[from..])?;
        let escapes = inner[..quote].iter().rev().take_while(|byte| **byte == b'\\').count();
        if escapes % 2 == 0 {
            return Some((&inner[..quote], &inner[quote + 1..]));
        }
        from = quote + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{all, wanted};
    use super::*;

    const COMBINED: &[u8] = br#"203.0.113.9 - frank [17/May/2015:10:05:03 +0000] "GET /a/b?q=\"1\" HTTP/1.1" 200 2326 "http://example.org/" "Mozilla/5.0 (X11; \"Linux\")""#;
    const COMMON: &[u8] = br#"::1 - - [17/May/2015:10:05:03 +0000] "POST /x HTTP/1.0" 304 -"#;

    fn only(line: &[u8], wanted: &Wanted) -> String {
        let seen = all(line, Format::Clf, wanted);
        assert_eq!(seen.len(), 1);
        seen[0].clone()
    }

    #[test]
    fn the_client_is_the_tenant_and_a_job_costs_one_by_default() {
        let time = "17/May/2015:10:05:03 +0000";
        assert_eq!(only(COMBINED, &wanted()), format!("1 203.0.113.9|{time}|none"));
        assert_eq!(only(COMMON, &wanted()), format!("1 ::1|{time}|none"));
    }

    #[test]
    fn every_field_can_be_the_tenant() {
        for (name, value) in [
            ("host", "203.0.113.9"),
            ("ident", "-"),
            ("user", "frank"),
            ("time", "17/May/2015:10:05:03 +0000"),
            ("method", "GET"),
            ("path", "/a/b"),
            ("protocol", "HTTP/1.1"),
            ("status", "200"),
            ("bytes", "2326"),
            ("referer", "http://example.org/"),
            ("agent", r#"Mozilla/5.0 (X11; \"Linux\")"#),
        ] {
            let wanted = Wanted { tenant: Some(name.to_owned()), ..wanted() };
            let seen = only(COMBINED, &wanted);
            assert!(seen.starts_with(&format!("1 {value}|")), "{name}: {seen}");
        }
    }

    #[test]
    fn a_field_that_a_line_lacks_is_its_fault() {
        let wanted = Wanted { tenant: Some("agent".to_owned()), ..wanted() };
        assert_eq!(only(COMMON, &wanted), "1 !no field `agent`");
    }

    #[test]
    fn bytes_are_the_cost_when_asked_for() {
        let wanted = Wanted { cost: CostFrom::Bytes, ..wanted() };
        assert!(only(COMBINED, &wanted).ends_with("|2326"));
        assert!(only(COMMON, &wanted).ends_with("|-"));
        assert!(only(br#"h - - [t] "r" 200 -5"#, &wanted).ends_with("|-5"));
    }

    #[test]
    fn unknown_fields_are_named_with_the_known_ones() {
        for wanted in [
            Wanted { tenant: Some("hots".to_owned()), ..wanted() },
            Wanted { time: Some("hots".to_owned()), ..wanted() },
            Wanted { cost: CostFrom::Field("hots".to_owned()), ..wanted() },
        ] {
            let problem = Clf::new(&wanted).err().unwrap();
            assert!(problem.contains("`hots`") && problem.contains("host, ident"), "{problem}");
        }
        assert!(Clf::new(&Wanted { time: Some("host".to_owned()), ..wanted() }).is_err());
    }

    #[test]
    fn bytes_that_are_no_text_hurt_only_the_field_they_are_in() {
        let line = b"h - - [t] \"GET /\xff\xfe HTTP/1.1\" 200 5 \"-\" \"\xff\"";
        assert_eq!(only(line, &wanted()), "1 h|t|none");
    }

    #[test]
    fn what_is_no_line_of_a_web_log_is_refused() {
        for line in [
            "",
            "h - - [t] \"GET / HTTP/1.1 200 5",
            "h - - t \"GET / HTTP/1.1\" 200 5",
            "h - - [t \"GET / HTTP/1.1\" 200 5",
            "h - - [t] \"GET / HTTP/1.1\" 200",
            "h - - [t] \"GET / HTTP/1.1\" OK 5",
            "h - - [t] \"GET / HTTP/1.1\" 200 five",
            "h - - [t] \"GET \"a\" HTTP/1.1\" 200 5",
            " - - [t] \"GET / HTTP/1.1\" 200 5",
            "h [t] \"GET / HTTP/1.1\" 200 5",
            "{\"time\": 5}",
        ] {
            assert!(!is_line(line.as_bytes()), "{line}");
        }
        assert!(is_line(COMBINED) && is_line(COMMON));
    }
}

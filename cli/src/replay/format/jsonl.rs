//! One JSON object a line, of which top-level fields are read.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Fault, Fields, Wanted, missing};

/// Which fields of an object are read.
pub(super) struct Jsonl {
    tenant: String,
    time: String,
    /// The name, and whether an object may lack it.
    cost: Option<(String, bool)>,
}

impl Jsonl {
    pub(super) fn new(wanted: &Wanted) -> Jsonl {
        Jsonl {
            tenant: wanted.tenant.clone().unwrap_or_else(|| "tenant".to_owned()),
            time: wanted.time().to_owned(),
            cost: wanted.cost().map(|(name, may_lack)| (name.to_owned(), may_lack)),
        }
    }

    pub(super) fn fields<'a>(&self, line: &'a [u8]) -> Result<Fields<'a>, Fault> {
        let mut parser = serde_json::Deserializer::from_slice(line);
        let found = parser.deserialize_map(Look { wanted: self });
        let found = found.and_then(|found| parser.end().map(|()| found));
        let Found { tenant, time, cost } = found.map_err(|_| "not a JSON object")?;
        let (cost_name, may_lack) = self.cost.as_ref().map_or(("", true), |(n, m)| (n, *m));
        let cost = text(cost, cost_name)?;
        if cost.is_none() && !may_lack {
            return Err(missing(cost_name));
        }
        Ok(Fields {
            tenant: text(tenant, &self.tenant)?.ok_or_else(|| missing(&self.tenant))?,
            time: text(time, &self.time)?.ok_or_else(|| missing(&self.time))?,
            cost,
        })
    }
}

/// Whether a line is an object.
pub(super) fn is_object(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(line).is_ok()
}

/// A value as text: a string without its quotes, a number as written; `None` for null and none.
fn text<'a>(value: Option<&'a RawValue>, name: &str) -> Result<Option<Cow<'a, [u8]>>, Fault> {
    let Some(raw) = value.map(RawValue::get).filter(|raw| *raw != "null") else { return Ok(None) };
    match raw.as_bytes() {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => Ok(Some(Cow::Borrowed(inner))),
        [b'"', ..] => {
            let unescaped = serde_json::from_str::<String>(raw);
            let unescaped = unescaped.map_err(|_| "not a JSON object")?;
            Ok(Some(Cow::Owned(unescaped.into_bytes())))
        }
        [b'{' | b'[', ..] => {
            Err(format!("field `{}` is no text and no number", name.escape_debug()).into())
        }
        _ => Ok(Some(Cow::Borrowed(raw.as_bytes()))),
    }
}

#[derive(Default)]
struct Found<'a> {
    tenant: Option<&'a RawValue>,
    time: Option<&'a RawValue>,
    cost: Option<&'a RawValue>,
}

/// Walks over an object and keeps the wanted values; of a repeated field, the last.
struct Look<'w> {
    wanted: &'w Jsonl,
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found<'de>, A::Error> {
        let mut found = Found::default();
        while let Some(Key(name)) = map.next_key()? {
            let (tenant, time) = (self.wanted.tenant == name, self.wanted.time == name);
            let cost = self.wanted.cost.as_ref().is_some_and(|(own, _)| *own == name);
            if !(tenant || time || cost) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = Some(map.next_value::<&RawValue>()?);
            for (is_meant, place) in
                [(tenant, &mut found.tenant), (time, &mut found.time), (cost, &mut found.cost)]
            {
                *place = if is_meant { value } else { *place };
            }
        }
        Ok(found)
    }
}

/// A field's name, borrowed from the line where it has no escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::super::tests::{all, wanted};
    use super::super::{CostFrom, Format};
    use super::*;

    fn read(line: &str) -> String {
        all(line.as_bytes(), Format::Jsonl, &wanted()).join(" / ")
    }

    #[test]
    fn top_level_fields_are_read_as_text_or_number() {
        assert_eq!(read(r#"{"tenant":"acme","time":5.25,"cost":7}"#), "1 acme|5.25|7");
        assert_eq!(read(r#" { "x": {"tenant": "no"}, "time": "5", "tenant": 9 } "#), "1 9|5|none");
        assert_eq!(read(r#"{"tenant":"caf\u00e9 \"x\"","time":5}"#), "1 café \"x\"|5|none");
        assert_eq!(read(r#"{"t\u0065nant":"a","time":5,"cost":null}"#), "1 a|5|none");
        assert_eq!(read(r#"{"tenant":"a","tenant":"b","time":5}"#), "1 b|5|none");
    }

    #[test]
    fn fields_are_renamed_by_flags_and_may_be_the_same_one() {
        let wanted = Wanted {
            tenant: Some("n".to_owned()),
            time: Some("when".to_owned()),
            cost: CostFrom::Field("n".to_owned()),
        };
        assert_eq!(all(br#"{"n":3,"when":5}"#, Format::Jsonl, &wanted), ["1 3|5|3"]);
        let lacks = all(br#"{"m":3,"when":5}"#, Format::Jsonl, &wanted);
        assert_eq!(lacks, ["1 !no field `n`"]);
    }

    #[test]
    fn what_is_no_object_or_lacks_a_field_is_refused() {
        for (line, fault) in [
            ("{", "not a JSON object"),
            ("[1]", "not a JSON object"),
            ("5", "not a JSON object"),
            (r#"{"tenant":"a","time":5} x"#, "not a JSON object"),
            (r#"{"tenant":"a","time":5"#, "not a JSON object"),
            (r#"{"tenant":"a"}"#, "no field `time`"),
            (r#"{"tenant":null,"time":5}"#, "no field `tenant`"),
            (r#"{"tenant":["a"],"time":5}"#, "field `tenant` is no text and no number"),
        ] {
            assert_eq!(read(line), format!("1 !{fault}"), "{line}");
        }
        let not_text = all(b"{\"tenant\":\"\xff\",\"time\":5}", Format::Jsonl, &wanted());
        assert_eq!(not_text, ["1 !not a JSON object"]);
        let deep = format!("{{\"x\":{}1{},\"time\":5}}", "[".repeat(9_999), "]".repeat(9_999));
        assert_eq!(read(&deep), "1 !no field `tenant`", "depth does no harm");
    }
}

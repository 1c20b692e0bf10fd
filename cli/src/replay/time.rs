//! Text to moments.

use std::str;

use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// The date of the Common Log Format, without its brackets.
const CLF: &str = "%d/%b/%Y:%H:%M:%S %z";
/// `YYYY-MM-DD HH:MM:SS`.
const DATE_TIME_BYTES: usize = 19;
/// Numbers of at least this size are milliseconds: as seconds they would lie after the year 5138,
/// and as milliseconds smaller ones before March 1973.
const MILLISECONDS_FROM: u64 = 100_000_000_000;
const NANOS_PER_S: i64 = 1_000_000_000;
/// Decimals beyond a nanosecond are dropped.
const DECIMALS_MAX: usize = 9;

/// A moment in nanoseconds since 1970-01-01 UTC; it lasts from 1677 to 2262.
pub(super) type Moment = i64;

/// Parses moments and remembers the last one, because lines of a log often share theirs.
#[derive(Debug, Default)]
pub(super) struct Times {
    text: Vec<u8>,
    moment: Option<Moment>,
}

impl Times {
    pub(super) fn parse(&mut self, text: &[u8]) -> Option<Moment> {
        if self.moment.is_none() || self.text != text {
            self.moment = parse(text);
            self.text.clear();
            self.text.extend_from_slice(text);
        }
        self.moment
    }
}

/// Reads RFC 3339, `YYYY-MM-DD HH:MM:SS[.fraction]` (UTC), a CLF date, or epoch seconds or
/// milliseconds; `None` for anything else.
fn parse(text: &[u8]) -> Option<Moment> {
    let text = str::from_utf8(text.trim_ascii()).ok()?;
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-')
        && !text[1.min(text.len())..].contains('-')
    {
        return epoch(text);
    }
    let since = if text.contains('/') { clf(text)? } else { civil(text)? };
    i64::try_from(since.as_nanos()).ok()
}

fn clf(text: &str) -> Option<SignedDuration> {
    let time = BrokenDownTime::parse(CLF, text).ok()?;
    Some(time.to_timestamp().ok()?.as_duration())
}

/// With an offset RFC 3339, without one UTC.
fn civil(text: &str) -> Option<SignedDuration> {
    let (date_time, rest) = text.split_at_checked(DATE_TIME_BYTES)?;
    let is_full = date_time.as_bytes()[4] == b'-' && date_time.as_bytes()[13] == b':';
    let has_offset = rest.contains(['Z', 'z', '+', '-']);
    let timestamp = match (is_full, has_offset) {
        (false, _) => return None,
        (true, true) => text.parse::<Timestamp>().ok()?,
        (true, false) => Offset::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()?,
    };
    Some(timestamp.as_duration())
}

/// Decimal seconds, or milliseconds when there are [`MILLISECONDS_FROM`] of them.
fn epoch(text: &str) -> Option<Moment> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let unit = if whole >= MILLISECONDS_FROM { NANOS_PER_S / 1_000 } else { NANOS_PER_S };
    let decimals = &fraction[..fraction.len().min(DECIMALS_MAX)];
    let part: i64 = decimals.parse().ok()?;
    let part = i128::from(part) * i128::from(unit) / 10_i128.pow(decimals.len() as u32);
    let whole = i64::try_from(whole).ok()?.checked_mul(unit)?;
    whole.checked_add(part as i64)?.checked_mul(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2015-05-17 10:05:03 UTC.
    const MOMENT: i64 = 1_431_857_103 * NANOS_PER_S;

    #[test]
    fn one_moment_is_read_from_every_documented_form() {
        for text in [
            "2015-05-17T10:05:03Z",
            "2015-05-17t10:05:03.000z",
            "2015-05-17T12:05:03+02:00",
            "2015-05-17 04:05:03-06:00",
            "2015-05-17 10:05:03",
            "2015-05-17 10:05:03.000",
            "17/May/2015:10:05:03 +0000",
            "17/May/2015:03:05:03 -0700",
            "1431857103",
            "1431857103.0",
            "1431857103000",
            " 1431857103000.000 ",
        ] {
            assert_eq!(parse(text.as_bytes()), Some(MOMENT), "{text}");
        }
    }

    #[test]
    fn fractions_are_kept_to_the_nanosecond() {
        for (text, nanos) in [
            ("2015-05-17T10:05:03.25Z", 250_000_000),
            ("2015-05-17 10:05:03.000000001", 1),
            ("1431857103.123456789", 123_456_789),
            ("1431857103.1234567891", 123_456_789),
            ("1431857103001.5", 1_500_000),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(MOMENT + nanos), "{text}");
        }
        assert_eq!(parse(b"-1.5"), Some(-1_500_000_000));
    }

    #[test]
    fn seconds_end_where_milliseconds_begin() {
        assert_eq!(parse(b"99999999999"), None, "seconds in the year 5138 are out of range");
        assert_eq!(parse(b"100000000000"), Some(100_000_000 * NANOS_PER_S));
        assert_eq!(parse(b"9000000000"), Some(9_000_000_000 * NANOS_PER_S));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "-",
            ".",
            "1.",
            ".5",
            "1.2.3",
            "--5",
            "1-2",
            "1e9",
            "NaN",
            "yesterday",
            "2015-05-17",
            "2015-13-17 10:05:03",
            "2015-02-29T10:05:03Z",
            "2015-05-17T25:05:03Z",
            "2015-05-17 10:05:03 +0000 extra",
            "17/Mai/2015:10:05:03 +0000",
            "17/May/2015:10:05:03",
            "32/May/2015:10:05:03 +0000",
            "1431857103000000",
            "99999999999999999999999",
            "\u{fc}2015-05-17 10:05:03",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse(b"\xff\xfe"), None);
    }

    #[test]
    fn the_remembered_moment_is_that_of_its_text() {
        let mut times = Times::default();
        assert_eq!(times.parse(b"5"), Some(5 * NANOS_PER_S));
        assert_eq!(times.parse(b"5"), Some(5 * NANOS_PER_S));
        assert_eq!(times.parse(b"6"), Some(6 * NANOS_PER_S));
        assert_eq!(times.parse(b"x"), None);
        assert_eq!(times.parse(b"6"), Some(6 * NANOS_PER_S));
    }
}

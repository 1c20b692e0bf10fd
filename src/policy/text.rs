//! Durations, rates and lists as text: read exactly, and shown so that they read back the same.

use std::fmt;
use std::time::Duration;

use super::suggest::did_you_mean;
use crate::limit::{Rate, RateError, Shape, Unit};

/// Units of time, largest first, in nanoseconds.
const UNITS: [(&str, u128); 5] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
];

const RATE_FORM: &str = "write it as in \"10 jobs per 60s\" or \"500 cost per 1s smooth burst 20\"";

/// Reads a time such as `250ms`, `1.5s`, `5min`, `24h` or `7d`, exact to the nanosecond.
pub(super) fn read_duration(text: &str) -> Result<Duration, String> {
    let of_number = |c: char| c.is_ascii_digit() || c == '.' || c == '_';
    let (number, unit) = text.split_at(text.find(|c| !of_number(c)).unwrap_or(text.len()));
    if number.is_empty() {
        return Err("begin with a number, as in 250ms or 5min".to_owned());
    }
    let nanos = scaled(number, nanos_of(unit)?)?;
    let seconds = u64::try_from(nanos / 1_000_000_000).map_err(|_| too_large(number))?;
    Ok(Duration::new(seconds, (nanos % 1_000_000_000) as u32))
}

fn nanos_of(unit: &str) -> Result<u128, String> {
    let known = UNITS.iter().find(|(name, _)| *name == unit);
    known.map(|(_, nanos)| *nanos).ok_or_else(|| {
        if unit.is_empty() {
            "add the unit right after the number: ms, s, min, h or d".to_owned()
        } else {
            format!("the unit is ms, s, min, h or d, right after the number, not `{unit}`")
        }
    })
}

/// `number x unit` in nanoseconds, for a number with or without decimals.
fn scaled(number: &str, unit: u128) -> Result<u128, String> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let whole = read_whole(whole)? * unit;
    let is_plain = decimals.bytes().all(|b| b.is_ascii_digit());
    if decimals.is_empty() || !is_plain {
        return Err(format!("`{number}` is not a number"));
    }
    // More decimals than these mean less than a nanosecond, or end in zeros.
    let decimals = decimals.trim_end_matches('0');
    let finest = u32::try_from(decimals.len()).ok().filter(|digits| *digits <= 18);
    let scale = finest.map(|digits| 10_u128.pow(digits)).ok_or_else(too_fine)?;
    let part = decimals.parse::<u128>().unwrap_or(0) * unit;
    if part % scale == 0 { Ok(whole + part / scale) } else { Err(too_fine()) }
}

fn too_fine() -> String {
    "nothing is finer than a nanosecond".to_owned()
}

fn too_large(number: &str) -> String {
    format!("`{number}` is too large")
}

/// Reads digits, with `_` between them if that helps, and neither sign nor leading zero.
fn read_whole(text: &str) -> Result<u128, String> {
    let groups = || text.split('_');
    let is_number = groups().all(|g| !g.is_empty() && g.bytes().all(|b| b.is_ascii_digit()));
    if !is_number || (text.starts_with('0') && text.len() > 1) {
        return Err(format!("`{text}` is not a whole number"));
    }
    // The longest duration has 23 digits of milliseconds; 23 digits of days fit 128 bits of
    // nanoseconds.
    let digits: String = groups().collect();
    digits.parse().ok().filter(|_| digits.len() <= 23).ok_or_else(|| too_large(text))
}

/// Reads an amount of `1..=max`.
pub(super) fn read_amount(text: &str, max: u64) -> Result<u64, String> {
    let number = read_whole(text)?;
    u64::try_from(number)
        .ok()
        .filter(|amount| (1..=max).contains(amount))
        .ok_or_else(|| format!("`{text}` is outside 1..={max}"))
}

/// Reads a rate such as `10 jobs per 60s` or `500 cost per 1s smooth burst 20`; smooth without a
/// burst has the whole number as its burst.
pub(super) fn read_rate(text: &str) -> Result<Rate, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [most, unit, per, time, shape @ ..] = &words[..] else {
        return Err(RATE_FORM.to_owned());
    };
    let most = read_amount(most, Rate::MOST_MAX)?;
    let unit = read_unit(unit)?;
    if *per != "per" {
        return Err(format!("expected `per`, found `{per}`; {RATE_FORM}"));
    }
    let per = read_duration(time)?;
    let rate = match shape {
        [] => Rate::strict(most, unit, per),
        ["smooth"] => Rate::smooth(most, unit, per, most),
        ["smooth", "burst", burst] => {
            let burst = read_amount(burst, most).map_err(|hint| format!("the burst {hint}"))?;
            Rate::smooth(most, unit, per, burst)
        }
        _ => {
            let found = shape.join(" ");
            return Err(format!("expected `smooth` or `smooth burst B`, found `{found}`"));
        }
    };
    rate.map_err(|error| match error {
        RateError::Per => format!("`{time}` is outside 1ms..=366d"),
        other => other.to_string(),
    })
}

fn read_unit(word: &str) -> Result<Unit, String> {
    let units = [Unit::Jobs, Unit::Cost];
    units.into_iter().find(|unit| unit.name() == word).ok_or_else(|| {
        let names = units.map(Unit::name);
        let advice = did_you_mean(word, names, "a rate counts `jobs` or `cost`");
        format!("unknown unit `{word}`, {advice}")
    })
}

/// Shows a time in the largest unit of which it is a whole number, two or more for units above a
/// second, so that a window of 60 s stays `60s`.
pub(super) fn show_duration(time: Duration) -> String {
    let nanos = time.as_nanos();
    let second = UNITS[3].1;
    let fits =
        |&&(_, unit): &&(&str, u128)| nanos % unit == 0 && (unit <= second || nanos >= 2 * unit);
    match UNITS.iter().find(fits) {
        Some((name, unit)) if nanos > 0 => format!("{}{name}", nanos / unit),
        Some(_) => "0s".to_owned(),
        None => {
            let decimals = format!("{:06}", nanos % 1_000_000);
            format!("{}.{}ms", nanos / 1_000_000, decimals.trim_end_matches('0'))
        }
    }
}

/// As the policy file has it, such as `10 jobs per 60s`.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.unit().name();
        write!(f, "{} {unit} per {}", self.most(), show_duration(self.per().as_duration()))?;
        match self.shape() {
            Shape::Strict => Ok(()),
            Shape::Smooth { burst } => write!(f, " smooth burst {burst}"),
        }
    }
}

/// The parts of a comma-separated list; an empty text has none.
pub(super) fn items(text: &str) -> Vec<&str> {
    if text.trim().is_empty() { Vec::new() } else { text.split(',').map(str::trim).collect() }
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_unit_is_read_exactly() {
        let cases = [
            ("0s", 0),
            ("250ms", 250_000_000),
            ("1.5s", 1_500_000_000),
            ("60s", 60_000_000_000),
            ("1_000ms", 1_000_000_000),
            ("5min", 300_000_000_000),
            ("24h", 86_400_000_000_000),
            ("7d", 604_800_000_000_000),
            ("0.5d", 43_200_000_000_000),
            ("0.000001ms", 1),
            ("0.1000000000000000000000s", 100_000_000),
        ];
        for (text, nanos) in cases {
            assert_eq!(read_duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_reason() {
        let cases = [
            ("", "begin with a number"),
            ("s", "begin with a number"),
            ("-1s", "begin with a number"),
            (" 5s", "begin with a number"),
            ("60", "add the unit"),
            ("60 s", "right after the number, not ` s`"),
            ("5m", "not `m`"),
            ("5S", "not `S`"),
            ("5us", "not `us`"),
            ("5s ", "not `s `"),
            ("1h30min", "not `h30min`"),
            ("1e3s", "not `e3s`"),
            (".5s", "not a whole number"),
            ("1.s", "`1.` is not a number"),
            ("1.2.3s", "`1.2.3` is not a number"),
            ("1_.5s", "not a whole number"),
            ("1__0s", "not a whole number"),
            ("007s", "not a whole number"),
            ("0.0000001ms", "nanosecond"),
            ("0.3333333333333333333s", "nanosecond"),
            ("99999999999999999999999d", "too large"),
            ("999999999999999999999999999999999999999999s", "too large"),
        ];
        for (text, reason) in cases {
            let error = read_duration(text).unwrap_err();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }

    #[test]
    fn times_are_shown_as_people_say_them() {
        let shown = [
            (0, "0s"),
            (1, "1ms"),
            (1_000, "1s"),
            (1_500, "1500ms"),
            (60_000, "60s"),
            (300_000, "5min"),
            (3_600_000, "60min"),
            (86_400_000, "24h"),
            (604_800_000, "7d"),
        ];
        for (millis, text) in shown {
            assert_eq!(show_duration(Duration::from_millis(millis)), text);
        }
        assert_eq!(show_duration(Duration::from_nanos(1_200_300)), "1.2003ms");
    }

    #[test]
    fn a_rate_states_number_unit_time_and_shape() {
        let second = Duration::from_secs(1);
        let cases = [
            ("10 jobs per 60s", Rate::strict(10, Unit::Jobs, second * 60)),
            ("500  cost per 1s", Rate::strict(500, Unit::Cost, second)),
            ("100 jobs per 1s smooth", Rate::smooth(100, Unit::Jobs, second, 100)),
            ("1_000 jobs per 1s smooth burst 20", Rate::smooth(1_000, Unit::Jobs, second, 20)),
        ];
        for (text, rate) in cases {
            assert_eq!(read_rate(text), Ok(rate.unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_no_rate_is_refused_with_the_word_that_is_wrong() {
        let cases = [
            ("", "write it as in"),
            ("10/60s", "write it as in"),
            ("10 jobs 60s now", "expected `per`, found `60s`"),
            ("ten jobs per 60s", "`ten` is not a whole number"),
            ("0 jobs per 60s", "`0` is outside 1..=1000000000000"),
            ("1000000000001 cost per 60s", "is outside 1..=1000000000000"),
            ("1.5 jobs per 60s", "`1.5` is not a whole number"),
            ("10 job per 60s", "did you mean `jobs`?"),
            ("10 tokens per 60s", "a rate counts `jobs` or `cost`"),
            ("10 jobs per 60", "add the unit"),
            ("10 jobs per 60 s", "add the unit"),
            ("10 jobs per 0s", "`0s` is outside 1ms..=366d"),
            ("10 jobs per 367d", "`367d` is outside 1ms..=366d"),
            ("10 jobs per 1s strict", "found `strict`"),
            ("10 jobs per 1s smooth 5", "found `smooth 5`"),
            ("10 jobs per 1s smooth burst", "found `smooth burst`"),
            ("10 jobs per 1s smooth burst 11", "the burst `11` is outside 1..=10"),
            ("10 jobs per 1s smooth burst 0", "`0` is outside 1..=10"),
        ];
        for (text, reason) in cases {
            let error = read_rate(text).unwrap_err();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_time_that_is_shown_reads_back_the_same(
            nanos in any::<u64>(),
            unit in prop::sample::select(vec![1, 1_000, 1_000_000, 1_000_000_000, 60_000_000_000]),
        ) {
            let time = Duration::from_nanos(nanos / unit * unit);
            prop_assert_eq!(read_duration(&show_duration(time)), Ok(time));
            let long = Duration::new(nanos, 5);
            prop_assert_eq!(read_duration(&show_duration(long)), Ok(long));
        }

        #[test]
        fn a_rate_that_is_shown_reads_back_the_same(
            most in 1..=Rate::MOST_MAX,
            nanos in 1_000_000..=366 * 86_400_000_000_000_u64,
            burst in any::<u64>(),
            cost in any::<bool>(),
            smooth in any::<bool>(),
        ) {
            let (per, unit) =
                (Duration::from_nanos(nanos), if cost { Unit::Cost } else { Unit::Jobs });
            let rate = if smooth {
                Rate::smooth(most, unit, per, burst % most + 1)
            } else {
                Rate::strict(most, unit, per)
            };
            prop_assert_eq!(read_rate(&(rate.unwrap()).to_string()), Ok(rate.unwrap()));
        }

        #[test]
        fn no_text_makes_a_reader_panic(text in "[0-9._a-z ,%-]{0,40}|.*") {
            let _ = read_duration(&text);
            if let Ok(rate) = read_rate(&text) {
                prop_assert_eq!(read_rate(&(rate).to_string()), Ok(rate));
            }
        }
    }
}

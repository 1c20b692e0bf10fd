//! How the raw values of quotas are read; as in `schema.rs`, a reader returns the value or a hint.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::draft::Raw;
use super::quota::{Limits, Overload, Own};
use super::schema::{DOTTED_NAME, Range};
use super::suggest::did_you_mean;
use super::text::{items, read_amount, read_duration, read_rate};
use crate::limit::{Cap, Rate};
use crate::units::{Bands, Priority};

/// The word for the absence of a limit.
pub(super) const NONE: &str = "none";
/// The word for 64 grants in flight, 100 for promoted tenants.
pub(super) const WORKSPACES: &str = "workspaces";

const GRANTS_MAX: u32 = 1_000_000;
pub(super) const BUDGETS_MAX: usize = 10_000;
/// Budgets of one tenant, and dimensions of one list of a budget.
const LIST_MAX: usize = 16;
/// Budgets among which the likeliest is looked for; with more, 10,000 tenants that name a wrong one
/// would take long to refuse.
const SUGGESTED_MAX: usize = 256;
const AMOUNT_MAX: u64 = 1_000_000_000_000_000;

pub(super) const PROMOTED: Range = Range::new(
    1,
    GRANTS_MAX,
    Limits::WORKSPACES_PROMOTED,
    "grants in flight of a promoted tenant, 100 with concurrency = \"workspaces\"",
);
pub(super) const RATE_ALLOWED: &str = "\"N jobs per TIME\" or \"N cost per TIME\", then nothing, \
     \"smooth\" or \"smooth burst B\"; N 1..=1000000000000, TIME 1ms..=366d, B 1..=N; or \"none\"";
pub(super) const CAP_ALLOWED: &str = "0..=1000000, \"0%\"..=\"100%\" or \"none\"";
pub(super) const CONCURRENCY_ALLOWED: &str =
    "0..=1000000, \"0%\"..=\"100%\", \"workspaces\" or \"none\"";
pub(super) const GRANTS_ALLOWED: &str = "0..=1000000 or \"none\"";
pub(super) const OVERLOAD_ALLOWED: &str = "\"reject\" or \"wait TIME\", TIME 1ms..=366d";
pub(super) const BANDS_ALLOWED: &str = "\"A, B, C\" with 1 <= A < B < C <= 9000";
pub(super) const AMOUNTS_ALLOWED: &str =
    "\"dimension amount, dimension amount\", 1 to 16 of them, amounts 1..=1000000000000000";
pub(super) const SWITCH_ALLOWED: &str = "true or false";

/// The times that a key takes, both ends included, how they are shown, and what they are.
pub(super) struct Times {
    range: RangeInclusive<Duration>,
    shown: &'static str,
    about: &'static str,
}

const YEAR: Duration = Duration::from_secs(366 * 86_400);
pub(super) const WAIT: Times = Times {
    range: Duration::from_millis(1)..=YEAR,
    shown: "\"1ms\"..=\"366d\"",
    about: "the longest time that a job waits",
};
pub(super) const JITTER: Times = Times {
    range: Duration::ZERO..=Duration::from_secs(3_600),
    shown: "\"0s\"..=\"1h\"",
    about: "the time over which parked lanes spread their return, default 0s",
};
pub(super) const RESET: Times = Times {
    range: Duration::from_secs(1)..=YEAR,
    shown: "\"1s\"..=\"366d\"",
    about: "the time after which a budget begins anew",
};
const PATIENCE: Times = Times {
    range: Duration::from_millis(1)..=YEAR,
    shown: "1ms..=366d",
    about: "the longest time that a submission waits for room",
};

impl Times {
    pub(super) fn allowed(&self) -> String {
        self.shown.to_owned()
    }

    pub(super) fn or_none(&self) -> String {
        format!("{} or \"none\"", self.shown)
    }

    pub(super) fn read(&self, raw: &Raw) -> Result<Duration, String> {
        self.read_text(text(raw, "a time with its unit, such as \"250ms\" or \"5min\",")?)
    }

    fn read_text(&self, text: &str) -> Result<Duration, String> {
        let time = read_duration(text)?;
        self.range.contains(&time).then_some(time).ok_or_else(|| self.about.to_owned())
    }
}

fn text<'r>(raw: &'r Raw, what: &str) -> Result<&'r str, String> {
    match raw {
        Raw::Text(text) => Ok(text),
        _ => Err(format!("expected {what} in quotes, found {}", raw.kind())),
    }
}

/// Reads what may be absent by the word `none`.
pub(super) fn own<T>(
    raw: &Raw,
    reader: impl FnOnce(&Raw) -> Result<T, String>,
) -> Result<Own<T>, String> {
    if is_none(raw) { Ok(Own::Lift) } else { reader(raw).map(Own::Is) }
}

pub(super) fn is_none(raw: &Raw) -> bool {
    matches!(raw, Raw::Text(text) if text == NONE)
}

pub(super) fn is_workspaces(raw: &Raw) -> bool {
    matches!(raw, Raw::Text(text) if text == WORKSPACES)
}

pub(super) fn rate(raw: &Raw) -> Result<Rate, String> {
    read_rate(text(raw, "a rate, such as \"10 jobs per 60s\",")?)
}

/// Grants in flight of the whole engine: never a percentage, of what should it be?
pub(super) fn grants(raw: &Raw) -> Result<u32, String> {
    match raw {
        Raw::Integer(number) => u32::try_from(*number)
            .ok()
            .filter(|grants| *grants <= GRANTS_MAX)
            .ok_or_else(|| "grants in flight; 0 means paused".to_owned()),
        Raw::Text(text) if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() => {
            Err("write the number without quotes".to_owned())
        }
        _ => Err(format!("expected a whole number, found {}", raw.kind())),
    }
}

pub(super) fn cap(raw: &Raw) -> Result<Cap, String> {
    match raw {
        Raw::Text(text) if text.ends_with('%') => percent(text.trim_end_matches('%')),
        _ => grants(raw).map(Cap::Grants),
    }
}

fn percent(number: &str) -> Result<Cap, String> {
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let percent = number.parse().ok().filter(|percent| is_number && *percent <= 100);
    percent.map(Cap::Percent).ok_or_else(|| {
        "whole hundredths of the engine's concurrency, \"0%\" to \"100%\"".to_owned()
    })
}

pub(super) fn concurrency(raw: &Raw) -> Result<Cap, String> {
    if is_workspaces(raw) {
        return Ok(Cap::Grants(Limits::WORKSPACES));
    }
    cap(raw).map_err(|hint| match raw {
        Raw::Text(word) => did_you_mean(word, [WORKSPACES, NONE], &hint),
        _ => hint,
    })
}

pub(super) fn overload(raw: &Raw) -> Result<Overload, String> {
    let text = text(raw, "\"reject\" or \"wait 2s\"")?;
    match text.split_whitespace().collect::<Vec<_>>()[..] {
        ["reject"] => Ok(Overload::Reject),
        ["wait"] => Err("say how long, as in \"wait 2s\"".to_owned()),
        ["wait", time] => PATIENCE.read_text(time).map(Overload::Wait),
        _ => Err("what a submission does when the queue is full".to_owned()),
    }
}

pub(super) fn bands(raw: &Raw) -> Result<Bands, String> {
    let parts = items(text(raw, "three thresholds, such as \"3000, 6000, 8000\",")?);
    let max = u64::from(Priority::MAX.get());
    let read = |part: &&str| read_amount(part, max).map(|threshold| threshold as u16);
    let thresholds = parts.iter().map(read).collect::<Result<Vec<u16>, String>>()?;
    match thresholds[..] {
        [low, middle, high] => Bands::new([low, middle, high])
            .map_err(|_| "write the thresholds in ascending order, each once".to_owned()),
        _ => Err(format!("four bands have 3 thresholds between them, not {}", parts.len())),
    }
}

pub(super) fn budgets_allowed(known: &[&str]) -> String {
    match known {
        [] => "names of [budgets.NAME] tables, of which there are none".to_owned(),
        _ => "\"none\", or names of [budgets.NAME] tables with commas between, 1 to 16".to_owned(),
    }
}

/// Reads names of budgets that exist, `known` being sorted.
pub(super) fn budgets(raw: &Raw, known: &[&str]) -> Result<Vec<String>, String> {
    let names = items(text(raw, "names of budgets, such as \"org, daily\",")?);
    counted(names.len())?;
    if let Some(name) = repeated(&names) {
        return Err(format!("`{name}` is there twice"));
    }
    let is_unknown = |name: &&str| known.binary_search(name).is_err();
    let unknown: Vec<&str> = names.iter().copied().filter(is_unknown).collect();
    match unknown[..] {
        [] => Ok(names.into_iter().map(str::to_owned).collect()),
        [name] => {
            let candidates = known.iter().copied().filter(|_| known.len() <= SUGGESTED_MAX);
            let advice = did_you_mean(name, candidates, "no budget has this name");
            Err(format!("unknown budget `{name}`, {advice}"))
        }
        _ => Err(format!("unknown budgets `{}`", unknown.join("`, `"))),
    }
}

/// Reads dimensions with their amounts, in the order written.
pub(super) fn amounts(raw: &Raw) -> Result<Vec<(String, u64)>, String> {
    let parts = items(text(raw, "dimensions with amounts, such as \"tokens 1000, usd 5\",")?);
    counted(parts.len())?;
    let amounts = parts.iter().map(|part| amount(part)).collect::<Result<Vec<_>, String>>()?;
    let names: Vec<&str> = amounts.iter().map(|(name, _)| name.as_str()).collect();
    match repeated(&names) {
        Some(name) => Err(format!("the dimension `{name}` is there twice")),
        None => Ok(amounts),
    }
}

fn amount(part: &str) -> Result<(String, u64), String> {
    let words: Vec<&str> = part.split_whitespace().collect();
    let [name, number] = words[..] else {
        return Err(format!("`{part}` is not a dimension and an amount, as in `tokens 1000`"));
    };
    if !DOTTED_NAME.accepts(name) {
        return Err(format!("`{name}` is no dimension: {}", DOTTED_NAME.allowed()));
    }
    Ok((name.to_owned(), read_amount(number, AMOUNT_MAX)?))
}

fn counted(count: usize) -> Result<(), String> {
    match count {
        0 => Err("name at least one, or leave the key out".to_owned()),
        1..=LIST_MAX => Ok(()),
        _ => Err(format!("these are {count}, at most {LIST_MAX} are possible")),
    }
}

fn repeated<'a>(names: &[&'a str]) -> Option<&'a str> {
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

pub(super) fn switch(raw: &Raw) -> Result<bool, String> {
    match raw {
        Raw::Boolean(value) => Ok(*value),
        Raw::Text(text) if text == "true" => Ok(true),
        Raw::Text(text) if text == "false" => Ok(false),
        _ => Err("whether this tenant may be promoted".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Raw {
        Raw::Text(text.to_owned())
    }

    /// Holds a reader to what it takes and to why it refuses the rest.
    #[track_caller]
    fn refuses<T: std::fmt::Debug>(
        reader: impl Fn(&Raw) -> Result<T, String>,
        bad: &[(Raw, &str)],
    ) {
        for (raw, reason) in bad {
            let error = reader(raw).unwrap_err();
            assert!(error.contains(reason), "{raw:?}: {error}");
        }
    }

    #[test]
    fn a_cap_is_a_number_or_a_percentage() {
        assert_eq!(cap(&Raw::Integer(0)), Ok(Cap::Grants(0)));
        assert_eq!(cap(&Raw::Integer(1_000_000)), Ok(Cap::Grants(1_000_000)));
        assert_eq!(cap(&written("0%")), Ok(Cap::Percent(0)));
        assert_eq!(cap(&written("100%")), Ok(Cap::Percent(100)));
        let bad = [
            (Raw::Integer(-1), "0 means paused"),
            (Raw::Integer(1_000_001), "0 means paused"),
            (Raw::Float(5.0), "found a float"),
            (Raw::Boolean(true), "found a boolean"),
            (written("5"), "without quotes"),
            (written("101%"), "hundredths"),
            (written("1.5%"), "hundredths"),
            (written("+5%"), "hundredths"),
            (written("%"), "hundredths"),
            (written("50 %"), "hundredths"),
            (written("many"), "found a string"),
        ];
        refuses(cap, &bad);
        assert_eq!(concurrency(&written("workspaces")), Ok(Cap::Grants(64)));
        refuses(concurrency, &[(written("workspace"), "did you mean `workspaces`?")]);
        refuses(grants, &[(written("50%"), "found a string")]);
    }

    #[test]
    fn none_is_a_word_of_its_own() {
        assert_eq!(own(&written("none"), cap), Ok(Own::Lift));
        assert_eq!(own(&Raw::Integer(4), cap), Ok(Own::Is(Cap::Grants(4))));
        refuses(|raw| own(raw, cap), &[(written("None"), "found a string")]);
    }

    #[test]
    fn a_time_is_within_its_bounds_and_they_are_shown_as_they_are() {
        for times in [WAIT, JITTER, RESET, PATIENCE] {
            let shown = times.shown.replace('"', "");
            let ends = shown.split_once("..=").unwrap();
            let (first, last) = (times.range.start(), times.range.end());
            assert_eq!(times.read(&written(ends.0)), Ok(*first));
            assert_eq!(times.read(&written(ends.1)), Ok(*last));
            let beyond = format!("{}ms", last.as_millis() + 1);
            refuses(|raw| times.read(raw), &[(written(&beyond), times.about)]);
        }
        let bad = [
            (written("0s"), "the longest time that a job waits"),
            (Raw::Integer(60), "a time with its unit, such as"),
        ];
        refuses(|raw| WAIT.read(raw), &bad);
        refuses(|raw| RESET.read(raw), &[(written("999ms"), "begins anew")]);
    }

    #[test]
    fn an_overloaded_queue_rejects_or_waits() {
        assert_eq!(overload(&written("reject")), Ok(Overload::Reject));
        let two = Duration::from_secs(2);
        assert_eq!(overload(&written("wait 2s")), Ok(Overload::Wait(two)));
        let bad = [
            (written("wait"), "say how long"),
            (written("wait 2"), "add the unit"),
            (written("wait 0s"), "a submission waits"),
            (written("drop"), "when the queue is full"),
            (Raw::Integer(2), "found an integer"),
        ];
        refuses(overload, &bad);
    }

    #[test]
    fn bands_have_three_ascending_thresholds() {
        let read = bands(&written("1,2, 9000")).unwrap();
        assert_eq!(read.thresholds(), [1, 2, 9_000]);
        let bad = [
            (written(""), "3 thresholds between them, not 0"),
            (written("1, 2"), "not 2"),
            (written("1, 2, 3, 4"), "not 4"),
            (written("3, 2, 4"), "ascending"),
            (written("2, 2, 4"), "ascending"),
            (written("0, 2, 4"), "`0` is outside 1..=9000"),
            (written("1, 2, 9001"), "`9001` is outside 1..=9000"),
            (written("1, 2, x"), "`x` is not a whole number"),
            (Raw::Integer(3_000), "three thresholds"),
        ];
        refuses(bands, &bad);
    }

    #[test]
    fn budgets_are_named_once_and_exist() {
        let known = ["daily", "org"];
        let named = budgets(&written("org, daily"), &known).unwrap();
        assert_eq!(named, ["org", "daily"]);
        let bad = [
            (written("orq, daily"), "unknown budget `orq`, did you mean `org`?"),
            (written("orq, daily, x"), "unknown budgets `orq`, `x`"),
            (written("org, org"), "`org` is there twice"),
            (written(" "), "at least one"),
            (written("org,"), "unknown budget ``"),
            (Raw::Integer(1), "names of budgets"),
            (written(&["b"; 17].join(",")), "these are 17, at most 16"),
        ];
        refuses(|raw| budgets(raw, &known), &bad);
    }

    #[test]
    fn amounts_have_a_dimension_each() {
        let read = amounts(&written("tokens.in 1_000, usd 1000000000000000")).unwrap();
        let expected = [("tokens.in".to_owned(), 1_000), ("usd".to_owned(), AMOUNT_MAX)];
        assert_eq!(read, expected);
        let bad = [
            (written(""), "at least one"),
            (written("tokens"), "`tokens` is not a dimension and an amount"),
            (written("tokens 5 6"), "not a dimension and an amount"),
            (written("tokens 5,"), "`` is not a dimension"),
            (written("Tokens 5"), "`Tokens` is no dimension: names of 1..=64 bytes"),
            (written("tokens 0"), "`0` is outside 1..=1000000000000000"),
            (written("tokens 1000000000000001"), "is outside"),
            (written("tokens five"), "`five` is not a whole number"),
            (written("a 1, b 2, a 3"), "the dimension `a` is there twice"),
            (Raw::Integer(5), "dimensions with amounts"),
        ];
        refuses(amounts, &bad);
    }

    #[test]
    fn a_switch_is_a_boolean_quoted_or_not() {
        for (raw, value) in
            [(Raw::Boolean(true), true), (written("true"), true), (written("false"), false)]
        {
            assert_eq!(switch(&raw), Ok(value));
        }
        for bad in [Raw::Integer(1), written("yes"), written("TRUE"), Raw::Float(1.0)] {
            assert!(switch(&bad).is_err(), "{bad:?}");
        }
    }
}

//! Names and numbers as a page may show them.

use std::fmt::Write;

/// Nanoseconds per unit, largest first, each with the value from which it is used.
const UNITS: [(f64, f64, &str); 7] = [
    (86_400e9, 172_800e9, "d"),
    (3_600e9, 7_200e9, "h"),
    (60e9, 120e9, "min"),
    (1e9, 1e9, "s"),
    (1e6, 1e6, "ms"),
    (1e3, 1e3, "µs"),
    (1.0, 0.0, "ns"),
];

/// Accents on one letter; a pile of them would be drawn over the lines above.
const MARKS_MAX: usize = 2;

/// Escapes text for an element or a quoted attribute. Controls, line ends, marks that turn the
/// direction of writing and other characters without a shape of their own are spelled out, so that
/// a name can neither break the page nor pass for another.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Escapes a name, shortened in the middle to at most `cells` letters' room: names of one family
/// differ at their ends.
pub(super) fn clipped(name: &str, cells: usize) -> String {
    if self::cells(name) <= cells {
        return escaped(name);
    }
    let shown: Vec<char> = visible(name).chars().collect();
    let end = cells / 3;
    let head: String = fitting(shown.iter(), cells - 1 - end).collect();
    let tail: Vec<char> = fitting(shown.iter().rev(), end).collect();
    let tail: String = tail.into_iter().rev().collect();
    escaped(&format!("{head}…{tail}"))
}

/// The room a name takes when it is not shortened, in letters.
pub(super) fn cells(name: &str) -> usize {
    visible(name).chars().map(width).sum()
}

/// The first characters that fit into this many cells.
fn fitting<'a>(
    chars: impl Iterator<Item = &'a char>,
    mut cells: usize,
) -> impl Iterator<Item = char> {
    chars.copied().take_while(move |c| {
        let fits = width(*c) <= cells;
        cells = cells.saturating_sub(width(*c));
        fits
    })
}

/// Cells that a character takes, roughly: most of what is beyond the alphabets is twice as wide.
fn width(c: char) -> usize {
    if c < '\u{1100}' { 1 } else { 2 }
}

fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut marks = 0;
    for c in text.chars() {
        marks = if is_mark(c) { marks + 1 } else { 0 };
        if has_no_shape(c) || marks > MARKS_MAX {
            write!(out, "{}", c.escape_unicode()).expect("writing to a string cannot fail");
        } else {
            out.push(c);
        }
    }
    out
}

/// Tells whether a character is drawn over the one before it.
fn is_mark(c: char) -> bool {
    matches!(
        c,
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}'
    )
}

fn has_no_shape(c: char) -> bool {
    let nonchar = (c as u32) & 0xfffe == 0xfffe || ('\u{fdd0}'..='\u{fdef}').contains(&c);
    let formats = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    );
    c.is_control() || nonchar || formats
}

/// A count with its thousands apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A share ratio or an index, a dash when it is not known.
pub(super) fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"))
}

/// A part of a whole, not to be broken at a line end: whole percents, and one decimal where that would be 0 or 100 wrongly.
pub(super) fn percent(part: f64) -> String {
    let percent = part * 100.0;
    match percent {
        p if p > 0.0 && p < 0.1 => "< 0.1\u{a0}%".to_owned(),
        p if p > 99.9 && p < 100.0 => "> 99.9\u{a0}%".to_owned(),
        p if (p > 0.0 && p < 1.0) || (p > 99.0 && p < 100.0) => format!("{p:.1}\u{a0}%"),
        p => format!("{p:.0}\u{a0}%"),
    }
}

/// A number for a column of them: one or more decimals, thousands apart.
pub(super) fn fixed(value: Option<f64>, decimals: usize) -> String {
    let Some(value) = value else { return "–".to_owned() };
    let scale = 10_u64.pow(decimals as u32);
    let parts = (value * scale as f64).round() as u64;
    if value > 0.0 && parts == 0 {
        return format!("<{:.decimals$}", 1.0 / scale as f64);
    }
    format!("{}.{:0decimals$}", count(parts / scale), parts % scale)
}

/// A rate to about three digits.
pub(super) fn rate(value: f64) -> String {
    match value {
        v if v > 0.0 && v < 0.005 => "< 0.01".to_owned(),
        v if v > 0.0 && v < 9.995 => format!("{v:.2}"),
        v if v > 0.0 && v < 99.95 => format!("{v:.1}"),
        v => count(v.round() as u64),
    }
}

/// A span in the unit that suits it, to about three digits.
pub(super) fn span(ms: f64) -> String {
    let nanos = ms * 1e6;
    if nanos <= 0.0 {
        return "0\u{a0}ms".to_owned();
    }
    let (unit, name) = unit_of(nanos);
    let value = nanos / unit;
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$}\u{a0}{name}")
}

/// The unit a span of so many nanoseconds is best told in.
pub(super) fn unit_of(nanos: f64) -> (f64, &'static str) {
    let fits = UNITS.iter().find(|(_, from, _)| nanos >= *from);
    fits.map_or((1.0, "ns"), |(unit, _, name)| (*unit, *name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped_for_elements_and_attributes() {
        let hostile = r#"<script>alert('x')</script>" onload="y&z"#;
        let text = escaped(hostile);
        assert!(!text.contains(['<', '>', '"', '\'']), "{text}");
        assert!(text.starts_with("&lt;script&gt;alert(&#39;x&#39;)"), "{text}");
        assert!(text.ends_with("&#34; onload=&#34;y&amp;z"), "{text}");
    }

    #[test]
    fn what_has_no_shape_is_spelled_out() {
        let cases = [
            ("a\0b", "a\\u{0}b"),
            ("line\nbreak\t", "line\\u{a}break\\u{9}"),
            ("\u{202e}evil", "\\u{202e}evil"),
            ("\u{feff}\u{ffff}\u{1fffe}", "\\u{feff}\\u{ffff}\\u{1fffe}"),
            ("z\u{302}\u{301}\u{300}", "z\u{302}\u{301}\\u{300}"),
            ("\u{7f}\u{85}\u{2028}", "\\u{7f}\\u{85}\\u{2028}"),
        ];
        for (name, expected) in cases {
            assert_eq!(escaped(name), expected);
        }
        for plain in ["Zoë's".replace('\'', ""), "שלום".to_owned(), "東京 🚀".to_owned()] {
            assert_eq!(escaped(&plain), plain);
        }
    }

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(clipped("light-01", 12), "light-01");
        assert_eq!(clipped("customer-production-0001", 12), "custome…0001");
        assert_eq!(clipped(&"東".repeat(20), 12), "東東東…東東");
        assert_eq!(clipped(&"<".repeat(20), 6), "&lt;&lt;&lt;…&lt;&lt;");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        let shares = [0.0, 0.0004, 0.009, 0.42, 0.996, 0.9999, 1.0]
            .map(percent)
            .map(|text| text.replace('\u{a0}', " "));
        assert_eq!(shares, ["0 %", "< 0.1 %", "0.9 %", "42 %", "99.6 %", "> 99.9 %", "100 %"]);
        let waits =
            [None, Some(0.0), Some(0.01), Some(14.66), Some(3_403.8)].map(|wait| fixed(wait, 1));
        assert_eq!(waits, ["–", "0.0", "<0.1", "14.7", "3,403.8"]);
        let waits = [0.0, 0.004, 0.05, 166.3304].map(|wait| fixed(Some(wait), 2));
        assert_eq!(waits, ["0.00", "<0.01", "0.05", "166.33"]);
        let rates = [0.0, 0.001, 0.25, 42.0, 1_810.4].map(rate);
        assert_eq!(rates, ["0", "< 0.01", "0.25", "42.0", "1,810"]);
        let spans = [0.0, 0.0125, 0.5, 14.66, 3_403.8, 100_000.0, 600_000.0, 3.6e7]
            .map(span)
            .map(|text| text.replace('\u{a0}', " "));
        let expected =
            ["0 ms", "12.5 µs", "500 µs", "14.7 ms", "3.40 s", "100 s", "10.0 min", "10.0 h"];
        assert_eq!(spans, expected);
    }
}

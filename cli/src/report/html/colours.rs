//! The page's colours in each of its schemes, judged without a browser.

use std::collections::BTreeMap;

use super::STYLE;

/// Least contrast of text with what it stands on (WCAG 2.2, 1.4.3).
const CONTRAST_MIN: f64 = 4.5;
const TEXT: [&str; 5] = ["--ink", "--quiet", "--fair", "--fifo", "--bad"];
const GROUND: [&str; 2] = ["--page", "--card"];

/// Values by variable.
type Scheme<'a> = BTreeMap<&'a str, &'a str>;

/// What is wrong with the colours of a style sheet.
fn faults(style: &str) -> Vec<String> {
    let mut rest = style.to_owned();
    let mut faults = Vec::new();
    let mut light = None;
    for (name, from) in
        [("light", ":root"), ("dark", "(prefers-color-scheme: dark)"), ("print", "@media print")]
    {
        let Some(block) = root_after(style, from) else {
            faults.push(format!("no {name} colours"));
            continue;
        };
        rest = rest.replace(block, "");
        let scheme = scheme(block);
        let light = light.get_or_insert_with(|| scheme.clone());
        if !scheme.keys().eq(light.keys()) {
            faults.push(format!("{name} and light are not of the same colours"));
        }
        faults.extend(unreadable(&scheme).map(|pair| format!("{name}: {pair}")));
    }
    // A colour outside of the schemes would be the same in all of them.
    let is_colour = |word: &str| hex(word).is_some() || word.starts_with("rgb");
    let words = rest.split([' ', ';', '(', ',', '\n']);
    faults.extend(words.filter(|word| is_colour(word)).map(|word| format!("{word} is fixed")));
    faults
}

/// What is in the braces of the first `:root` from `mark` on.
fn root_after<'a>(style: &'a str, mark: &str) -> Option<&'a str> {
    let after = &style[style.find(mark)?..];
    let block = &after[after.find(":root {")?..];
    Some(&block[":root {".len()..block.find('}')?])
}

fn scheme(block: &str) -> Scheme<'_> {
    let settings = block.split(';').filter_map(|setting| setting.split_once(':'));
    let settings = settings.map(|(name, value)| (name.trim(), value.trim()));
    settings.filter(|(name, _)| name.starts_with("--")).collect()
}

/// Pairs of text and ground that are too much alike, or are no colours.
fn unreadable<'a>(scheme: &'a Scheme<'a>) -> impl Iterator<Item = String> + 'a {
    let luminance = |name: &str| scheme.get(name).and_then(|value| hex(value)).map(luminance);
    let pairs = TEXT.iter().flat_map(|text| GROUND.map(|ground| (*text, ground)));
    pairs.filter_map(move |(text, ground)| {
        let contrast = luminance(text).zip(luminance(ground)).map(|(a, b)| contrast(a, b));
        let is_fit = contrast.is_some_and(|contrast| contrast >= CONTRAST_MIN);
        (!is_fit).then(|| format!("{text} on {ground}: {contrast:?}"))
    })
}

/// Red, green and blue of `#rgb` or `#rrggbb`, 0 to 1.
fn hex(text: &str) -> Option<[f64; 3]> {
    let digits = text.strip_prefix('#')?;
    let digit = |at: usize| u8::from_str_radix(digits.get(at..=at)?, 16).ok();
    let channel = |at: usize| match digits.len() {
        3 => digit(at).map(|value| 17 * value),
        6 => Some(16 * digit(2 * at)? + digit(2 * at + 1)?),
        _ => None,
    };
    Some([channel(0)?, channel(1)?, channel(2)?].map(|value| f64::from(value) / 255.0))
}

/// Relative luminance, as WCAG defines it.
fn luminance(colour: [f64; 3]) -> f64 {
    let linear = |c: f64| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
    let [red, green, blue] = colour.map(linear);
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

fn contrast(a: f64, b: f64) -> f64 {
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn light_dark_and_print_have_every_colour_and_text_can_be_read_in_each() {
    assert_eq!(faults(STYLE), [""; 0]);
    assert!(STYLE.contains("color-scheme: light dark;"), "for what the browser itself draws");
}

#[test]
fn the_check_of_colours_finds_what_it_looks_for() {
    // Negative control.
    assert_eq!(contrast(luminance([1.0; 3]), luminance([0.0; 3])), 21.0);
    let grey = contrast(luminance(hex("#777").unwrap()), 1.0);
    assert!((grey - 4.48).abs() < 0.005, "{grey}");
    for (from, to, fault) in [
        ("    --bad: #ff8a80;\n", "", "dark and light"),
        ("--quiet: #a3abb4", "--quiet: #5a5f66", "dark: --quiet on --page"),
        ("--ink: #191c20", "--ink: #f191c2", "light: --ink on --page"),
        ("color: var(--quiet)", "color: #565d66", "#565d66 is fixed"),
        ("(prefers-color-scheme: dark)", "(min-width: 1px)", "no dark colours"),
    ] {
        let style = STYLE.replacen(from, to, 1);
        assert_ne!(style, STYLE, "{from}");
        let found = faults(&style);
        assert!(found.iter().any(|it| it.starts_with(fault)), "{fault}: {found:?}");
    }
}

//! TOML text into a draft, walked by hand so that every problem is found in one pass.
//!
//! The parser recovers from syntax errors. An error that touches a value stays with that value,
//! so that its problem can name the setting and its range; any other becomes a problem by itself.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::draft::{Draft, Place, Raw, Setting};
use super::problem::{Problem, path, printable};
use super::schema::{Key, Section, Unknown};

type SpannedKey<'t> = Spanned<DeString<'t>>;
type SpannedValue<'t> = Spanned<DeValue<'t>>;

/// Syntax errors that are looked at; a text with more is not a policy, and listing them all would
/// take time in the square of their number.
const SYNTAX_ERRORS_MAX: usize = 1_000;

/// Reads the text into a draft; what is wrong with it is in the draft's problems.
pub(super) fn read(text: &str) -> Draft {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut reader =
        Reader { text, lines: Lines::of(text), errors: Vec::new(), draft: Draft::default() };
    let errors = errors.iter().take(SYNTAX_ERRORS_MAX);
    reader.errors.extend(errors.map(|error| SyntaxError::new(error, text)));
    if reader.structure_is_sound(root.get_ref()) {
        reader.root(root.get_ref());
    }
    reader.report_unclaimed();
    reader.draft
}

/// A syntax error that no value has claimed yet.
struct SyntaxError {
    /// Byte offset, within the text or at its end.
    offset: usize,
    message: String,
    claimed: bool,
}

impl SyntaxError {
    fn new(error: &toml::de::Error, text: &str) -> SyntaxError {
        let offset = error.span().map_or(text.len(), |span| span.start);
        SyntaxError { offset, message: error.message().to_owned(), claimed: false }
    }

    fn touches(&self, span: &Range<usize>) -> bool {
        (span.start..=span.end).contains(&self.offset)
    }

    /// A repeated key leaves the rest of the text as readable as it was.
    fn is_repeated_key(&self) -> bool {
        self.message == "duplicate key"
    }
}

struct Reader<'t> {
    text: &'t str,
    lines: Lines,
    errors: Vec<SyntaxError>,
    draft: Draft,
}

impl<'t> Reader<'t> {
    /// Tells whether every key is where its author put it. After an error outside of all values,
    /// such as an unclosed `[section`, keys turn up in the wrong table, and to report those would
    /// bury the one real problem.
    fn structure_is_sound(&self, root: &DeTable<'t>) -> bool {
        let mut spans = Vec::new();
        value_spans(root, &mut spans);
        let harmless = |error: &SyntaxError| {
            error.is_repeated_key() || spans.iter().any(|span| error.touches(span))
        };
        self.errors.iter().all(harmless)
    }

    fn root(&mut self, root: &DeTable<'t>) {
        for (key, value) in in_file_order(root) {
            match Section::named(key.get_ref()) {
                Ok(section) => self.section(section, key, value),
                Err(unknown) => self.unknown(&[key.get_ref()], key, value, unknown),
            }
        }
    }

    fn section(&mut self, section: Section, key: &SpannedKey<'t>, value: &SpannedValue<'t>) {
        let at = [section.name()];
        let Some(table) = self.table(&at, key, value) else { return };
        match section {
            Section::Engine => self.draft.engine.settings = self.settings(&at, section, table),
            Section::Defaults => self.draft.defaults.settings = self.settings(&at, section, table),
            Section::Tiers | Section::Tenants | Section::Budgets => {
                self.named_tables(section, table);
            }
            Section::Costs => self.draft.costs = self.costs(table),
        }
    }

    fn named_tables(&mut self, section: Section, tables: &DeTable<'t>) {
        for (name, value) in in_file_order(tables) {
            let at = [section.name(), name.get_ref()];
            let Some(table) = self.table(&at, name, value) else { continue };
            let settings = self.settings(&at, section, table);
            let place = self.place(name);
            if let Some(tables) = self.draft.tables(section) {
                tables.entry(name.get_ref(), &place).settings = settings;
            }
        }
    }

    fn settings(
        &mut self,
        at: &[&str],
        section: Section,
        table: &DeTable<'t>,
    ) -> BTreeMap<Key, Setting> {
        let mut settings = BTreeMap::new();
        for (key, value) in in_file_order(table) {
            match section.key_named(key.get_ref()) {
                Ok(known) => drop(settings.insert(known, self.setting(key, value))),
                Err(unknown) => {
                    let at = [at, &[key.get_ref()]].concat();
                    self.unknown(&at, key, value, unknown);
                }
            }
        }
        settings
    }

    fn costs(&mut self, table: &DeTable<'t>) -> BTreeMap<String, Setting> {
        let entries = in_file_order(table).into_iter();
        entries
            .map(|(kind, value)| (kind.get_ref().to_string(), self.setting(kind, value)))
            .collect()
    }

    fn setting(&mut self, key: &SpannedKey<'t>, value: &SpannedValue<'t>) -> Setting {
        Setting {
            raw: raw(value.get_ref()),
            written: self.written(value).to_owned(),
            place: self.place(key),
            flaw: self.claim(&value.span()),
        }
    }

    /// Takes the syntax errors inside `span` out of the report and gives the first one's message.
    fn claim(&mut self, span: &Range<usize>) -> Option<String> {
        let mut first = None;
        for error in self.errors.iter_mut().filter(|error| error.touches(span)) {
            error.claimed = true;
            first.get_or_insert_with(|| error.message.clone());
        }
        first
    }

    fn table<'v>(
        &mut self,
        at: &[&str],
        key: &SpannedKey<'t>,
        value: &'v SpannedValue<'t>,
    ) -> Option<&'v DeTable<'t>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            let hint = format!("expected a table, found {}", raw(value.get_ref()).kind());
            let allowed = format!("a table [{}]", path(at));
            self.problem(at, key, value, allowed, hint);
        }
        table
    }

    fn unknown(
        &mut self,
        at: &[&str],
        key: &SpannedKey<'t>,
        value: &SpannedValue<'t>,
        mut unknown: Unknown,
    ) {
        if value.get_ref().is_table() && at.len() > 2 {
            unknown.hint.push_str("; a name that contains dots must be quoted");
        }
        self.problem(at, key, value, unknown.allowed, unknown.hint);
    }

    fn problem(
        &mut self,
        at: &[&str],
        key: &SpannedKey<'t>,
        value: &SpannedValue<'t>,
        allowed: String,
        hint: String,
    ) {
        let written = Some(self.written(value));
        let problem = Problem::new(path(at), &self.place(key), written, allowed, hint);
        self.draft.problems.push(problem);
    }

    fn report_unclaimed(&mut self) {
        let unclaimed = self.errors.iter().filter(|error| !error.claimed);
        let problems: Vec<Problem> = unclaimed.map(|error| self.syntax_problem(error)).collect();
        self.draft.problems.extend(problems);
    }

    /// Names the setting from the text alone, because the parser could not place it.
    fn syntax_problem(&self, error: &SyntaxError) -> Problem {
        let index = self.lines.index(error.offset);
        let (above, rest) = self.text.split_at(self.lines.start(index));
        let line = rest.lines().next().unwrap_or_default().trim();
        let (at, value) = match line.split_once('=') {
            Some((key, value)) if !line.starts_with('[') => {
                (format!("{}{}", last_header(above), key.trim()), value.trim())
            }
            _ => (line.trim_matches(['[', ']']).to_owned(), line),
        };
        let allowed = if error.is_repeated_key() { "each key once" } else { "valid TOML" };
        let place = Place { line: Some(index + 1), variable: None };
        Problem::new(printable(&at), &place, Some(value), allowed, error.message.clone())
    }

    fn place(&self, key: &SpannedKey<'t>) -> Place {
        Place { line: Some(self.lines.index(key.span().start) + 1), variable: None }
    }

    fn written(&self, value: &SpannedValue<'t>) -> &'t str {
        self.text.get(value.span()).unwrap_or_default()
    }
}

/// The name in the last `[header]` of the text, with a dot, or nothing.
fn last_header(text: &str) -> String {
    let header = text.lines().rev().map(str::trim).find(|line| line.starts_with('['));
    header.map_or_else(String::new, |line| {
        let end = line.find(']').unwrap_or(line.len());
        format!("{}.", line[..end].trim_start_matches('['))
    })
}

/// Lists the spans of all values that are not tables.
fn value_spans(table: &DeTable<'_>, spans: &mut Vec<Range<usize>>) {
    for value in table.values() {
        match value.get_ref() {
            DeValue::Table(inner) => value_spans(inner, spans),
            _ => spans.push(value.span()),
        }
    }
}

/// The parser sorts keys by name; tiers and problems keep the order of the text.
fn in_file_order<'a, 't>(
    table: &'a DeTable<'t>,
) -> Vec<(&'a SpannedKey<'t>, &'a SpannedValue<'t>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// Reads a bare number the way a file would have it; anything else is text.
pub(super) fn number_or_text(text: &str) -> Raw {
    match DeValue::parse(text).map(|value| raw(value.get_ref())) {
        Ok(number @ (Raw::Integer(_) | Raw::Float(_))) => number,
        _ => Raw::Text(text.to_owned()),
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => {
            Raw::Integer(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX))
        }
        DeValue::Float(number) => Raw::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => Raw::Boolean(*value),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Array(_) => Raw::Other("an array"),
        DeValue::Table(_) => Raw::Other("a table"),
    }
}

/// Byte offsets of the line breaks, ascending: finds a line without counting from the top.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Lines {
        Lines(text.match_indices('\n').map(|(offset, _)| offset).collect())
    }

    /// The index, from 0, of the line that holds the byte; a break belongs to the line it ends.
    fn index(&self, offset: usize) -> usize {
        self.0.partition_point(|line_break| *line_break < offset)
    }

    /// The offset of the first byte of the line of that index.
    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.0[before] + 1)
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::{KindCost, Policy, PolicyError};
    use crate::units::Cost;

    /// Every problem as one line.
    fn problems(text: &str) -> Vec<String> {
        let error: PolicyError = Policy::from_toml(text).unwrap_err();
        error.problems().iter().map(ToString::to_string).collect()
    }

    /// The only problem of a text.
    fn problem(text: &str) -> String {
        let found = problems(text);
        assert_eq!(found.len(), 1, "{found:#?}");
        found[0].clone()
    }

    #[test]
    fn an_empty_text_is_the_default_policy() {
        for text in ["", "# nothing\n", "[engine]\n[tiers]\n[tenants]\n[costs]\n", "\u{feff}"] {
            assert_eq!(Policy::from_toml(text).unwrap(), Policy::default(), "{text:?}");
        }
    }

    #[test]
    fn every_key_reaches_its_getter() {
        let text = r#"
            engine = { queue_max = 5_000, tenants_max = 0x10, base_quantum = 100 }
            defaults.queue_max = 9
            defaults.tier = "b"
            tenants."acme.com" = { weight = 1.5 }
            [tiers.b]
            weight = 1
            queue_max = 7
            quantum = 100.0
            [tiers.a]
            weight = 0.01
            [tenants.acme]
            queue_max = 1
            [costs]
            verify = 1
            "Big batch" = 'size'
        "#;
        let policy = Policy::from_toml(text).unwrap();
        assert_eq!((policy.queue_max(), policy.tenants_max()), (5_000, 16));
        assert_eq!((policy.base_quantum(), policy.default_queue_max()), (100, 9));
        assert_eq!(policy.default_tier().name(), "b");
        let tiers: Vec<_> =
            policy.tiers().iter().map(|t| (t.name(), t.queue_max(), t.quantum())).collect();
        assert_eq!(tiers, [("b", 7, 100.0), ("a", 9, 1.0)]);
        let weight = policy.override_for("acme.com").unwrap().weight.unwrap();
        assert_eq!(weight.as_f64(), 1.5);
        assert_eq!(policy.override_for("acme").unwrap().queue_max, Some(1));
        assert_eq!(policy.cost_for("verify"), Some(KindCost::Fixed(Cost::MIN)));
        assert_eq!(policy.cost_for("Big batch"), Some(KindCost::Size));
    }

    #[test]
    fn a_bad_value_is_shown_with_line_range_and_hint() {
        let cases = [
            (
                "[tiers.starter]\nweight = 0",
                "line 2: tiers.starter.weight = 0: allowed 0.01..=1000 in steps of 0.001 \
                 (hint: a share is never 0; the smallest is 0.01)",
            ),
            (
                "\r\n[engine]\r\nqueue_max = -5\r\n",
                "line 3: engine.queue_max = -5: allowed 1..=100000000 \
                 (hint: jobs queued in the whole engine, default 1000000)",
            ),
            (
                "costs.sign = 'Size'",
                "line 1: costs.sign = 'Size': allowed 1..=1000000 or \"size\" \
                 (hint: expected a whole number, found a string)",
            ),
            (
                "tenants.\"a b\".queue_max = 1048577",
                "line 1: tenants.\"a b\".queue_max = 1048577: allowed 1..=1048576 \
                 (hint: jobs queued by one tenant, default 10000)",
            ),
            (
                "[tiers.Gold]\nweight=1\n[defaults]\ntier='Gold'",
                "line 1: tiers.Gold = \"Gold\": allowed names of 1..=64 bytes of a-z, 0-9, _ and - \
                 (hint: this name has 4 bytes; rename it)",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(problem(text), expected);
        }
    }

    #[test]
    fn numbers_are_read_strictly() {
        let bad =
            ["0", "-1", "1.0", "nan", "inf", "true", "[1]", "'5'", "12abc", "1__0", "007", ""];
        for value in bad {
            let found = problem(&format!("[engine]\ntenants_max = {value}\nqueue_max = 5\n"));
            let start =
                format!("line 2: engine.tenants_max = {value}: allowed 1..=4000000 (hint: ");
            assert!(found.starts_with(&start), "{found}");
        }
        for value in
            ["0", "-0.0", "-1", "1e999", "-inf", "nan", "1.0005", "1001", "'1'", "1.", "1x"]
        {
            let found = problem(&format!("tenants.acme.weight = {value}"));
            let start = format!("line 1: tenants.acme.weight = {value}: allowed 0.01..=1000 in ");
            assert!(found.starts_with(&start), "{found}");
        }
        let huge = "9".repeat(100);
        assert!(problem(&format!("engine.queue_max = {huge}")).contains("allowed 1..=100000000"));
    }

    #[test]
    fn whole_and_decimal_weights_mean_the_same() {
        let one = Policy::from_toml("tiers.starter.weight = 1").unwrap();
        assert_eq!(one, Policy::from_toml("tiers.starter.weight = 1.0").unwrap());
        assert_eq!(one, Policy::from_toml("tiers.starter.weight = 1e0").unwrap());
    }

    #[test]
    fn unknown_sections_and_keys_are_refused_with_the_likeliest_name() {
        let cases = [
            ("[engin]\nqueue_max=1", "line 1: engin = [engin]", "did you mean `engine`?"),
            ("[engine]\nqueue_mx=1", "line 2: engine.queue_mx = 1", "did you mean `queue_max`?"),
            ("[defaults]\nTier='x'", "line 2: defaults.Tier = 'x'", "did you mean `tier`?"),
            ("tenants.a.wieght=1", "line 1: tenants.a.wieght = 1", "did you mean `weight`?"),
            ("tenants.a.tier='x'", "line 1: tenants.a.tier = 'x'", "unknown key, remove it"),
            (
                "tenants.a.quantum=1",
                "line 1: tenants.a.quantum = 1",
                "allowed keys weight, queue_max",
            ),
            ("[tenants.acme.com]", "line 1: tenants.acme.com", "dots must be quoted"),
        ];
        for (text, start, hint) in cases {
            let found = problem(text);
            assert!(found.starts_with(start) && found.contains(hint), "{found}");
        }
    }

    #[test]
    fn a_value_where_a_table_belongs_is_refused() {
        for text in ["engine = 5", "costs = 'size'", "tiers = [1]", "tenants.acme = 5", "[[tiers]]"]
        {
            assert!(problem(text).contains("expected a table"), "{text}");
        }
    }

    #[test]
    fn repeated_keys_are_reported_beside_everything_else() {
        let found = problems("[engine]\nqueue_max = 1\nqueue_max = 2\n[costs]\nx = 0\n[engine]\n");
        let expected = [
            "line 3: engine.queue_max = 2: allowed each key once (hint: duplicate key)",
            "line 5: costs.x = 0: allowed 1..=1000000 or \"size\" \
             (hint: cost units of every job of this kind)",
            "line 6: engine = [engine]: allowed each key once (hint: duplicate key)",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_broken_structure_is_reported_alone() {
        let found = problem("[costs]\nx = 1\n[engine\nqueue_max = 0\n");
        assert!(
            found.starts_with("line 3: engine = [engine: allowed valid TOML (hint: "),
            "{found}"
        );
        let found = problem("[engine]\nqueue_max\n");
        assert!(found.starts_with("line 2: queue_max = queue_max: allowed valid TOML"), "{found}");
    }

    #[test]
    fn a_readable_value_with_bad_syntax_is_still_refused() {
        let found = problem("[defaults]\ntier = starter\n");
        let start =
            "line 2: defaults.tier = starter: allowed one of starter, growth, scale (hint: ";
        assert!(found.starts_with(start) && found.contains("quoted"), "{found}");
    }

    #[test]
    fn a_syntax_error_under_an_unknown_key_is_not_lost() {
        let found = problems("[engine]\nqueue_mx = 12abc\n");
        assert!(found.iter().any(|line| line.contains("unknown key")), "{found:#?}");
        assert!(found.iter().any(|line| line.contains("valid TOML")), "{found:#?}");
    }

    #[test]
    fn a_quantum_must_agree_with_its_weight() {
        assert!(Policy::from_toml("tiers.starter = { weight = 1.2, quantum = 24 }").is_ok());
        let found = problem("[tiers.starter]\nweight = 1.2\nquantum = 25");
        let start = "line 3: tiers.starter.quantum = 25: allowed 24 (weight x base_quantum)";
        assert!(found.starts_with(start) && found.contains("two sources of truth"), "{found}");
    }

    #[test]
    fn naming_a_tier_replaces_the_default_set() {
        let found = problems("[tiers.gold]\nqueue_max = 5");
        let expected = [
            "defaults.tier = \"starter\": allowed one of gold \
             (hint: name a tier that the policy has)",
            "line 1: tiers.gold.weight is missing: allowed 0.01..=1000 in steps of 0.001 \
             (hint: give every tier a weight; naming one tier replaces the default set)",
        ];
        assert_eq!(found, expected);
        assert!(problem("defaults.tier = 'grwth'").contains("did you mean `growth`?"));
    }

    #[test]
    fn all_problems_come_at_once_in_the_order_of_the_text() {
        let text = "[costs]\na = 0\nb = 1.5\n[tiers.starter]\nweight = 0\nqueue_max = 0\n\
                    [engine]\nbase_quantum = 0\nnope = 1\n";
        let found = problems(text);
        let lines: Vec<_> = found.iter().map(|line| line.split(':').next().unwrap()).collect();
        assert_eq!(lines, ["line 2", "line 3", "line 5", "line 6", "line 8", "line 9"]);
    }

    #[test]
    fn garbage_is_refused_in_short_time() {
        let mut garbage = "= [ \" \n".repeat(20_000);
        garbage.push('\0');
        assert!(Policy::from_toml(&garbage).is_err());
        let deep = format!("a = {}", "[".repeat(50_000));
        assert!(Policy::from_toml(&deep).is_err());
    }
}

use std::fmt;

use super::draft::Place;

/// Characters of a name or value that a message repeats; the rest is cut off.
const SHOWN_MAX_CHARS: usize = 64;

/// Lists everything that is wrong with a policy; shows one line per problem.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyError {
    /// Never empty.
    problems: Vec<Problem>,
}

impl PolicyError {
    /// Keeps problems in reading order: those without a place, by line, then by variable.
    pub(super) fn new(mut problems: Vec<Problem>) -> PolicyError {
        assert!(!problems.is_empty(), "an error without a problem");
        let position = |problem: &Problem| (problem.place.variable.clone(), problem.place.line);
        problems.sort_by_cached_key(position);
        PolicyError { problems }
    }

    /// Every problem, at least one, in the order of the text, those of variables last.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyError {}

/// Says what is wrong with one setting: where it is, what it says, what it may say.
///
/// Shown on one line, whatever the setting contains:
/// `line 12: tiers.starter.weight = 0: allowed 0.01..=1000 in steps of 0.001 (hint: ...)`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    path: String,
    place: Place,
    value: Option<String>,
    allowed: String,
    hint: String,
}

impl Problem {
    pub(super) fn new(
        path: String,
        place: &Place,
        value: Option<&str>,
        allowed: impl Into<String>,
        hint: impl Into<String>,
    ) -> Problem {
        Problem {
            path,
            place: place.clone(),
            value: value.map(printable),
            allowed: allowed.into(),
            hint: hint.into(),
        }
    }

    /// The setting, such as `tiers.starter.weight`, or the name of a variable that names none.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The line of the text, counted from 1; `None` when the value comes from code, from a
    /// variable or from nowhere (a missing key).
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.place.line
    }

    /// The environment variable that holds the value, if one does.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        self.place.variable.as_deref()
    }

    /// The value as written, control characters escaped and cut after 64 characters; `None` when
    /// the setting is missing.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// What would have been accepted.
    #[must_use]
    pub fn allowed(&self) -> &str {
        &self.allowed
    }

    /// How to put it right.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// Shows the problem with the name of its file: `fairlane.toml:12: ...` in place of
    /// `line 12: ...`. A problem of a variable still starts with the variable.
    pub fn in_file<'a>(&'a self, file: &'a str) -> impl fmt::Display + 'a {
        InFile { problem: self, file }
    }

    fn write_rest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(variable) = &self.place.variable {
            if *variable != self.path {
                write!(f, "{variable}: ")?;
            }
        }
        match &self.value {
            Some(value) => write!(f, "{} = {value}", self.path)?,
            None => write!(f, "{} is missing", self.path)?,
        }
        write!(f, ": allowed {} (hint: {})", self.allowed, self.hint)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.place.line {
            write!(f, "line {line}: ")?;
        }
        self.write_rest(f)
    }
}

struct InFile<'a> {
    problem: &'a Problem,
    file: &'a str,
}

impl fmt::Display for InFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.problem.line(), self.problem.variable()) {
            (Some(line), _) => write!(f, "{}:{line}: ", self.file)?,
            (None, None) => write!(f, "{}: ", self.file)?,
            (None, Some(_)) => {}
        }
        self.problem.write_rest(f)
    }
}

/// Joins the parts of a setting's name, quoting those that TOML would want quoted.
pub(super) fn path(parts: &[&str]) -> String {
    let quoted: Vec<String> = parts.iter().map(|part| key_text(part)).collect();
    quoted.join(".")
}

fn key_text(part: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let shown = printable(part);
    if !part.is_empty() && part.chars().all(is_bare) {
        shown
    } else {
        format!("\"{}\"", shown.replace('"', "\\\""))
    }
}

/// Makes `text` fit one line of a terminal: control characters escaped, long texts cut.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == SHOWN_MAX_CHARS {
            shown.push('…');
            break;
        }
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: Option<usize>, variable: Option<&str>) -> Problem {
        let place = Place { line, variable: variable.map(str::to_owned) };
        Problem::new("a.b".to_owned(), &place, Some("0"), "1..=9", "more")
    }

    #[test]
    fn a_problem_starts_with_its_line_its_file_or_its_variable() {
        let rest = "a.b = 0: allowed 1..=9 (hint: more)";
        assert_eq!(at(Some(12), None).to_string(), format!("line 12: {rest}"));
        assert_eq!(at(Some(12), None).in_file("f").to_string(), format!("f:12: {rest}"));
        assert_eq!(at(None, None).to_string(), rest);
        assert_eq!(at(None, None).in_file("f").to_string(), format!("f: {rest}"));
        assert_eq!(at(None, Some("V")).to_string(), format!("V: {rest}"));
        assert_eq!(at(None, Some("V")).in_file("f").to_string(), format!("V: {rest}"));
        assert_eq!(at(None, Some("a.b")).to_string(), rest);
    }

    #[test]
    fn an_error_shows_one_line_per_problem_in_reading_order() {
        let error = PolicyError::new(vec![
            at(None, Some("V")),
            at(Some(9), None),
            at(Some(2), None),
            at(None, None),
        ]);
        let text = error.to_string();
        let starts: Vec<&str> = text.lines().map(|line| &line[..4]).collect();
        assert_eq!(starts, ["a.b ", "line", "line", "V: a"]);
        assert_eq!(error.problems()[1].line(), Some(2));
    }

    #[test]
    fn a_value_can_neither_break_the_line_nor_flood_it() {
        assert_eq!(printable("a\n\u{1b}[0m"), "a\\n\\u{1b}[0m");
        assert_eq!(printable(&"x".repeat(10_000)).chars().count(), SHOWN_MAX_CHARS + 1);
        assert_eq!(path(&["tenants", "a \"b\"\n", "weight"]), r#"tenants."a \"b\"\n".weight"#);
        assert_eq!(path(&["tenants", ""]), r#"tenants."""#);
    }
}

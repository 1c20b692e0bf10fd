//! A Rust source file seen as code, comments and literals, without a parser.
//!
//! Shared by `tests/tidy.rs` and by `loom-tests/runner`, which looks for mutants.

use std::fs;
use std::io;
use std::path::Path;

/// What a byte of a source file belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Code,
    Comment,
    /// Strings and characters, with their quotes.
    Literal,
}

/// One source file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Relative to the root of the project, with forward slashes.
    pub(crate) path: String,
    pub(crate) text: String,
    /// One for each byte of `text`.
    kinds: Vec<Kind>,
}

/// A label such as `ring.publish`, given to a macro at a line (from 1).
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Label {
    pub(crate) line: usize,
    pub(crate) name: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned(), kinds: classify(text.as_bytes()) }
    }

    /// The text with everything of other kinds blanked; bytes and lines keep their places.
    pub(crate) fn view(&self, kept: &[Kind]) -> String {
        let blanked = self
            .text
            .bytes()
            .zip(&self.kinds)
            .map(|(byte, kind)| if byte == b'\n' || kept.contains(kind) { byte } else { b' ' });
        String::from_utf8(blanked.collect()).expect("characters are kept or blanked whole")
    }

    /// The first argument of every call `name!("label", ...)`.
    pub(crate) fn labels(&self, name: &str) -> Vec<Label> {
        let code = self.view(&[Kind::Code, Kind::Literal]);
        let call = format!("{name}!(");
        let sites = code
            .match_indices(&call)
            .filter(|(at, _)| self.kinds[*at] == Kind::Code && starts_word(&code, *at));
        sites
            .filter_map(|(at, _)| {
                let (name, _) =
                    code[at + call.len()..].trim_start().strip_prefix('"')?.split_once('"')?;
                Some(Label { line: line_of(&code, at), name: name.to_owned() })
            })
            .collect()
    }
}

/// Whether no identifier reaches across `at` from before.
pub(crate) fn starts_word(text: &str, at: usize) -> bool {
    !text[..at].ends_with(is_word)
}

/// Whether `c` may be part of an identifier.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The line, from 1, that holds the byte at `at`.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    1 + text[..at].bytes().filter(|&b| b == b'\n').count()
}

/// Every Rust file below `folder`, sorted by path; build output and hidden folders are left out.
pub(crate) fn rust_files(root: &Path, folder: &str) -> io::Result<Vec<Source>> {
    let mut found = Vec::new();
    let mut entries = fs::read_dir(root.join(folder))?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{folder}/{name}");
        if entry.file_type()?.is_dir() {
            if name != "target" && !name.starts_with('.') {
                found.extend(rust_files(root, &path)?);
            }
        } else if name.ends_with(".rs") {
            found.push(Source::new(&path, &fs::read_to_string(entry.path())?));
        }
    }
    Ok(found)
}

fn classify(bytes: &[u8]) -> Vec<Kind> {
    let mut kinds = vec![Kind::Code; bytes.len()];
    let mut at = 0;
    while at < bytes.len() {
        let (kind, length) = token(&bytes[at..]);
        let end = bytes.len().min(at + length);
        kinds[at..end].fill(kind);
        at = end;
    }
    kinds
}

/// Kind and length of what `rest` begins with.
fn token(rest: &[u8]) -> (Kind, usize) {
    match rest[0] {
        b'/' if rest.starts_with(b"//") => (Kind::Comment, until(rest, b"\n")),
        b'/' if rest.starts_with(b"/*") => (Kind::Comment, block_comment(rest)),
        b'"' => (Kind::Literal, string(rest)),
        b'\'' => character(rest).map_or((Kind::Code, 1), |length| (Kind::Literal, length)),
        first if is_word_byte(first) => match raw_string(rest) {
            Some(length) => (Kind::Literal, length),
            None => (Kind::Code, word(rest)),
        },
        _ => (Kind::Code, 1),
    }
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

fn word(rest: &[u8]) -> usize {
    rest.iter().take_while(|&&byte| is_word_byte(byte)).count()
}

/// The number of bytes before `end`, or all of them.
fn until(rest: &[u8], end: &[u8]) -> usize {
    rest.windows(end.len()).position(|window| window == end).unwrap_or(rest.len())
}

/// Block comments nest.
fn block_comment(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn string(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != b'"' {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// `r"..."`, `br#"..."#` and their like.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let prefix = usize::from(matches!(rest[0], b'b' | b'c'));
    let after_r = rest[prefix..].strip_prefix(b"r")?;
    let hashes = after_r.iter().take_while(|&&byte| byte == b'#').count();
    let body = after_r[hashes..].strip_prefix(b"\"")?;
    let end = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
    Some(prefix + 1 + hashes + 1 + until(body, &end) + end.len())
}

/// The length of a character literal, or `None` where the quote begins a lifetime.
fn character(rest: &[u8]) -> Option<usize> {
    if rest.get(1) == Some(&b'\\') {
        return Some(3 + until(rest.get(3..)?, b"'") + 1);
    }
    let continuations = rest.get(2..)?.iter().take_while(|&&b| b & 0xC0 == 0x80);
    let close = 2 + continuations.count();
    (rest.get(close) == Some(&b'\'')).then_some(close + 1)
}

#[cfg(test)]
mod tests {
    use super::{Kind, Label, Source};

    /// What is left of the code, with runs of blanks made one.
    fn code(text: &str) -> String {
        let view = Source::new("x.rs", text).view(&[Kind::Code]);
        assert_eq!(view.len(), text.len(), "bytes keep their places");
        assert_eq!(view.lines().count(), text.lines().count(), "lines keep their places");
        view.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_are_told_from_code() {
        assert_eq!(code("a // b\nc /* d /* e */ f */ g"), "a c g");
    }

    #[test]
    fn literals_are_told_from_code() {
        assert_eq!(code(r#"f("a\"b", x)"#), "f( , x)");
        assert_eq!(code(r##"y r#"a"b"# x br"y" for"##), "y x for");
        assert_eq!(code(r"'a' '\'' '\u{1F}' 'é' &'a str"), "&'a str");
    }

    #[test]
    fn a_quote_or_slash_in_a_literal_begins_nothing() {
        assert_eq!(code("'\"' x"), "x");
        assert_eq!(code("\"//\" x"), "x");
    }

    #[test]
    fn labels_are_found_in_code_only() {
        let text = "// ord!(\"a.doc\")\nx(ord!(\n    \"a.b\", Release => Relaxed));\ncoord!(\"c\"); \"ord!(\";";
        let expected = Label { line: 2, name: "a.b".to_owned() };
        assert_eq!(Source::new("x.rs", text).labels("ord"), [expected]);
    }
}

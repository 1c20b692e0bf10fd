//! Just enough of unified diffs to apply our own: exact positions, exact context, no fuzz.

/// The edits to one file.
#[derive(Debug)]
pub(crate) struct Edit {
    /// Relative to the root of the crate.
    pub(crate) path: String,
    hunks: Vec<Hunk>,
}

#[derive(Debug)]
struct Hunk {
    /// Line number in the old file, from 1, of the first line of the hunk.
    start: usize,
    lines: Vec<(Mark, String)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mark {
    Keep,
    Remove,
    Add,
}

/// Reads a unified diff. Prose before the first file is skipped.
pub(crate) fn parse(patch: &str) -> Result<Vec<Edit>, String> {
    let mut edits: Vec<Edit> = Vec::new();
    let mut lines = patch.lines();
    while let Some(line) = lines.next() {
        if let Some(path) = line.strip_prefix("+++ b/") {
            edits.push(Edit { path: path.to_owned(), hunks: Vec::new() });
        } else if let Some(range) = line.strip_prefix("@@ -") {
            let edit = edits.last_mut().ok_or("a hunk comes before any file name")?;
            edit.hunks.push(hunk(range, &mut lines)?);
        }
    }
    if edits.iter().all(|edit| edit.hunks.is_empty()) {
        return Err("the patch holds no hunk".to_owned());
    }
    Ok(edits)
}

/// One hunk. Its end is found by counting the lines that its header promises, because a removed
/// line may itself look like a header.
fn hunk<'a>(range: &str, lines: &mut impl Iterator<Item = &'a str>) -> Result<Hunk, String> {
    let (start, mut old, mut new) =
        ranges(range).ok_or_else(|| format!("unreadable hunk header: @@ -{range}"))?;
    let mut hunk = Hunk { start, lines: Vec::new() };
    while old > 0 || new > 0 {
        let line = lines.next().ok_or("the patch ends inside a hunk")?;
        let (mark, text) = marked(line)?;
        let counted = |n: usize| {
            n.checked_sub(1).ok_or_else(|| format!("hunk @@ -{range} is longer than it says"))
        };
        old = if mark == Mark::Add { old } else { counted(old)? };
        new = if mark == Mark::Remove { new } else { counted(new)? };
        hunk.lines.push((mark, text.to_owned()));
    }
    Ok(hunk)
}

/// `118,6 +118,9 @@ ...` as (118, 6, 9).
fn ranges(range: &str) -> Option<(usize, usize, usize)> {
    let (old, rest) = range.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let pair = |text: &str| -> Option<(usize, usize)> {
        let (start, length) = text.split_once(',').unwrap_or((text, "1"));
        Some((start.parse().ok()?, length.parse().ok()?))
    };
    let ((start, old), (_, new)) = (pair(old)?, pair(new)?);
    Some((start, old, new))
}

fn marked(line: &str) -> Result<(Mark, &str), String> {
    match line.chars().next() {
        // An editor may have stripped the blank that marks an empty line of context.
        None => Ok((Mark::Keep, "")),
        Some(' ') => Ok((Mark::Keep, &line[1..])),
        Some('-') => Ok((Mark::Remove, &line[1..])),
        Some('+') => Ok((Mark::Add, &line[1..])),
        Some(_) => Err(format!("unexpected line in a hunk: {line}")),
    }
}

impl Edit {
    /// The text with every hunk applied.
    ///
    /// # Errors
    /// Names the first line that is not what the patch expects.
    pub(crate) fn apply(&self, text: &str) -> Result<String, String> {
        let old: Vec<&str> = text.lines().collect();
        let mut new: Vec<&str> = Vec::new();
        let mut done = 0;
        for hunk in &self.hunks {
            let start = hunk.start - 1;
            let before = old
                .get(done..start)
                .ok_or_else(|| format!("{}: has only {} lines", self.path, old.len()))?;
            new.extend(before);
            done = start;
            for (mark, line) in &hunk.lines {
                if *mark != Mark::Add {
                    self.expect(&old, done, line)?;
                    done += 1;
                }
                if *mark != Mark::Remove {
                    new.push(line);
                }
            }
        }
        new.extend(&old[done..]);
        Ok(new.join("\n") + "\n")
    }

    fn expect(&self, old: &[&str], at: usize, expected: &str) -> Result<(), String> {
        match old.get(at) {
            Some(found) if *found == expected => Ok(()),
            found => {
                Err(format!("{}:{}: expected {expected:?}, found {found:?}", self.path, at + 1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "why\n\n--- a/x.rs\n+++ b/x.rs\n@@ -1,3 +1,3 @@\n one\n-two\n+deux\n three\n\
                         @@ -5,2 +5,3 @@ fn f()\n five\n+five and a half\n six\n";

    fn apply(patch: &str, text: &str) -> Result<String, String> {
        parse(patch)?.iter().try_fold(text.to_owned(), |text, edit| edit.apply(&text))
    }

    #[test]
    fn hunks_replace_and_insert_lines() {
        let new = apply(PATCH, "one\ntwo\nthree\nfour\nfive\nsix\nseven\n").unwrap();
        assert_eq!(new, "one\ndeux\nthree\nfour\nfive\nfive and a half\nsix\nseven\n");
    }

    #[test]
    fn another_text_is_refused_with_its_line() {
        let problem = apply(PATCH, "one\n2\nthree\nfour\nfive\nsix\n").unwrap_err();
        assert!(problem.starts_with("x.rs:2: expected \"two\""), "{problem}");
    }

    #[test]
    fn the_right_text_at_another_line_is_refused() {
        assert!(apply(PATCH, "zero\none\ntwo\nthree\nfour\nfive\nsix\n").is_err());
    }

    #[test]
    fn a_text_that_ends_early_is_refused() {
        assert!(apply(PATCH, "one\ntwo\nthree\n").is_err());
        assert!(apply(PATCH, "one\ntwo\n").is_err());
    }

    #[test]
    fn applying_twice_is_refused() {
        let once = apply(PATCH, "one\ntwo\nthree\nfour\nfive\nsix\n").unwrap();
        assert!(apply(PATCH, &once).is_err());
    }

    #[test]
    fn a_removed_line_that_looks_like_a_header_is_text() {
        let patch = "+++ b/x\n@@ -1,2 +1,1 @@\n--- a/y\n keep\n";
        assert_eq!(apply(patch, "-- a/y\nkeep\n").unwrap(), "keep\n");
    }

    #[test]
    fn broken_patches_are_refused() {
        assert!(parse("prose only\n").is_err());
        assert!(parse("@@ -1,1 +1,1 @@\n x\n").is_err(), "no file");
        assert!(parse("+++ b/x\n@@ -1,2 +1,2 @@\n x\n").is_err(), "cut short");
        assert!(parse("+++ b/x\n@@ -1,1 +1,2 @@\n+a\n+b\n+c\n").is_err(), "too long");
        assert!(parse("+++ b/x\n@@ nonsense\n").is_err());
    }
}

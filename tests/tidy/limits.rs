//! Limits on size, and words that put work off.

use crate::source::{Kind, Source, is_word, line_of, starts_word};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 60;
const NOTES: [&str; 3] = ["TODO", "FIXME", "XXX"];

/// A file with more lines than the limit.
pub(crate) fn long_file(file: &Source) -> Vec<String> {
    let lines = file.text.lines().count();
    let problem = format!("{}: {lines} lines, at most {FILE_LINES_MAX}", file.path);
    (lines > FILE_LINES_MAX).then_some(problem).into_iter().collect()
}

/// Functions, outside tests, with more lines than the limit.
pub(crate) fn long_functions(file: &Source) -> Vec<String> {
    let code = without_tests(file, &[Kind::Code]);
    let functions = code.match_indices("fn ").filter(|(at, _)| starts_word(&code, *at));
    let long = functions.filter_map(|(at, keyword)| {
        let lines = 1 + code[at..end_of_item(&code, at)].matches('\n').count();
        let name: String = code[at + keyword.len()..].chars().take_while(|&c| is_word(c)).collect();
        let problem = format!(
            "{}:{}: fn {name} has {lines} lines, at most {FUNCTION_LINES_MAX}",
            file.path,
            line_of(&code, at)
        );
        (lines > FUNCTION_LINES_MAX).then_some(problem)
    });
    long.collect()
}

/// Words that put work off. These files name them to forbid them.
pub(crate) fn notes_to_self(file: &Source) -> Vec<String> {
    if file.path.starts_with("tests/tidy") {
        return Vec::new();
    }
    let words = |line: &str| {
        line.split(|c| !is_word(c)).find(|word| NOTES.contains(word)).map(str::to_owned)
    };
    let noted =
        file.text.lines().zip(1..).filter_map(|(line, number)| Some((words(line)?, number)));
    noted.map(|(word, number)| format!("{}:{number}: {word}", file.path)).collect()
}

/// A view of the file with the items blanked that exist in tests only.
pub(crate) fn without_tests(file: &Source, kept: &[Kind]) -> String {
    let mut view = file.view(kept);
    if file.path.ends_with("/tests.rs") {
        return blank(&view);
    }
    for gate in ["#[cfg(test)]", "#[cfg(all(test,"] {
        while let Some(start) = view.find(gate) {
            let end = end_of_item(&view, start + gate.len());
            view.replace_range(start..end, &blank(&view[start..end]));
        }
    }
    view
}

/// The text with every byte but line ends replaced.
fn blank(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

/// Where the item ends whose attributes or signature hold `from`: after its body, or after its
/// semicolon. Brackets are counted, because `[u8; 4]` holds a semicolon that ends nothing.
fn end_of_item(code: &str, from: usize) -> usize {
    let (mut braces, mut brackets) = (0, 0);
    for (at, c) in code[from..].char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            '{' => braces += 1,
            '}' => braces -= 1,
            _ => {}
        }
        // Up to here every brace that was opened has been closed again: a body, or none.
        if braces == 0 && (c == '}' || c == ';' && brackets <= 0) {
            return from + at + 1;
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::{Kind, Source, long_file, long_functions, notes_to_self, without_tests};

    fn source(text: &str) -> Source {
        Source::new("src/x.rs", text)
    }

    #[test]
    fn a_long_file_is_rejected() {
        assert_eq!(long_file(&source(&"\n".repeat(600))), Vec::<String>::new());
        assert_eq!(long_file(&source(&"\n".repeat(601))).len(), 1);
    }

    #[test]
    fn a_long_function_is_rejected_by_name() {
        let function = |lines: usize| {
            format!(
                "struct S;\nfn busy(a: [u8; 4]) {{{}}}\nfn idle() {{}}\n",
                "\n".repeat(lines - 1)
            )
        };
        assert_eq!(long_functions(&source(&function(60))), Vec::<String>::new());
        assert_eq!(
            long_functions(&source(&function(61))),
            ["src/x.rs:2: fn busy has 61 lines, at most 60"]
        );
    }

    #[test]
    fn a_declaration_and_a_brace_in_a_string_are_no_bodies() {
        let text =
            format!("trait T {{ fn f(&self); }}\nfn g() {{ print(\"{{\") }}\n{}", "\n".repeat(80));
        assert_eq!(long_functions(&source(&text)), Vec::<String>::new());
    }

    #[test]
    fn long_tests_are_accepted() {
        let text = format!(
            "#[cfg(all(test, not(loom)))]\nmod tests {{\n fn f() {{{}}}\n}}\n",
            "\n".repeat(80)
        );
        assert_eq!(long_functions(&source(&text)), Vec::<String>::new());
    }

    #[test]
    fn items_of_tests_are_blanked_and_the_rest_is_kept() {
        let text = "a();\n#[cfg(test)]\nuse x::{y};\n#[cfg(test)]\nmod t;\nmod tests {}\n#[cfg(test)]\nmod u { fn f() {} }\nb();";
        let left = without_tests(&source(text), &[Kind::Code]);
        assert_eq!(left.split_whitespace().collect::<String>(), "a();;modtests{}b();");
        assert_eq!(left.len(), text.len());
    }

    #[test]
    fn a_note_to_self_is_rejected() {
        assert_eq!(notes_to_self(&source("a\n// TODO: rest\n")), ["src/x.rs:2: TODO"]);
        assert_eq!(notes_to_self(&source("let s = \"XXX\"; // FIXME")).len(), 1);
        assert_eq!(notes_to_self(&source("// a TODOLIST, XXXL")), Vec::<String>::new());
    }
}

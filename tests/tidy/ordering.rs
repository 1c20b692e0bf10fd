//! Every named ordering is explained where it stands, and the partners it names exist.

use crate::source::{Kind, Label, Source, line_of};
use std::collections::BTreeSet;

/// How far above its site an ORDERING comment may begin.
const ORDERING_LINES_ABOVE: usize = 8;

const MARK: &str = "ORDERING(";

/// Sites of `ord!` without their ORDERING comment, and comments whose partner does not exist.
pub(crate) fn unexplained(files: &[Source]) -> Vec<String> {
    let known: BTreeSet<String> = files.iter().flat_map(labels).map(|label| label.name).collect();
    files
        .iter()
        .flat_map(|file| silent_sites(file).into_iter().chain(lost_partners(file, &known)))
        .collect()
}

/// Every label, wherever it is given or explained.
fn labels(file: &Source) -> Vec<Label> {
    let explained = explanations(file).into_iter().map(|(label, _)| label);
    ["ord", "mutant"].iter().flat_map(|name| file.labels(name)).chain(explained).collect()
}

fn silent_sites(file: &Source) -> Vec<String> {
    let comments = file.view(&[Kind::Comment]);
    let comments: Vec<&str> = comments.lines().collect();
    let silent = file.labels("ord").into_iter().filter(|site| {
        let explanation = format!("{MARK}{})", site.name);
        let above = site.line.saturating_sub(1 + ORDERING_LINES_ABOVE);
        !comments[above..site.line].iter().any(|comment| comment.contains(&explanation))
    });
    silent
        .map(|site| format!("{}:{}: no ORDERING({}) comment", file.path, site.line, site.name))
        .collect()
}

fn lost_partners(file: &Source, known: &BTreeSet<String>) -> Vec<String> {
    let lost = explanations(file).into_iter().flat_map(|(label, text)| {
        let lost = partners(&text).into_iter().filter(|partner| !known.contains(partner));
        lost.map(|partner| {
            format!(
                "{}:{}: {} pairs with {partner}, which is nowhere",
                file.path, label.line, label.name
            )
        })
        .collect::<Vec<_>>()
    });
    lost.collect()
}

/// Every ORDERING comment: its label, and its text to the end of the paragraph.
fn explanations(file: &Source) -> Vec<(Label, String)> {
    let comments = file.view(&[Kind::Comment]);
    let found = comments.match_indices(MARK).filter_map(|(at, _)| {
        let (name, text) = comments[at + MARK.len()..].split_once(')')?;
        let label = Label { line: line_of(&comments, at), name: name.to_owned() };
        is_label(name).then(|| (label, paragraph(text)))
    });
    found.collect()
}

/// The rest of the first line and the comment lines right below it, up to the next label.
fn paragraph(text: &str) -> String {
    let text = text.split(MARK).next().unwrap_or_default();
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let more = lines.map_while(|line| line.trim_start().strip_prefix("//"));
    [first].into_iter().chain(more).collect::<Vec<_>>().join(" ")
}

/// The labels after each "pairs with": `a.b, c.d and e.f`.
fn partners(text: &str) -> Vec<String> {
    let lists = text.split("pairs with ").skip(1);
    let listed = lists.flat_map(|list| {
        let words = list
            .split_whitespace()
            .map(|word| word.trim_matches(['.', ',', ';', ':', '`', '(', ')']));
        words.take_while(|word| *word == "and" || is_label(word)).filter(|word| *word != "and")
    });
    listed.map(str::to_owned).collect()
}

/// `room.event`, in lower case.
fn is_label(word: &str) -> bool {
    let parts = || word.split('.');
    let is_part = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    parts().count() >= 2 && parts().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::{Source, unexplained};

    fn problems(text: &str) -> Vec<String> {
        unexplained(&[Source::new("src/x.rs", text)])
    }

    const POP: &str = "// ORDERING(ring.pop): Acquire; pairs with ring.push\nx.load(ord!(\"ring.pop\", Acquire => Relaxed));\n";

    #[test]
    fn an_explained_pair_is_accepted() {
        let text = format!(
            "{POP}x.store(1, ord!(\"ring.push\", Release => Relaxed)); // ORDERING(ring.push): Release: the job is\n"
        );
        assert_eq!(problems(&text), Vec::<String>::new());
    }

    #[test]
    fn a_site_without_its_comment_is_rejected() {
        let site = "x.load(ord!(\"ring.head\", Acquire => Relaxed));\n";
        assert_eq!(problems(site), ["src/x.rs:1: no ORDERING(ring.head) comment"]);
        assert_eq!(problems(&format!("// ORDERING(ring.tail): another\n{site}")).len(), 1);
        assert_eq!(
            problems(&format!("// ORDERING(ring.head): far\n{}{site}", "\n".repeat(8))).len(),
            1
        );
        assert_eq!(
            problems(&format!("// ORDERING(ring.head): near\n{}{site}", "\n".repeat(7))),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_partner_that_is_nowhere_is_rejected() {
        assert_eq!(problems(POP), ["src/x.rs:1: ring.pop pairs with ring.push, which is nowhere"]);
    }

    #[test]
    fn every_partner_of_a_list_is_looked_up() {
        let text = "// ORDERING(a.b): AcqRel; pairs with a.c,\n// `a.d` and a.e: one of three exists.\n// ORDERING(a.d): x\n";
        let expected = [
            "src/x.rs:1: a.b pairs with a.c, which is nowhere",
            "src/x.rs:1: a.b pairs with a.e, which is nowhere",
        ];
        assert_eq!(problems(text), expected);
    }

    #[test]
    fn a_mutant_may_be_a_partner() {
        assert_eq!(
            problems("// ORDERING(a.b): x; pairs with a.skip.\nif mutant!(\"a.skip\") {}\n"),
            Vec::<String>::new()
        );
    }
}

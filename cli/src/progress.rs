//! How far a long command has come.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on stderr, or none where nobody would see it.
pub(crate) fn bar(length: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg:5} {wide_bar} {percent:>3} % {eta:>4} left");
    ProgressBar::new(length).with_style(style.expect("the template is well-formed"))
}

use std::io::{self, Write};

use super::html::{Page, PageFile};

/// Writes the page, if one is asked for, and `text` to stdout: the one also when the other fails.
///
/// # Errors
/// One line that says what could not be written, or that jobs got lost.
pub(crate) fn publish(page: &Page, file: Option<PageFile>, text: &str) -> Result<(), String> {
    let paged = file.map_or(Ok(()), |file| file.write(page));
    let told = io::stdout().lock().write_all(text.as_bytes());
    told.map_err(|error| format!("cannot write the report: {error}"))?;
    paged?;
    match page.report.jobs.lost {
        0 => Ok(()),
        lost => Err(format!("{lost} jobs are not accounted for")),
    }
}

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Page, render};

/// A file that a page will be written to: made before a run, so that one that cannot be written is
/// noticed then. Until the page is written, what was there before stays, and a file that was not
/// there goes away again with this value.
#[derive(Debug)]
pub(crate) struct PageFile {
    path: PathBuf,
    file: File,
    /// Whether it was made here and has nothing in it that is worth keeping.
    is_scrap: bool,
}

impl PageFile {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// One line that says why it cannot be written, that it looks like a flag, or that it is one of
    /// `sources`, which the run reads.
    pub(crate) fn create(path: &Path, sources: &[&Path]) -> Result<PageFile, String> {
        if path.as_os_str().as_encoded_bytes().starts_with(b"-") {
            return Err(format!(
                "cannot write {path:?}: a flag? A file of that name is ./ and the name"
            ));
        }
        if sources.iter().any(|source| is_same(source, path)) {
            return Err(format!("cannot write {path:?}: it is what the run reads"));
        }
        let mut options = OpenOptions::new();
        let (file, is_scrap) = match options.write(true).create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // The page goes over what is there when it is written. A link may lead to a file
                // that is not there yet.
                let there = options.create_new(false).create(true).truncate(false).open(path);
                (there, false)
            }
            made => (made, true),
        };
        let file = file.map_err(|error| unwritable(path, &error))?;
        Ok(PageFile { path: path.to_owned(), file, is_scrap })
    }

    /// Writes the page.
    ///
    /// # Errors
    /// One line that says why it is not there.
    pub(crate) fn write(mut self, page: &Page) -> Result<(), String> {
        let written = self.overwrite(render(page).as_bytes());
        self.is_scrap &= written.is_err();
        written.map_err(|error| unwritable(&self.path, &error))
    }

    fn overwrite(&mut self, bytes: &[u8]) -> io::Result<()> {
        // A pipe has no length to set.
        if self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        self.file.write_all(bytes)
    }
}

impl Drop for PageFile {
    fn drop(&mut self) {
        if self.is_scrap {
            // The run has failed and says why; that an empty file stays as well is no news.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Tells whether both paths lead to one file that is there.
fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).ok();
    real(one).is_some_and(|one| Some(one) == real(other))
}

fn unwritable(path: &Path, error: &io::Error) -> String {
    // `Debug` keeps a name with line ends on one line.
    format!("cannot write {path:?}: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{JobCounts, Report};
    use fairlane::Policy;

    fn write(file: PageFile) -> Result<(), String> {
        let report = Report { jobs: JobCounts::default(), schedulers: Vec::new() };
        file.write(&Page { title: "t", setup: "s", report: &report, policy: &Policy::default() })
    }

    #[test]
    fn a_file_made_for_a_page_that_is_never_written_goes_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        let file = PageFile::create(&path, &[]).unwrap();
        assert!(path.exists());
        drop(file);
        assert!(!path.exists());
        write(PageFile::create(&path, &[]).unwrap()).unwrap();
        assert!(path.exists());
    }

    #[test]
    fn what_was_there_stays_until_the_page_is_written_and_goes_then() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        let old = "x".repeat(1_000_000);
        fs::write(&path, &old).unwrap();
        drop(PageFile::create(&path, &[]).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), old);
        write(PageFile::create(&path, &[]).unwrap()).unwrap();
        assert!(fs::read_to_string(&path).unwrap().ends_with("</html>\n"));
    }

    #[test]
    fn what_the_run_reads_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let (log, page) = (folder.path().join("access.log"), folder.path().join("page.html"));
        fs::write(&log, "a line").unwrap();
        let again = folder.path().join(".").join("access.log");
        let problem = PageFile::create(&again, &[&log]).unwrap_err();
        assert!(problem.contains("is what the run reads"), "{problem}");
        assert_eq!(fs::read_to_string(&log).unwrap(), "a line");
        assert!(PageFile::create(&page, &[&log, Path::new("-")]).is_ok());
    }
}

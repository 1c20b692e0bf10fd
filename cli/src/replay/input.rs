//! Bytes to lines: a log that can be read twice, one bounded line at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Longest line that is read, in bytes; what is longer is skipped without being held.
pub(super) const LINE_MAX_BYTES: usize = 1 << 20;
const BUFFER_BYTES: usize = 1 << 16;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// A log on disk, opened once and read as often as needed.
#[derive(Debug)]
pub(super) struct Source {
    file: File,
}

impl Source {
    /// Opens a file; `-` and whatever else can be read only once goes to a temporary file, which
    /// the operating system removes with the process.
    pub(super) fn open(path: &Path) -> Result<Source, String> {
        let cannot = |error: io::Error| format!("cannot be read: {error}");
        if path == Path::new("-") {
            return Source::spool(io::stdin().lock()).map_err(cannot);
        }
        let file = File::open(path).map_err(cannot)?;
        let kind = file.metadata().map_err(cannot)?.file_type();
        if kind.is_dir() {
            return Err("is a directory".to_owned());
        }
        if kind.is_file() { Ok(Source { file }) } else { Source::spool(file).map_err(cannot) }
    }

    fn spool(mut stream: impl Read) -> io::Result<Source> {
        let mut file = tempfile::tempfile()?;
        io::copy(&mut stream, &mut file)?;
        Ok(Source { file })
    }

    /// Its length in bytes, at this moment.
    pub(super) fn bytes(&self) -> io::Result<u64> {
        self.file.metadata().map(|file| file.len())
    }

    /// The lines from the beginning, up to `bytes_max` bytes: a log that still grows is read as it
    /// was at the first reading.
    pub(super) fn lines(&mut self, bytes_max: u64) -> io::Result<Lines<io::Take<&File>>> {
        self.file.seek(SeekFrom::Start(0))?;
        Lines::new((&self.file).take(bytes_max))
    }
}

/// Lines of bytes, numbered from 1, without their ends.
#[derive(Debug)]
pub(super) struct Lines<R> {
    bytes: BufReader<R>,
    line: Vec<u8>,
    number: u64,
    read: u64,
}

/// What [`Lines::advance`] came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// [`Lines::text`] is the next line.
    Line,
    /// The next line has more than [`LINE_MAX_BYTES`] and is gone.
    TooLong,
    End,
}

impl<R: Read> Lines<R> {
    /// Starts at the first line, after a byte order mark.
    pub(super) fn new(bytes: R) -> io::Result<Lines<R>> {
        let mut bytes = BufReader::with_capacity(BUFFER_BYTES, bytes);
        let mut read = 0;
        if bytes.fill_buf()?.starts_with(BOM) {
            bytes.consume(BOM.len());
            read = BOM.len() as u64;
        }
        Ok(Lines { bytes, line: Vec::new(), number: 0, read })
    }

    /// The number of the line read last.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes read so far, line ends included.
    pub(super) fn bytes_read(&self) -> u64 {
        self.read
    }

    /// Whether only blank lines are left.
    pub(super) fn is_blank(&mut self) -> io::Result<bool> {
        loop {
            match self.advance()? {
                Step::End => return Ok(true),
                Step::Line if self.text().trim_ascii().is_empty() => {}
                Step::Line | Step::TooLong => return Ok(false),
            }
        }
    }

    /// The line read last.
    pub(super) fn text(&self) -> &[u8] {
        self.line.strip_suffix(b"\r").unwrap_or(&self.line)
    }

    /// Reads the next line. `\n` and `\r\n` end it.
    pub(super) fn advance(&mut self) -> io::Result<Step> {
        self.line.clear();
        let mut any = false;
        let mut too_long = false;
        loop {
            let buffer = match self.bytes.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                buffer => buffer?,
            };
            if buffer.is_empty() {
                break;
            }
            any = true;
            let end = memchr::memchr(b'\n', buffer);
            let text = &buffer[..end.unwrap_or(buffer.len())];
            too_long |= self.line.len() + text.len() > LINE_MAX_BYTES;
            if too_long {
                self.line.clear();
            } else {
                self.line.extend_from_slice(text);
            }
            let used = end.map_or(buffer.len(), |end| end + 1);
            self.read += used as u64;
            self.bytes.consume(used);
            if end.is_some() {
                break;
            }
        }
        self.number += u64::from(any);
        Ok(match (any, too_long) {
            (false, _) => Step::End,
            (true, true) => Step::TooLong,
            (true, false) => Step::Line,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<(u64, Option<Vec<u8>>)> {
        let mut lines = Lines::new(bytes).unwrap();
        let mut seen = Vec::new();
        loop {
            let text = match lines.advance().unwrap() {
                Step::End => return seen,
                Step::Line => Some(lines.text().to_vec()),
                Step::TooLong => None,
            };
            seen.push((lines.number(), text));
        }
    }

    fn text(number: u64, text: &str) -> (u64, Option<Vec<u8>>) {
        (number, Some(text.as_bytes().to_vec()))
    }

    #[test]
    fn lines_end_with_either_line_end_and_the_last_needs_none() {
        assert_eq!(all(b"a\r\nb\n\nc"), [text(1, "a"), text(2, "b"), text(3, ""), text(4, "c")]);
        assert_eq!(all(b"a\n"), [text(1, "a")]);
        assert!(all(b"").is_empty());
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        assert_eq!(all(b"\xef\xbb\xbfa\n\xef\xbb\xbf")[0], text(1, "a"));
        assert!(all(b"\xef\xbb\xbf").is_empty());
    }

    #[test]
    fn a_line_at_the_limit_is_read_and_a_longer_one_is_skipped_whole() {
        let longest = vec![b'x'; LINE_MAX_BYTES];
        let bytes = [&longest[..], b"\n", &longest[..], b"y\nz\n"].concat();
        let lines = all(&bytes);
        assert_eq!(lines[0], (1, Some(longest)));
        assert_eq!(lines[1..], [(2, None), text(3, "z")]);
    }

    #[test]
    fn a_growing_log_is_read_as_far_as_at_first() {
        let mut source = Source::spool(&b"one\ntwo\n"[..]).unwrap();
        let mut lines = source.lines(u64::MAX).unwrap();
        while lines.advance().unwrap() != Step::End {}
        let bytes = lines.bytes_read();
        assert_eq!(bytes, 8);
        let mut writer = source.file.try_clone().unwrap();
        io::Write::write_all(&mut writer, b"three\n").unwrap();
        let mut lines = source.lines(bytes).unwrap();
        let mut count = 0;
        while lines.advance().unwrap() != Step::End {
            count += 1;
        }
        assert_eq!(count, 2);
    }
}

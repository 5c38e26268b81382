//! What a container has printed: one file of lines, each with its time, its stream, and whether the line was whole.
//!
//! ```text
//! 2026-11-21T07:00:00.123456789Z stdout F the bytes of a line
//! 2026-11-21T07:00:00.123456790Z stderr P a piece without its end
//! ```
//!
//! That is the format of the Kubernetes CRI, and podman's; unlike JSON it keeps every byte as it was. The file is
//! rotated by size: `log` becomes `log.1`, and so on.

mod reader;

pub use reader::Reader;

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// `--log-opt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// In bytes; none: without a limit.
    pub max_size: Option<u64>,
    /// How many files, the current one included.
    pub max_file: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options { max_size: None, max_file: 1 }
    }
}

/// Which stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, or the terminal.
    Out,
    /// Standard error.
    Err,
}

/// A line without its end is written out when it is longer than this.
const LONGEST: usize = 16 * 1024;

/// Writes it.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
    size: u64,
    /// How much of it counts as an earlier file's, because there was no room for a new one.
    before: u64,
    options: Options,
    /// Of each stream, the line that has no end yet.
    open: [Vec<u8>; 2],
}

impl Writer {
    /// Goes on with the file in this directory.
    ///
    /// # Errors
    /// ENOSPC.
    pub fn open(dir: &Path, options: Options) -> Result<Writer> {
        let path = dir.join("log");
        let file = open(&path)?;
        let size = mend(&file);
        Ok(Writer { path, file, size, before: 0, options, open: [vec![], vec![]] })
    }

    /// Where there is no room for a log: what is written is lost.
    ///
    /// # Errors
    /// ENFILE.
    pub fn nowhere() -> Result<Writer> {
        let path = PathBuf::from("/dev/null");
        let options = Options { max_size: None, max_file: 1 };
        Ok(Writer { file: open(&path)?, path, size: 0, before: 0, options, open: [vec![], vec![]] })
    }

    /// Bytes that came on a stream.
    ///
    /// # Errors
    /// ENOSPC: then nothing of a line is there twice, and what did not fit is lost.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<()> {
        let mut out = Vec::with_capacity(bytes.len().min(2 * LONGEST) + 64);
        let time = super::times::rfc3339(super::times::now());
        let entry = |out: &mut Vec<u8>, mark: char, line: &[u8]| {
            let name = if stream == Stream::Out { "stdout" } else { "stderr" };
            out.extend_from_slice(format!("{time} {name} {mark} ").as_bytes());
            out.extend_from_slice(line);
            out.push(b'\n');
        };
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let open = &mut self.open[stream as usize];
            open.extend_from_slice(piece);
            if open.last() == Some(&b'\n') {
                entry(&mut out, 'F', &open[..open.len() - 1]);
                open.clear();
            }
            while open.len() >= LONGEST {
                entry(&mut out, 'P', &open[..LONGEST]);
                open.drain(..LONGEST);
            }
            // Of short lines the times are most of what is written: all at once, it could be a megabyte.
            if out.len() >= LONGEST {
                self.put(&out)?;
                out.clear();
            }
        }
        self.put(&out)
    }

    /// The container has ended: what has no end goes out as it is.
    ///
    /// # Errors
    /// ENOSPC.
    pub fn close(&mut self) -> Result<()> {
        for stream in [Stream::Out, Stream::Err] {
            let rest = std::mem::take(&mut self.open[stream as usize]);
            if !rest.is_empty() {
                let name = if stream == Stream::Out { "stdout" } else { "stderr" };
                let mut out = format!("{} {name} P ", super::times::rfc3339(super::times::now())).into_bytes();
                out.extend_from_slice(&rest);
                out.push(b'\n');
                self.put(&out)?;
            }
        }
        Ok(())
    }

    /// Entries, as many into a file as have room there; one that is larger than a whole file has one of its own.
    fn put(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let room = self.options.max_size.map_or(u64::MAX, |max| (self.before + max).saturating_sub(self.size));
            let fits = if bytes.len() as u64 <= room { bytes.len() } else { whole_entries(&bytes[..room as usize]) };
            let now = match fits {
                0 if self.size > self.before => {
                    self.rotate()?;
                    continue;
                }
                0 => bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |end| end + 1),
                n => n,
            };
            let (first, rest) = bytes.split_at(now);
            if let Err(e) = self.file.write_all(first) {
                // Half an entry would be glued to the next one, once there is room again.
                let _ = self.file.set_len(self.size);
                return Err(Error::io(format!("write({})", self.path.display()), &e));
            }
            self.size += now as u64;
            bytes = rest;
        }
        Ok(())
    }

    fn rotate(&mut self) -> Result<()> {
        // The new one first: where there is no room for it, the old ones stay as they are, and this one grows on.
        let new = self.path.with_extension("new");
        let Ok(file) = open(&new) else {
            self.before = self.size;
            return Ok(());
        };
        for n in (1..self.options.max_file).rev() {
            let older = rotated(&self.path, n);
            let newer = if n == 1 { self.path.clone() } else { rotated(&self.path, n - 1) };
            let _ = std::fs::rename(newer, older);
        }
        std::fs::rename(&new, &self.path).map_err(|e| Error::io(format!("rename({})", new.display()), &e))?;
        (self.file, self.size, self.before) = (file, 0, 0);
        Ok(())
    }
}

/// How long it is; an entry at its end that was only half written (on a full disk, by a monitor that was killed) goes.
fn mend(file: &File) -> u64 {
    let size = file.metadata().map_or(0, |m| m.len());
    let mut end = vec![0; (4 * LONGEST).min(size as usize)];
    let from = size - end.len() as u64;
    if end.is_empty() || file.read_exact_at(&mut end, from).is_err() || end.ends_with(b"\n") {
        return size;
    }
    let whole = from + whole_entries(&end) as u64;
    file.set_len(whole).map_or(size, |()| whole)
}

/// How many of these bytes are entries with their end.
fn whole_entries(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1)
}

fn open(path: &Path) -> Result<File> {
    let file = File::options().read(true).append(true).create(true).open(path);
    file.map_err(|e| Error::io(format!("open({}, O_APPEND)", path.display()), &e))
}

fn rotated(path: &Path, n: u32) -> PathBuf {
    path.with_extension(n.to_string())
}

/// One entry, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// RFC 3339, as it stands there: such times sort as text.
    pub time: String,
    /// Which stream.
    pub stream: Stream,
    /// The bytes, with their newline if there was one.
    pub bytes: Vec<u8>,
}

/// A line of the file, without its newline.
pub fn parse(line: &[u8]) -> Option<Entry> {
    let mut parts = line.splitn(4, |b| *b == b' ');
    let time = String::from_utf8(parts.next()?.to_vec()).ok()?;
    let stream = match parts.next()? {
        b"stdout" => Stream::Out,
        b"stderr" => Stream::Err,
        _ => return None,
    };
    let whole = parts.next()? == b"F";
    let mut bytes = parts.next()?.to_vec();
    if whole {
        bytes.push(b'\n');
    }
    Some(Entry { time, stream, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path) -> Vec<PathBuf> {
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    fn entries(dir: &Path) -> Vec<Entry> {
        let mut reader = Reader::new(dir, Options { max_size: None, max_file: 100 });
        std::iter::from_fn(|| reader.next()).collect()
    }

    fn bytes_of(entries: &[Entry], stream: Stream) -> Vec<u8> {
        entries.iter().filter(|e| e.stream == stream).flat_map(|e| e.bytes.clone()).collect()
    }

    #[test]
    fn every_byte_stays_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Writer::open(dir.path(), Options::default()).unwrap();
        let binary: Vec<u8> = (0..=255).cycle().take(40_000).filter(|b| *b != b'\n').collect();
        log.write(Stream::Out, b"one\ntw").unwrap();
        log.write(Stream::Err, b"\xff\x00bad\n").unwrap();
        log.write(Stream::Out, b"o\n\n").unwrap();
        log.write(Stream::Out, &binary).unwrap();
        log.close().unwrap();
        let all = entries(dir.path());
        assert_eq!(bytes_of(&all, Stream::Out), [b"one\ntwo\n\n", binary.as_slice()].concat());
        assert_eq!(bytes_of(&all, Stream::Err), b"\xff\x00bad\n");
    }

    #[test]
    fn a_reader_follows_through_rotations() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { max_size: Some(100), max_file: 50 };
        let mut log = Writer::open(dir.path(), options).unwrap();
        let mut reader = Reader::new(dir.path(), options);
        let (mut written, mut read) = (0, 0);
        // The reader is a few files behind, and then none.
        for round in [7, 1, 60, 2, 2, 30] {
            for _ in 0..round {
                log.write(Stream::Out, format!("{written}\n").as_bytes()).unwrap();
                written += 1;
            }
            while let Some(entry) = reader.next() {
                assert_eq!(entry.bytes, format!("{read}\n").as_bytes());
                read += 1;
            }
            assert_eq!(read, written);
        }
    }

    #[test]
    fn half_an_entry_is_not_glued_to_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Writer::open(dir.path(), Options::default()).unwrap();
        log.write(Stream::Out, b"one\n").unwrap();
        log.file.write_all(b"2026-11-21T07:00:00Z stdout F tw").unwrap();
        let mut log = Writer::open(dir.path(), Options::default()).unwrap();
        log.write(Stream::Out, b"three\n").unwrap();
        assert_eq!(bytes_of(&entries(dir.path()), Stream::Out), b"one\nthree\n");
    }

    #[test]
    fn files_are_rotated_by_size_and_count() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { max_size: Some(200), max_file: 3 };
        let mut log = Writer::open(dir.path(), options).unwrap();
        // Also when many come at once.
        for n in (0..20).step_by(10) {
            let ten = (n..n + 10).map(|n| format!("line number {n}\n"));
            log.write(Stream::Out, ten.collect::<String>().as_bytes()).unwrap();
        }
        assert_eq!(files(dir.path()).len(), 3);
        let all = entries(dir.path());
        assert!(all.len() < 20 && all.last().unwrap().bytes == b"line number 19\n", "{all:?}");
        assert!(files(dir.path()).iter().all(|f| f.metadata().unwrap().len() <= 200));
    }
}

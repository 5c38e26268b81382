//! Reads a container's log while it may be written and rotated. Files are renamed from the oldest to the newest, so a name
//! only ever moves up: where the file that we have open is `log.3`, the one after it is `log.2`, for as long as ours has not
//! moved.

use super::{Entry, Options, parse, rotated};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The reader.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    most: u32,
    open: Option<Open>,
    line: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    file: BufReader<File>,
    inode: u64,
    /// The number in its name when we last looked; it may have become a higher one.
    number: u32,
}

impl Reader {
    /// Of the log in this directory, from its oldest file.
    pub fn new(dir: &Path, options: Options) -> Reader {
        Reader { path: dir.join("log"), most: options.max_file, open: None, line: vec![] }
    }

    /// The next entry that is there by now.
    pub fn next(&mut self) -> Option<Entry> {
        if self.open.is_none() {
            self.open = self.oldest();
        }
        loop {
            let n = if self.line.ends_with(b"\n") { 1 } else { self.read() };
            if self.line.last() == Some(&b'\n') {
                self.line.pop();
                let entry = parse(&self.line);
                self.line.clear();
                if entry.is_some() {
                    return entry;
                }
            } else if n == 0 && !self.go_on() {
                return None;
            }
        }
    }

    fn read(&mut self) -> usize {
        let Some(open) = &mut self.open else { return 0 };
        open.file.read_until(b'\n', &mut self.line).unwrap_or(0)
    }

    /// At the end of a file: goes to the one after it. False: there is none yet.
    fn go_on(&mut self) -> bool {
        let Some(open) = &self.open else { return false };
        let next = match self.place(open) {
            Some(0) => return false,
            Some(number) => self.at(number - 1).filter(|_| self.is_at(open.inode, number)),
            // It is gone, and what came after it may be, too.
            None => self.oldest(),
        };
        // In the middle of a rotation: it is asked for again.
        let Some(next) = next else { return false };
        // Since it was rotated nobody has written into it; but between our last read and that they may have.
        if self.read() == 0 {
            self.line.clear();
            self.open = Some(next);
        }
        true
    }

    fn name(&self, number: u32) -> PathBuf {
        if number == 0 { self.path.clone() } else { rotated(&self.path, number) }
    }

    fn at(&self, number: u32) -> Option<Open> {
        let file = File::open(self.name(number)).ok()?;
        let inode = file.metadata().ok()?.ino();
        Some(Open { file: BufReader::new(file), inode, number })
    }

    fn is_at(&self, inode: u64, number: u32) -> bool {
        std::fs::metadata(self.name(number)).is_ok_and(|m| m.ino() == inode)
    }

    /// Which number has the open file now? Looked for in the direction in which it moves, so that it cannot be missed.
    fn place(&self, open: &Open) -> Option<u32> {
        (open.number..self.most.max(1)).find(|number| self.is_at(open.inode, *number))
    }

    fn oldest(&self) -> Option<Open> {
        (0..self.most.max(1)).rev().find_map(|number| self.at(number))
    }
}

//! One error for everything: the kernel call that failed, in strace's shape, then why it likely happened, then what to
//! do about it. Errno values mislead ("ENOSPC" from a mount means a limit, not a disk), so the code that makes a call
//! adds what it knows: `.why()` and `.hint()`. An error is made once, where it happens, and printed once, in `main`.

use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Every fallible function of boxwright returns this.
pub type Result<T> = std::result::Result<T, Error>;

/// docker run's exit codes for failures that are not the command's own.
pub mod code {
    /// boxwright itself failed.
    pub const FAILED: u8 = 125;
    /// The command was found but cannot be executed.
    pub const CANNOT_EXECUTE: u8 = 126;
    /// The command was not found.
    pub const NOT_FOUND: u8 = 127;
}

/// What went wrong, why, and what to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Error {
    /// `call(args)` or a sentence.
    pub what: String,
    /// The raw errno, when a kernel call failed.
    pub errno: Option<i32>,
    /// The likely reason.
    pub why: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// The primitive that was at work.
    pub primitive: Option<String>,
    /// The exit code (see [`code`]).
    pub exit: u8,
}

impl Error {
    /// An error that is not a kernel call's: a sentence in lower case, without a full stop.
    pub fn new(what: impl Into<String>) -> Self {
        Error { what: what.into(), errno: None, why: None, hint: None, primitive: None, exit: code::FAILED }
    }

    /// A kernel call that failed: `call` is `name(args)` as strace prints it.
    pub fn call(call: impl Into<String>, errno: Errno) -> Self {
        Error { errno: Some(errno as i32), ..Error::new(call) }
    }

    /// A failure of the standard library's, with the call it stood for.
    pub fn io(call: impl Into<String>, e: &std::io::Error) -> Self {
        match e.raw_os_error() {
            Some(raw) => Error::call(call, Errno::from_raw(raw)),
            None => Error::new(format!("{} => {e}", call.into())),
        }
    }

    /// The errno of the failed call.
    pub fn errno(&self) -> Option<Errno> {
        self.errno.map(Errno::from_raw)
    }

    /// True when the failed call returned `errno`.
    pub fn is(&self, errno: Errno) -> bool {
        self.errno == Some(errno as i32)
    }

    /// Why it likely happened. The first reason given stays: it is the one closest to the call.
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why.get_or_insert(why.into());
        self
    }

    /// What to do about it. The first one given stays.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert(hint.into());
        self
    }

    /// Reason and remedy for one errno of this call; another errno leaves the error as it is.
    pub fn explain(self, errno: Errno, why: &str, hint: &str) -> Self {
        if self.is(errno) { self.why(why).hint(hint) } else { self }
    }

    /// The exit code, where it is not 125.
    pub fn exit(mut self, code: u8) -> Self {
        self.exit = code;
        self
    }

    /// The primitive that was at work; the innermost one stays.
    pub fn in_primitive(mut self, name: &str) -> Self {
        self.primitive.get_or_insert_with(|| name.to_string());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(p) = &self.primitive {
            write!(f, "{p}: ")?;
        }
        write!(f, "{}", self.what)?;
        if let Some(errno) = self.errno() {
            write!(f, " => {errno:?} ({})", errno.desc())?;
        }
        if let Some(why) = &self.why {
            write!(f, "\n  why: {why}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  try: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<oci_spec::OciSpecError> for Error {
    fn from(e: oci_spec::OciSpecError) -> Self {
        Error::new(format!("not a valid runtime-spec: {e}"))
    }
}

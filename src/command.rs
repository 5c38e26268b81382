//! The command that runs in a container, and what it lives among: which file it is ([`program`]), who runs it
//! ([`users`]), where it starts ([`workdir`]), what it reads and writes ([`stdio`], [`terminal`]), what may stand above
//! it ([`init`]); and the parent that attends to it until its end ([`foreground`]).

pub mod foreground;
pub mod init;
pub mod program;
pub mod stdio;
pub mod terminal;
pub mod users;
pub mod workdir;

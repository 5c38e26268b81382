//! boxwright builds a Linux container one kernel primitive at a time, and shows after each one what changed.

mod caps; // capability names and docker's default set
mod cgroup; // control groups, v1 and v2
mod cli; // the command line
mod doctor; // what this machine can do
mod error; // call => errno, why, hint
mod foreground; // signals, terminal, exit code
mod ids; // ranges of ids for containers of root's
mod image; // where layers come from
mod init; // --init: process 1 above the command
mod journal; // what a crash would leave behind
mod mounts; // placing mounts into a root that may be hostile
mod net; // netlink, bridge, NAT
mod observe; // what is true of a process
mod primitive; // THE LIST
mod program; // which file a command is, and whether it is a trap
mod prove; // what a primitive is good for, measured
mod remove; // what a container has left
mod report; // what a stage did, for people and programs
mod seccomp; // rules about system calls become a program for the kernel
mod spawn; // the runner
mod spec; // flags become one Spec
mod state; // where state is kept
mod stdio; // the command's standard streams
#[allow(unsafe_code)] // the only place: each block says why it is sound
mod sys; // the kernel, one call per function
mod terminal; // the container's own terminal
mod ui; // colours, widths, tables
mod users; // who is who, inside and outside
mod wire; // parent and child, talking
mod workdir; // where the command starts

use std::process::ExitCode;

fn main() -> ExitCode {
    init::main_if_init();
    cli::main().unwrap_or_else(|e| {
        eprint!("{}", ui::error(&e.to_string()));
        ExitCode::from(e.exit)
    })
}

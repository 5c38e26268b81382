//! boxwright builds a Linux container one kernel primitive at a time, and shows after each one what changed.

mod caps; // capability names and docker's default set
mod cgroup; // control groups, v1 and v2
mod cli; // the command line
mod command; // what the command lives among: file, user, streams, terminal, init
mod container; // a container with a life of its own
mod doctor; // what this machine can do
mod draw; // pictures of what is really there
mod error; // call => errno, why, hint
mod ids; // ranges of ids for containers of root's
mod image; // where layers come from
mod journal; // what a crash would leave behind
mod lab; // scripts to play, exercises to check
mod mounts; // placing mounts into a root that may be hostile
mod net; // netlink, bridge, NAT
mod observe; // what is true of a process
mod primitive; // THE LIST
mod prove; // what a primitive is good for, measured
mod remove; // what a container has left
mod report; // what a stage did, for people and programs
mod seccomp; // rules about system calls become a program for the kernel
mod spawn; // the runner
mod spec; // flags become one Spec
mod state; // where state is kept
#[allow(unsafe_code)] // the only place: each block says why it is sound
mod sys; // the kernel, one call per function
mod ui; // colours, widths, tables
mod volume; // directories with names
mod wire; // parent and child, talking

use std::process::ExitCode;

fn main() -> ExitCode {
    command::init::main_if_init();
    container::monitor::main_if_monitor();
    container::health::probe::main_if_probe();
    cli::main().unwrap_or_else(|e| {
        eprint!("{}", ui::error(&e.to_string()));
        ExitCode::from(e.exit)
    })
}

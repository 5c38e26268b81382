//! boxwright builds a Linux container one kernel primitive at a time, and shows after each one what changed.
mod cgroup;
mod env;
mod error;
mod foreground;
mod init;
mod journal;
mod net;
mod observe;
mod primitive;
mod program;
mod spawn;
mod spec;
mod state;
mod stdio;
#[allow(unsafe_code)] // the only place: each block says why it is sound
mod sys;
mod terminal;
mod users;
mod wire;
mod workdir;

fn main() {
    init::main_if_init();
    let _ = spawn::start;
}

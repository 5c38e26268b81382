//! boxwright builds a Linux container one kernel primitive at a time, and shows after each one what changed.
mod cgroup;
mod error;
mod journal;
mod net;
mod observe;
mod primitive;
mod report;
mod spawn;
mod spec;
mod state;
#[allow(unsafe_code)] // the only place: each block says why it is sound
mod sys;
mod ui;
mod wire;

fn main() {
    let _ = spawn::start;
}

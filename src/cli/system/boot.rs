//! The beginning and the end of a boot. No daemon of ours is there to bring containers back: one command does it, from
//! a unit of systemd's (`systemd/` in the repository) or whatever else runs at boot. That there was a reboot is told by
//! the boot id that a container's history has of its last start.

use crate::cli::container::{end, look};
use crate::container::store::{Container, Store};
use crate::container::{History, Now, Restart, monitor};
use crate::error::{Error, Result};
use crate::state::boot_id;
use crate::ui;
use std::process::ExitCode;

/// Starts what is to run, the oldest first, and prints its names.
///
/// # Errors
/// None that a container causes: one that cannot be started is told, keeps no other from it, and makes the exit code 1.
pub fn start_enabled(store: Store<'_>) -> Result<ExitCode> {
    let boot = boot_id();
    let mut failed = false;
    for container in look::settled(store)?.iter().rev() {
        let ended = matches!(container.now(), Now::Exited);
        if !ended || !is_due(container.record.restart, &container.history(), &boot) {
            continue;
        }
        match start(container) {
            Ok(()) => ui::print(&format!("{}\n", container.record.name)),
            Err(e) => {
                eprint!("{}", ui::error(&format!("{}: {e}", container.record.name)));
                failed = true;
            }
        }
    }
    Ok(ExitCode::from(u8::from(failed)))
}

fn start(container: &Container<'_>) -> Result<()> {
    match monitor::launch(container, None) {
        // Somebody was quicker.
        Err(_) if container.now().runs() => Ok(()),
        result => result,
    }
}

/// Shall one that has ended run? After a reboot docker's rule: `always` whatever was, `unless-stopped` if nobody had
/// stopped it. In the same boot its monitor has seen to that, unless it was killed: then, if nobody had stopped it.
fn is_due(policy: Restart, history: &History, boot: &str) -> bool {
    match policy {
        Restart::No | Restart::OnFailure(_) => false,
        Restart::Always if history.boot != boot => true,
        Restart::Always | Restart::UnlessStopped => !history.stopped,
    }
}

/// Stops all that run, at once.
///
/// # Errors
/// When one does not end.
pub fn stop_all(store: Store<'_>) -> Result<ExitCode> {
    match end::halt_all(store)? {
        0 => Ok(ExitCode::SUCCESS),
        n => Err(Error::new(format!("{n} containers did not end")).exit(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_is_what_docker_brings_back() {
        let due = |policy, stopped, boot: &str| {
            let history = History { stopped, boot: boot.into(), ..History::default() };
            is_due(policy, &history, "now")
        };
        // Policy; (stopped, not stopped) in an earlier boot; the same in this one.
        let table = |policy| {
            [due(policy, true, "then"), due(policy, false, "then"), due(policy, true, "now"), due(policy, false, "now")]
        };
        assert_eq!(table(Restart::No), [false; 4]);
        assert_eq!(table(Restart::OnFailure(Some(3))), [false; 4]);
        assert_eq!(table(Restart::Always), [true, true, false, true]);
        assert_eq!(table(Restart::UnlessStopped), [false, true, false, true]);
    }
}

//! `stop`, `kill`, `pause`, `unpause`, `wait`, `rm`, `rename`, `container prune`.

use super::{all_at_once, containers, each, find, flag, value, word, words};
use crate::cli::is_on;
use crate::container::attach::{self, Message};
use crate::container::store::{Container, Store};
use crate::container::{Now, events};
use crate::error::{Error, Result};
use crate::journal::Made;
use crate::sys::process;
use clap::{Arg, ArgMatches, Command};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub fn commands() -> Vec<Command> {
    vec![
        Command::new("stop").about("Ask containers to end, and kill those that do not").defer(|c| {
            c.arg(containers()).arg(time_flag()).arg(value(
                "signal",
                Some('s'),
                "SIGNAL",
                "Ask with this one [default: its --stop-signal]",
            ))
        }),
        Command::new("kill")
            .about("Send a signal to containers")
            .defer(|c| c.arg(containers()).arg(value("signal", Some('s'), "SIGNAL", "Which one [default: KILL]"))),
        Command::new("pause").about("Stop all processes of containers where they are").defer(|c| c.arg(containers())),
        Command::new("unpause").about("Let paused containers go on").defer(|c| c.arg(containers())),
        Command::new("wait")
            .about("Wait until containers end, and print their exit codes")
            .defer(|c| c.arg(containers())),
        Command::new("rm").about("Remove containers, with all that they have written").defer(|c| {
            c.arg(containers()).arg(flag("force", Some('f'), "Kill those that run")).arg(flag(
                "volumes",
                Some('v'),
                "Their volumes, too, as far as they have no name",
            ))
        }),
        Command::new("rename").about("Give a container another name").defer(|c| {
            c.arg(super::one_container()).arg(Arg::new("name").value_name("NAME").required(true).help("The new one"))
        }),
    ]
}

pub fn dispatch(name: &str, matches: &ArgMatches, store: Store<'_>) -> Option<Result<ExitCode>> {
    let names = words(matches, "containers");
    Some(match name {
        "stop" => stop_all(matches, store, &names),
        "kill" => word(matches, "signal")
            .map_or(Ok(libc::SIGKILL), super::signal)
            .and_then(|signal| each(store, &names, |container| kill(&container, signal))),
        "pause" => each(store, &names, |container| pause(&container, true)),
        "unpause" => each(store, &names, |container| pause(&container, false)),
        "wait" => wait(store, &names),
        "rm" => {
            let (force, volumes) = (is_on(matches, "force"), is_on(matches, "volumes"));
            // docker's, since 20.10: what is not there is gone, as was asked.
            let (gone, there): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| force && store.lacks(name));
            for e in gone.into_iter().filter_map(|name| find(store, name).err()) {
                eprint!("{}", crate::ui::error(&e.to_string()));
            }
            each(store, &there, |container| remove(&container, force, volumes))
        }
        "rename" => find(store, names.first().copied().unwrap_or_default())
            .and_then(|container| container.rename(word(matches, "name").unwrap_or_default()))
            .map(|()| ExitCode::SUCCESS),
        _ => return None,
    })
}

/// `-t`, which docker calls --timeout by now.
pub fn time_flag() -> Arg {
    value("time", Some('t'), "SECONDS", "Wait so long before it is killed; -1: for ever [default: 10]")
        .visible_alias("timeout")
        .allow_hyphen_values(true)
}

/// A number of seconds; `-1` is for ever.
pub fn seconds(matches: &ArgMatches, name: &str) -> Result<Option<u64>> {
    let Some(text) = word(matches, name) else { return Ok(None) };
    match text.parse::<i64>() {
        Ok(n) if n < 0 => Ok(Some(u64::MAX)),
        Ok(n) => Ok(Some(n as u64)),
        Err(_) => Err(Error::new(format!("--{name} {text}: not a number of seconds")).hint(format!("--{name} 10"))),
    }
}

fn stop_all(matches: &ArgMatches, store: Store<'_>, names: &[&str]) -> Result<ExitCode> {
    let time = seconds(matches, "time")?;
    let signal = word(matches, "signal").map(super::signal).transpose()?;
    all_at_once(store, names, |container| stop(&container, time, signal))
}

/// The same for all that run, at once, because the machine shuts down: after that they come back by their policies.
/// Returns how many did not end.
///
/// # Errors
/// EAGAIN at a limit on processes.
pub fn halt_all(store: Store<'_>) -> Result<usize> {
    let mut at_work = Vec::new();
    for container in store.all()? {
        if !matches!(container.now(), Now::Running { .. } | Now::Restarting { .. }) {
            continue;
        }
        // Each may take its ten seconds, and systemd does not wait for ever.
        match process::fork()? {
            Some(pid) => at_work.push(pid),
            None => {
                let ended = container
                    .lock()
                    .and_then(|_locked| container.note(|h| h.halted = true))
                    .and_then(|()| end(&container, None, None));
                if let Err(e) = &ended {
                    eprint!("{}", crate::ui::error(&e.to_string()));
                }
                process::exit_now(i32::from(ended.is_err()));
            }
        }
    }
    let mut failed = 0;
    for pid in at_work {
        failed += usize::from(process::wait(pid)? != process::End::Code(0));
    }
    Ok(failed)
}

/// Asks it to end, waits, and kills it. What does not run is stopped already.
///
/// # Errors
/// When it cannot be killed.
pub fn stop(container: &Container<'_>, time: Option<u64>, signal: Option<i32>) -> Result<()> {
    stays_ended(container)?;
    end(container, time, signal)
}

/// Ends what its history says is to stay so.
fn end(container: &Container<'_>, time: Option<u64>, signal: Option<i32>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match whole(container) {
            Now::Running { made, paused, .. } => {
                if paused {
                    crate::cgroup::freeze(&made.cgroups, false)?;
                }
                return end_run(container, &made, time, signal);
            }
            // Between two runs; or somebody has just begun to start it, and it is ended when it has come to run.
            Now::Restarting { watcher } => {
                if let Ok(socket) = attach::to(container.state(), container.record.short()) {
                    let _ = attach::say(socket.as_fd(), &Message::Stop);
                }
                if Instant::now() > deadline {
                    return Err(does_not_end(container, watcher));
                }
            }
            Now::Created | Now::Exited => return settled(container),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What is true of it, once it is not just being set up: half of a container has nobody yet who could take a signal.
fn whole(container: &Container<'_>) -> Now {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match container.now() {
            Now::Running { made, .. } if !made.complete && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(1));
            }
            now => return now,
        }
    }
}

/// This run of it.
fn end_run(container: &Container<'_>, made: &Made, time: Option<u64>, signal: Option<i32>) -> Result<()> {
    if let Some(init) = made.init.and_then(crate::journal::Process::open) {
        let signal = signal.or(container.record.stop_signal).unwrap_or(libc::SIGTERM);
        let time = time.or(container.record.stop_timeout).unwrap_or(10);
        send(container, &init, signal)?;
        let patience = if time == u64::MAX { None } else { Some(Duration::from_secs(time)) };
        if !ended_within(&init, patience) {
            put_to_death(container, made, &init)?;
        }
    }
    until_settled(container, made)?;
    events::note(container, "stop", &[]);
    Ok(())
}

/// A signal to its process 1. That it has ended meanwhile is no failure.
fn send(container: &Container<'_>, init: impl AsFd, signal: i32) -> Result<()> {
    match process::pidfd_kill(init, signal) {
        Ok(()) => events::note(container, "kill", &[("signal", signal.to_string())]),
        Err(nix::errno::Errno::ESRCH) => {}
        Err(e) => return Err(Error::call(format!("pidfd_send_signal({signal})"), e)),
    }
    Ok(())
}

/// No policy shall start it again. On a full disk that cannot be written down, and must be possible all the same: so
/// the monitor is told.
fn stays_ended(container: &Container<'_>) -> Result<()> {
    // docker's: what does not run is left as it is. (Its lock may be held, by a `cp` from a slow pipe.)
    if container.now().is_over() && !container.history().between() {
        return Ok(());
    }
    let _locked = container.lock()?;
    if let Err(e) = container.note(|h| h.stopped = true)
        && !container.now().is_over()
    {
        let told = attach::to(container.state(), container.record.short())
            .is_ok_and(|socket| attach::say(socket.as_fd(), &Message::Stop).is_ok());
        return if told { Ok(()) } else { Err(e) };
    }
    Ok(())
}

/// A pidfd is readable once its process has ended.
fn ended_within(pidfd: impl AsFd, patience: Option<Duration>) -> bool {
    // Longer than the clock can say is for ever.
    let deadline = patience.and_then(|p| Instant::now().checked_add(p));
    loop {
        let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        let timeout = match deadline {
            None => PollTimeout::NONE,
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now()).as_millis();
                PollTimeout::from(u16::try_from(left).unwrap_or(u16::MAX))
            }
        };
        match poll(&mut fds, timeout) {
            Ok(0) if deadline.is_some_and(|d| Instant::now() >= d) => return false,
            Ok(n) if n > 0 => return true,
            _ => {}
        }
    }
}

/// Waits until its monitor has written down how this run of it ended.
fn until_settled(container: &Container<'_>, run: &Made) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match container.now() {
            // Another run of it: a restart policy was quicker.
            Now::Running { made, .. } if run.init != made.init => return Ok(()),
            Now::Running { watcher, .. } | Now::Restarting { watcher } => {
                if Instant::now() > deadline {
                    return Err(does_not_end(container, watcher));
                }
            }
            Now::Created | Now::Exited => return settled(container),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// It has ended. With --rm its monitor is about to remove it, and who had it stopped shall find its name free.
fn settled(container: &Container<'_>) -> Result<()> {
    container.settle();
    let deadline = Instant::now() + Duration::from_secs(10);
    let is_going = || {
        let over = container.record.rm && container.now().is_over() && !container.history().between();
        over && container.dir().exists()
    };
    while is_going() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
        container.settle();
    }
    Ok(())
}

fn does_not_end(container: &Container<'_>, watcher: i32) -> Error {
    Error::new(format!("container {} does not end", container.record.name))
        .why(format!("its monitor, process {watcher}, is still at it"))
}

fn not_running(container: &Container<'_>) -> Error {
    Error::new(format!("container {} does not run", container.record.name))
        .hint(format!("boxwright start {}", container.record.name))
}

fn kill(container: &Container<'_>, signal: i32) -> Result<()> {
    let made = match whole(container) {
        Now::Running { made, .. } => made,
        // docker's: there is nothing to send it to, but it does not come back.
        Now::Restarting { .. } => return stop(container, None, None),
        Now::Created | Now::Exited => return Err(not_running(container)),
    };
    if signal == libc::SIGKILL {
        // docker's: whoever kills a container does not want it back.
        stays_ended(container)?;
    }
    let init = made.init.and_then(crate::journal::Process::open).ok_or_else(|| not_running(container))?;
    if signal == libc::SIGKILL {
        return put_to_death(container, &made, &init);
    }
    send(container, &init, signal)
}

/// SIGKILL, and waits for what it does. On v1 a frozen process dies only when it thaws.
fn put_to_death(container: &Container<'_>, made: &Made, init: impl AsFd + Copy) -> Result<()> {
    send(container, init, libc::SIGKILL)?;
    if crate::cgroup::is_frozen(&made.cgroups) {
        crate::cgroup::freeze(&made.cgroups, false)?;
    }
    if !ended_within(init, Some(Duration::from_secs(30))) {
        return Err(Error::new(format!("container {} was killed, and does not end", container.record.name)).why(
            "its process 1 ends after all others there: one is in a system call that cannot be interrupted (state D in ps), \
             or a dead one (state Z) is not reaped by its parent, who is outside of the container",
        ));
    }
    until_settled(container, made)
}

fn pause(container: &Container<'_>, freeze: bool) -> Result<()> {
    let _locked = container.lock()?;
    match container.now() {
        Now::Running { made, paused, .. } if paused != freeze => {
            crate::cgroup::freeze(&made.cgroups, freeze)?;
            events::note(container, if freeze { "pause" } else { "unpause" }, &[]);
            Ok(())
        }
        Now::Running { .. } => Err(Error::new(format!(
            "container {} is {}",
            container.record.name,
            if freeze { "paused already" } else { "not paused" }
        ))),
        _ => Err(not_running(container)),
    }
}

fn wait(store: Store<'_>, names: &[&str]) -> Result<ExitCode> {
    let mut failed = false;
    for name in names {
        match find(store, name).and_then(|container| wait_for(&container)) {
            Ok(code) => crate::ui::print(&format!("{code}\n")),
            Err(e) => {
                eprint!("{}", crate::ui::error(&e.to_string()));
                failed = true;
            }
        }
    }
    Ok(ExitCode::from(u8::from(failed)))
}

/// Its exit code; where nobody saw it end, that of SIGKILL.
fn wait_for(container: &Container<'_>) -> Result<i32> {
    loop {
        match container.now() {
            Now::Running { made, .. } => {
                // Who has its journal has its process; a monitor that is killed takes its container along only later.
                match attach::to(container.state(), container.record.short()) {
                    Ok(socket) => {
                        // What it prints is for others: whoever waits must hold nobody back.
                        let _ = attach::say(socket.as_fd(), &Message::Quiet);
                        while let Ok(Some(message)) = attach::hear(socket.as_fd()) {
                            if let Message::End(code) = message {
                                return Ok(code);
                            }
                        }
                    }
                    Err(_) => {
                        if let Some(init) = made.init.and_then(crate::journal::Process::open) {
                            ended_within(&init, None);
                        }
                        until_settled(container, &made)?;
                    }
                }
                container.settle();
            }
            Now::Restarting { .. } => std::thread::sleep(Duration::from_millis(20)),
            Now::Created if container.dir().join("container.json").exists() => {
                std::thread::sleep(Duration::from_millis(50));
            }
            // It had no monitor that could have told us.
            Now::Created => {
                return Err(Error::new(format!(
                    "container {} is gone, and its exit code with it",
                    container.record.name
                ))
                .why("it ran in the foreground of another command, with --rm: that one has its exit code")
                .hint("a container with a --name can be waited for"));
            }
            Now::Exited => {
                container.settle();
                return Ok(container.history().exit_code.unwrap_or(137));
            }
        }
    }
}

fn remove(container: &Container<'_>, force: bool, volumes: bool) -> Result<()> {
    match end_and_remove(container, force, volumes) {
        // One of --rm goes by itself once it has been ended, at any moment from then on; and it is gone, as was asked.
        Err(_) if force && !container.dir().join("container.json").exists() => Ok(()),
        outcome => outcome,
    }
}

fn end_and_remove(container: &Container<'_>, force: bool, volumes: bool) -> Result<()> {
    let record = &container.record;
    // Between its end and our lock somebody may start it again; and a `restart` is about to.
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match whole(container) {
            Now::Created | Now::Exited => {}
            now if !force => {
                return Err(Error::new(format!("container {} is {}", record.name, now.word()))
                    .hint(format!("boxwright stop {0}, or boxwright rm -f {0}", record.name)));
            }
            Now::Running { made, .. } => {
                stays_ended(container)?;
                match made.init.and_then(crate::journal::Process::open) {
                    Some(init) => put_to_death(container, &made, &init)?,
                    None => until_settled(container, &made)?,
                }
            }
            Now::Restarting { .. } => stop(container, Some(0), None)?,
        }
        let locked = container.lock()?;
        let between = container.history().between();
        if container.now().is_over() && !between {
            return container.remove(volumes);
        }
        drop(locked);
        if !force && between || Instant::now() > deadline {
            return Err(Error::new(format!("container {} is being restarted", record.name))
                .hint(format!("boxwright rm -f {}, when it runs", record.name)));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

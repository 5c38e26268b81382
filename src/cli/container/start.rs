//! `create`, `start`, `restart`, `attach`, and what `full-run` does when its container is kept.

use super::{all_at_once, containers, each, find, flag, one_container, value, word, words};
use crate::cli::is_on;
use crate::cli::{flags, stage};
use crate::container::attach::{self, Ended, How};
use crate::container::health::Check;
use crate::container::store::{Container, Store};
use crate::container::{Record, Restart, events, log, monitor, names, times};
use crate::error::{Error, Result};
use crate::journal::{Journal, Made, Process};
use crate::spec::Spec;
use crate::spec::build::{self, Options, Purpose};
use crate::spec::units;
use crate::volume::{self, Volumes};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

pub fn commands() -> Vec<Command> {
    let create = Command::new("create").about("Make a container, and do not start it yet").defer(|c| {
        let words = Arg::new("words").value_name("IMAGE [COMMAND [ARG...]]").num_args(0..).trailing_var_arg(true);
        let help = Arg::new("help").long("help").action(ArgAction::Help).help("Print help").help_heading(None);
        life_flags(flags::add(c, "full-run")).disable_help_flag(true).arg(help).arg(words.help_heading(None))
    });
    vec![
        create,
        Command::new("start").about("Start containers that have ended, or were only created").defer(|c| {
            c.arg(containers())
                .arg(flag("attach", Some('a'), "Show its output, and end with its exit code"))
                .arg(flag("interactive", Some('i'), "Type into it"))
                .arg(value("detach-keys", None, "KEYS", "Leave it with these [default: ctrl-p,ctrl-q]"))
        }),
        Command::new("restart").about("Stop containers, and start them again").defer(|c| {
            c.arg(containers()).arg(super::end::time_flag()).arg(value(
                "signal",
                Some('s'),
                "SIGNAL",
                "Ask with this one [default: its --stop-signal]",
            ))
        }),
        Command::new("attach").about("Connect this terminal with a running container").defer(|c| {
            c.arg(one_container())
                .arg(flag("no-stdin", None, "Only look"))
                .arg(value("detach-keys", None, "KEYS", "Leave it with these [default: ctrl-p,ctrl-q]"))
                .arg(value("sig-proxy", None, "BOOL", "Pass signals on to it [default: true]"))
        }),
    ]
}

pub fn life_flags(c: Command) -> Command {
    let many = |arg: Arg| arg.action(ArgAction::Append);
    // A number below zero is for the flag's own check, and no other flag.
    let signed = |arg: Arg| arg.allow_hyphen_values(true);
    c.next_help_heading("life")
        .arg(value("name", None, "NAME", "What it is called [default: a name made from its id]"))
        .arg(many(value("label", Some('l'), "KEY=VALUE", "Something to find it by")))
        .arg(value("restart", None, "POLICY", "no, on-failure[:N], always or unless-stopped"))
        .arg(value("stop-signal", None, "SIGNAL", "How `stop` asks it to end [default: TERM]"))
        .arg(signed(value("stop-timeout", None, "SECONDS", "How long `stop` then waits; -1: for ever [default: 10]")))
        .arg(many(value("log-opt", None, "KEY=VALUE", "max-size=10m and max-file=3: when its log is rotated")))
        .arg(value("cidfile", None, "FILE", "Write its id there"))
        .arg(value("detach-keys", None, "KEYS", "Leave it with these [default: ctrl-p,ctrl-q]"))
        .next_help_heading("health")
        .arg(value("health-cmd", None, "COMMAND", "Run this in it again and again: does it work?"))
        .arg(signed(value("health-interval", None, "TIME", "From one check to the next [default: 30s]")))
        .arg(signed(value("health-timeout", None, "TIME", "A check that takes longer has failed [default: 30s]")))
        .arg(signed(value("health-retries", None, "N", "It is unhealthy after N failures in a row [default: 3]")))
        .arg(signed(value("health-start-period", None, "TIME", "Until then a failure does not count [default: 0s]")))
        .arg(signed(value(
            "health-start-interval",
            None,
            "TIME",
            "From one check to the next until then [default: 5s]",
        )))
        .arg(flag("no-healthcheck", None, "No checks, whatever the image says"))
}

pub fn dispatch(name: &str, matches: &ArgMatches, store: Store<'_>) -> Option<Result<ExitCode>> {
    Some(match name {
        "create" => create_only(matches, store),
        "start" => start(matches, store),
        "restart" => {
            let signal = word(matches, "signal").map(super::signal).transpose();
            super::end::seconds(matches, "time").and_then(|time| Ok((time, signal?))).and_then(|(time, signal)| {
                all_at_once(store, &words(matches, "containers"), |container| restart_one(&container, time, signal))
            })
        }
        "attach" => attach_to(matches, store),
        _ => return None,
    })
}

/// What the words and flags say; full-run's first word is its image.
fn options(matches: &ArgMatches) -> Options {
    let mut words: Vec<String> = words(matches, "words").into_iter().map(str::to_string).collect();
    let mut options = flags::options(matches);
    if options.rootfs.is_none() && !words.is_empty() {
        options.image = Some(words.remove(0));
    }
    options.command = words;
    options
}

/// Is a container to be kept, or has it a life that others take part in? One that is neither (`--rm`, in the foreground,
/// without a name or anything else by which others know it) is the business of the command that runs it alone.
pub fn is_kept(matches: &ArgMatches) -> bool {
    let life = LIFE.iter().any(|flag| matches.value_source(flag) == Some(clap::parser::ValueSource::CommandLine));
    is_on(matches, "detach") || !is_on(matches, "rm") || life
}

/// What takes a monitor.
const LIFE: [&str; 9] =
    ["name", "label", "restart", "stop-signal", "stop-timeout", "log-opt", "cidfile", "detach-keys", "health-cmd"];

/// What a container is to be: all of it is understood, and can be met here, before anything is made.
fn describe(matches: &ArgMatches, store: Store<'_>) -> Result<(Record, Spec)> {
    let mut options = options(matches);
    let volumes = volume::settle(&mut options)?;
    let spec = build::build(&options, Purpose::Run, store.state)?;
    let options = settled(options, &spec)?;
    let id = volume::random_name();
    let image = match &options.rootfs {
        Some(dir) => dir.display().to_string(),
        None => options.image.clone().unwrap_or_else(|| "host".into()),
    };
    let record = Record {
        name: word(matches, "name").map_or_else(|| names::of(&id), str::to_string),
        id,
        created: times::now(),
        image,
        options,
        labels: labels(&words(matches, "label"))?,
        restart: restart(word(matches, "restart").unwrap_or("no"), is_on(matches, "rm"))?,
        stop_signal: word(matches, "stop-signal").map(super::signal).transpose()?,
        stop_timeout: super::end::seconds(matches, "stop-timeout")?,
        rm: is_on(matches, "rm"),
        detached: is_on(matches, "detach"),
        volumes,
        health: health(matches)?,
        log: log_options(&words(matches, "log-opt"))?,
    };
    Ok((record, spec))
}

/// Writes it down, with the volumes that it has.
fn create<'a>(matches: &ArgMatches, record: Record, store: Store<'a>) -> Result<Container<'a>> {
    let cidfile = word(matches, "cidfile").map(|file| {
        let made = std::fs::File::create_new(file).map_err(|e| {
            Error::io(format!("open({file}, O_CREAT|O_EXCL)"), &e)
                .hint("remove the file of an earlier container, or name another")
        });
        made.map(|open| (open, file.to_string()))
    });
    let cidfile = cidfile.transpose()?;
    let id = record.id.clone();
    let made = create_with_volumes(record, store);
    let Some((mut open, file)) = cidfile else { return made };
    let written = made.and_then(|container| {
        use std::io::Write;
        match open.write_all(id.as_bytes()) {
            Ok(()) => Ok(container),
            Err(e) => {
                let _ = container.lock().and_then(|_locked| container.remove(true));
                Err(Error::io(format!("write({file})"), &e))
            }
        }
    });
    written.inspect_err(|_| drop(std::fs::remove_file(&file)))
}

fn create_with_volumes<'a>(record: Record, store: Store<'a>) -> Result<Container<'a>> {
    if record.volumes.is_empty() {
        return store.create(record);
    }
    let volumes = Volumes::new(store.state);
    // Until it is written down that this container has them, nobody may remove one of them.
    let locked = volumes.lock()?;
    let container = store.create(record)?;
    if let Err(e) = volumes.provide(&locked, &container.record.volumes) {
        drop(locked);
        let _ = container.remove(true);
        return Err(e);
    }
    Ok(container)
}

/// What depends on where and by whom the command was given, resolved: it must mean the same when it is started again.
fn settled(mut options: Options, spec: &Spec) -> Result<Options> {
    options.env = spec.process().and_then(|p| p.env().clone()).unwrap_or_default();
    options.workdir = spec.process().map(|p| p.cwd().display().to_string());
    options.env_file = vec![];
    let here = std::env::current_dir().map_err(|e| Error::io("getcwd()", &e))?;
    let absolute = |path: &str| here.join(path).display().to_string();
    for volume in &mut options.volume {
        if volume.starts_with('.') {
            let (source, rest) = volume.split_once(':').unwrap_or((volume, ""));
            *volume = format!("{}:{rest}", absolute(source));
        }
    }
    for mount in &mut options.mount {
        let part = |part: &str| match part.split_once('=') {
            Some((key @ ("source" | "src"), path)) if path.starts_with('.') => format!("{key}={}", absolute(path)),
            _ => part.to_string(),
        };
        *mount = mount.split(',').map(part).collect::<Vec<_>>().join(",");
    }
    for option in &mut options.security_opt {
        if let Some(file) = option.strip_prefix("seccomp=").filter(|f| *f != "unconfined" && *f != "builtin") {
            *option = format!("seccomp={}", absolute(file));
        }
    }
    if let Some(dir) = &options.rootfs {
        let text = dir.to_string_lossy();
        let (path, overlay) = text.strip_suffix(":O").map_or((text.as_ref(), ""), |path| (path, ":O"));
        let found = std::fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(absolute(path)));
        options.rootfs = Some(PathBuf::from(format!("{}{overlay}", found.display())));
    }
    Ok(options)
}

fn labels(given: &[&str]) -> Result<BTreeMap<String, String>> {
    let label = |text: &&str| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if key.is_empty() { Err(Error::new(format!("--label {text}: no key"))) } else { Ok((key.into(), value.into())) }
    };
    given.iter().map(label).collect()
}

/// `--restart`.
///
/// # Errors
/// No such policy; with `--rm`, any but `no`.
pub fn restart(text: &str, rm: bool) -> Result<Restart> {
    let wrong = || {
        Error::new(format!("--restart {text}: no such policy"))
            .hint("no, on-failure, on-failure:5, always, unless-stopped")
    };
    let policy = match text.split_once(':').map_or((text, None), |(policy, most)| (policy, Some(most))) {
        ("no" | "", None) => Restart::No,
        ("always", None) => Restart::Always,
        ("unless-stopped", None) => Restart::UnlessStopped,
        ("on-failure", most) => {
            Restart::OnFailure(most.map(str::parse).transpose().map_err(|_| wrong())?.filter(|n| *n > 0))
        }
        _ => return Err(wrong()),
    };
    if rm && policy != Restart::No {
        return Err(Error::new("--rm and --restart exclude each other").hint("leave one of them out"));
    }
    Ok(policy)
}

fn health(matches: &ArgMatches) -> Result<Option<Check>> {
    const MORE: [&str; 5] =
        ["health-interval", "health-timeout", "health-retries", "health-start-period", "health-start-interval"];
    let given = MORE.iter().find(|flag| matches.contains_id(flag));
    let command = word(matches, "health-cmd");
    if is_on(matches, "no-healthcheck") {
        return match given.copied().or(command.map(|_| "health-cmd")) {
            Some(flag) => {
                Err(Error::new(format!("--no-healthcheck and --{flag} exclude each other"))
                    .hint("leave one of them out"))
            }
            None => Ok(None),
        };
    }
    let Some(command) = command else {
        return match given {
            Some(flag) => Err(Error::new(format!("--{flag}: there is nothing to check")).hint("--health-cmd COMMAND")),
            None => Ok(None),
        };
    };
    let Some(mut check) = Check::parse(command)? else { return Ok(None) };
    // docker's: zero is the default.
    let time = |flag: &str, time: &mut Duration| -> Result<()> {
        let given = word(matches, flag).map(|text| units::duration(&format!("--{flag}"), text)).transpose()?;
        *time = given.filter(|given| !given.is_zero()).unwrap_or(*time);
        Ok(())
    };
    time("health-interval", &mut check.interval)?;
    time("health-timeout", &mut check.timeout)?;
    time("health-start-period", &mut check.start_period)?;
    time("health-start-interval", &mut check.start_interval)?;
    if let Some(text) = word(matches, "health-retries") {
        let retries = units::integer("--health-retries", text, 0, i32::MAX.into())? as u32;
        check.retries = if retries == 0 { check.retries } else { retries };
    }
    Ok(Some(check))
}

fn log_options(given: &[&str]) -> Result<log::Options> {
    let mut options = log::Options::default();
    for text in given {
        let wrong = || {
            Error::new(format!("--log-opt {text}: not understood")).hint("--log-opt max-size=10m --log-opt max-file=3")
        };
        match text.split_once('=') {
            Some(("max-size", "-1")) => options.max_size = None,
            Some(("max-size", size)) => {
                let size = crate::spec::units::bytes("--log-opt max-size", size).map_err(|_| wrong())?;
                options.max_size = Some(Some(size).filter(|s| *s > 0).ok_or_else(wrong)?);
            }
            Some(("max-file", count)) => {
                options.max_file = count.parse().ok().filter(|n| *n > 0).ok_or_else(wrong)?;
            }
            _ => return Err(wrong()),
        }
    }
    Ok(options)
}

fn create_only(matches: &ArgMatches, store: Store<'_>) -> Result<ExitCode> {
    crate::journal::sweep(store.state, crate::journal::Thorough::ForAStart);
    let (record, _) = describe(matches, store)?;
    let container = create(matches, record, store)?;
    crate::ui::print(&format!("{}\n", container.record.id));
    Ok(ExitCode::SUCCESS)
}

/// `full-run` of a container that this process itself attends, until it ends and is removed.
///
/// # Errors
/// As [`stage::attend`].
pub fn run_alone(matches: &ArgMatches, store: Store<'_>) -> Result<ExitCode> {
    stage::must_have_proc()?;
    crate::journal::sweep(store.state, crate::journal::Thorough::ForAStart);
    let (record, spec) = describe(matches, store)?;
    let start = || {
        let id = record.short();
        // First of all: whoever finds the journal of a dead process also finds the container that goes with it.
        let journal = Journal::create_as(store.state, id)?
            .ok_or_else(|| Error::new(format!("container {id} is being started by somebody else")))?;
        let made = Made { id: id.into(), kept: true, rm: true, ..Made::default() };
        let written = journal.save(&made).and_then(|()| create(matches, record.clone(), store));
        match written.and_then(|container| container.note(|h| h.started = times::now())) {
            Ok(()) => Ok((journal, made)),
            Err(e) => {
                let _ = store.discard(id);
                journal.remove();
                Err(e)
            }
        }
    };
    stage::attend("full-run", matches, &spec, Purpose::Run, store.state, Some(&start))
}

/// `full-run` of a container that is kept.
///
/// # Errors
/// As [`stage::attend`].
pub fn run(matches: &ArgMatches, store: Store<'_>) -> Result<ExitCode> {
    crate::journal::sweep(store.state, crate::journal::Thorough::ForAStart);
    stage::must_have_proc()?;
    for only in ["report", "report-file", "trace", "without"] {
        if matches.value_source(only) == Some(clap::parser::ValueSource::CommandLine) {
            return Err(Error::new(format!("--{only} is for a container that nobody keeps"))
                .why("a container that is kept is started by its monitor, which has no terminal to report to")
                .hint(format!("boxwright full-run --rm --{only} …")));
        }
    }
    let detached = is_on(matches, "detach");
    let options = options(matches);
    let how = how(matches, options.interactive, options.tty)?;
    if options.interactive && options.tty && !detached && !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        return Err(Error::new("the input device is not a TTY")
            .why("-i -t connects your terminal with the container's, and the standard input is none")
            .hint("leave out -t"));
    }
    let (record, _) = describe(matches, store)?;
    let container = create(matches, record, store)?;
    if detached {
        started(&container, None)?;
        crate::ui::print(&format!("{}\n", container.record.id));
        return Ok(ExitCode::SUCCESS);
    }
    attended(&container, how)
}

/// Starts it; one that was to be removed is removed if that fails.
fn started(container: &Container<'_>, client: Option<std::os::fd::OwnedFd>) -> Result<()> {
    let result = monitor::launch(container, client);
    if result.is_err() && container.record.rm {
        container.remove_at_end();
    }
    result
}

fn how(matches: &ArgMatches, input: bool, terminal: bool) -> Result<How> {
    let keys = attach::keys(word(matches, "detach-keys").unwrap_or("ctrl-p,ctrl-q"))?;
    let detach = if terminal { keys } else { vec![] };
    Ok(How { input, terminal, detach, proxy: None })
}

/// Starts it, attached from the beginning, and stays until it ends.
fn attended(container: &Container<'_>, how: How) -> Result<ExitCode> {
    let (ours, theirs) = attach::pair()?;
    events::note(container, "attach", &[]);
    started(container, Some(theirs))?;
    attend(container, &ours, how, true)
}

fn attend(container: &Container<'_>, socket: &std::os::fd::OwnedFd, how: How, proxy: bool) -> Result<ExitCode> {
    let init = match container.now() {
        crate::container::Now::Running { made, .. } => made.init,
        _ => None,
    };
    let how = How { proxy: init.filter(|_| proxy && !how.terminal), ..how };
    match attach::attend(socket, &how)? {
        Ended::Container(code) => Ok(ExitCode::from(code as u8)),
        Ended::Detached => {
            events::note(container, "detach", &[]);
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn start(matches: &ArgMatches, store: Store<'_>) -> Result<ExitCode> {
    crate::journal::sweep(store.state, crate::journal::Thorough::ForAStart);
    stage::must_have_proc()?;
    let names = words(matches, "containers");
    let (attached, interactive) = (is_on(matches, "attach"), is_on(matches, "interactive"));
    if !attached && !interactive {
        return each(store, &names, |container| monitor::launch(&container, None));
    }
    let [name] = names[..] else {
        return Err(Error::new("only one container can be attached to").hint("start the others without -a and -i"));
    };
    let container = find(store, name)?;
    let options = &container.record.options;
    let how = how(matches, interactive && options.interactive, options.tty)?;
    if container.now().is_over() {
        return attended(&container, how);
    }
    let socket = attach::to(container.state(), container.record.short())?;
    events::note(&container, "attach", &[]);
    attend(&container, &socket, how, true)
}

/// Between its two halves the container is marked, with this process: so one of `--rm` stays, and who follows its log
/// waits for the second half.
fn restart_one(container: &Container<'_>, time: Option<u64>, signal: Option<i32>) -> Result<()> {
    let me = Process::of(std::process::id() as i32);
    let note = |marks: bool| {
        let _locked = container.lock()?;
        container.note(|h| {
            h.restarters.retain(|other| Some(*other) != me && other.open().is_some());
            h.restarters.extend(me.filter(|_| marks));
        })
    };
    note(true)?;
    let done = super::end::stop(container, time, signal).and_then(|()| monitor::launch(container, None));
    if done.is_ok() {
        events::note(container, "restart", &[]);
    }
    let _ = note(false);
    container.settle();
    done
}

fn attach_to(matches: &ArgMatches, store: Store<'_>) -> Result<ExitCode> {
    let container = find(store, word(matches, "containers").unwrap_or_default())?;
    match container.now() {
        crate::container::Now::Running { paused: true, .. } => {
            return Err(Error::new("it is paused").hint(format!("boxwright unpause {}", container.record.name)));
        }
        now if !now.runs() => {
            return Err(Error::new(format!("container {} does not run", container.record.name))
                .hint(format!("boxwright start -a {}", container.record.name)));
        }
        _ => {}
    }
    let options = &container.record.options;
    let input = options.interactive && !is_on(matches, "no-stdin");
    let how = how(matches, input, options.tty)?;
    let socket = attach::to(container.state(), container.record.short())?;
    events::note(&container, "attach", &[]);
    let proxy = !matches!(word(matches, "sig-proxy"), Some("false" | "0"));
    attend(&container, &socket, how, proxy)
}

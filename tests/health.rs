//! Health checks: what counts as healthy, what a probe leaves behind, and what is shown of it.

mod common;

use common::{Output, World, inventory};
use serde_json::Value;
use std::time::{Duration, Instant};

/// As root, and as an ordinary user.
fn everybody(test: impl Fn(&World)) {
    common::in_worlds(module_path!(), |world| {
        let removed = Removed(world);
        test(world);
        drop(removed);
        assert_eq!(world.run(["ps", "-aq"]).stdout, "", "containers that a test has left");
        // The keeper of a probe that was killed with its container has that still to notice.
        let deadline = Instant::now() + Duration::from_secs(30);
        let left = || inventory::descendants().into_iter().filter(|pid| alive(*pid)).collect::<Vec<i32>>();
        while !left().is_empty() {
            assert!(Instant::now() < deadline, "processes that a test has left: {:?}", left());
            std::thread::sleep(Duration::from_millis(5));
        }
    });
}

/// Also when the test has failed, or those after it would find what it left.
struct Removed<'a>(&'a World);

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        self.0.run(["rm", "-f", "c"]);
    }
}

fn alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ") && !stat.contains("(boxwright-net)")
}

/// A container `c` of the image `host`, in the background.
fn start(world: &World, flags: &[&str], script: &str) -> Output {
    let first = ["full-run", "-d", "--name", "c", "--network", "none"];
    world.run([&first, flags, &["host", "sh", "-c", script]].concat())
}

const SLEEP: &str = "exec sleep 1000";

fn health(world: &World) -> Value {
    world.run(["inspect", "c", "--format", "{{json .State.Health}}"]).exits(0).json()
}

fn status(world: &World) -> String {
    world.run(["ps", "-a", "--filter", "name=c", "--format", "{{.Status}}"]).exits(0).stdout.trim().to_string()
}

/// Waits until this is so; every probe is soon over.
#[track_caller]
fn until(world: &World, what: &str, done: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let health = health(world);
        if done(&health) {
            return health;
        }
        assert!(Instant::now() < deadline, "never {what}: {health}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[track_caller]
fn until_it_is(world: &World, word: &str) -> Value {
    until(world, word, |health| health["Status"] == word)
}

#[test]
fn it_is_what_the_last_probes_found() {
    everybody(|world| {
        let flags = ["--health-cmd", "echo asked; test -e /ok", "--health-interval", "50ms", "--health-retries", "2"];
        start(world, &flags, SLEEP).exits(0);
        let sick = until_it_is(world, "unhealthy");
        assert!(sick["FailingStreak"].as_u64() >= Some(2), "{sick}");
        assert_eq!((&sick["Log"][0]["ExitCode"], &sick["Log"][0]["Output"]), (&1.into(), &"asked\n".into()));
        assert!(sick["Log"][0]["Start"].as_str() < sick["Log"][0]["End"].as_str(), "{sick}");
        assert!(status(world).ends_with("(unhealthy)"), "{}", status(world));
        assert_eq!(world.run(["ps", "-q", "--filter", "health=unhealthy"]).exits(0).stdout.lines().count(), 1);
        assert_eq!(world.run(["ps", "-q", "--filter", "health=healthy"]).exits(0).stdout, "");

        world.run(["exec", "c", "touch", "/ok"]).exits(0);
        let well = until_it_is(world, "healthy");
        assert_eq!(well["FailingStreak"], 0);
        assert!(status(world).ends_with("(healthy)"), "{}", status(world));
        let first = well["Log"][0]["Start"].clone();
        let last = until(world, "another", |health| health["Log"][0]["Start"] != first && health["Log"][4].is_object());
        assert_eq!(last["Log"].as_array().map(Vec::len), Some(5), "the last five, and no more");

        // One that does not run is not healthy.
        world.run(["stop", "-t", "0", "c"]).exits(0);
        assert_eq!(health(world)["Status"], "unhealthy");
        assert!(status(world).starts_with("Exited"), "{}", status(world));
        // Nothing is known of it when it starts again.
        world.run(["exec", "c", "true"]).exits(125);
        world.run(["start", "c"]).exits(0);
        assert!(["starting", "healthy"].contains(&health(world)["Status"].as_str().expect("a word")));
        until_it_is(world, "healthy");
    });
}

#[test]
fn a_probe_that_takes_too_long_is_killed() {
    everybody(|world| {
        let flags = ["--health-cmd", "echo slow; exec sleep 777", "--health-interval", "10ms", "--health-timeout"];
        start(world, &[&flags[..], &["300ms", "--health-retries", "1"]].concat(), SLEEP).exits(0);
        let sick = until_it_is(world, "unhealthy");
        assert_eq!(sick["Log"][0]["ExitCode"], -1);
        assert!(sick["Log"][0]["Output"].as_str().is_some_and(|o| o.contains("exceeded timeout (300ms)")), "{sick}");
        until(world, "several", |health| health["FailingStreak"].as_u64() >= Some(3));
        // What is killed is gone: of the probes at most the one that is at work (or in the middle of being killed).
        let pids =
            world.run(["exec", "c", "sh", "-c", "grep -l 77[7] /proc/[0-9]*/cmdline 2>/dev/null | wc -l"]).exits(0);
        let count: u32 = pids.stdout.trim().parse().expect("a number");
        assert!(count <= 2, "{count} probes at once");
    });
}

#[test]
fn until_it_has_started_a_failure_does_not_count() {
    everybody(|world| {
        let check = ["--health-cmd", "test -e /ok", "--health-retries", "1", "--health-start-period", "1h"];
        // The interval would be an hour, too: what is asked during the start comes sooner.
        let often = ["--health-start-interval", "20ms", "--health-interval", "1h"];
        start(world, &[&check[..], &often].concat(), SLEEP).exits(0);
        let young = until(world, "five probes", |health| health["Log"][4].is_object());
        assert_eq!((&young["Status"], &young["FailingStreak"]), (&"starting".into(), &0.into()));
        assert!(status(world).ends_with("(health: starting)"), "{}", status(world));
        assert_eq!(world.run(["ps", "-q", "--filter", "health=starting"]).exits(0).stdout.lines().count(), 1);
        world.run(["exec", "c", "touch", "/ok"]).exits(0);
        until_it_is(world, "healthy");
    });
}

#[test]
fn a_probe_is_in_the_container_as_its_command_is() {
    everybody(|world| {
        let ask = "id -u; pwd; echo $MINE; hostname; cat /proc/1/cmdline | tr '\\0' ' '; echo >&2 err";
        let flags =
            ["--health-cmd", ask, "--health-interval", "20ms", "-e", "MINE=yes", "-w", "/tmp", "--hostname", "box"];
        start(world, &flags, SLEEP).exits(0);
        let well = until_it_is(world, "healthy");
        assert_eq!(well["Log"][0]["Output"], "0\n/tmp\nyes\nbox\nsleep 1000 err\n");
        world.run(["rm", "-f", "c"]).exits(0);

        // Without a shell; and one that cannot be run at all.
        let list = r#"["CMD", "printf", "%s", "a  b"]"#;
        start(world, &["--health-cmd", list, "--health-interval", "20ms"], SLEEP).exits(0);
        assert_eq!(until_it_is(world, "healthy")["Log"][0]["Output"], "a  b");
        let test = world.run(["inspect", "c", "--format", "{{json .Config.Healthcheck}}"]).exits(0).json();
        assert_eq!(
            (&test["Test"][1], &test["Interval"], &test["Retries"]),
            (&"printf".into(), &20_000_000.into(), &3.into())
        );
        world.run(["rm", "-f", "c"]).exits(0);
        let list = r#"["CMD", "/no/such/program"]"#;
        start(world, &["--health-cmd", list, "--health-interval", "20ms"], SLEEP).exits(0);
        let sick = until_it_is(world, "unhealthy");
        assert_eq!(sick["Log"][0]["ExitCode"], 127);
        assert!(sick["Log"][0]["Output"].as_str().is_some_and(|o| o.contains("/no/such/program")), "{sick}");
    });
}

/// Such a one could open our program through /proc; so the probe goes there as a copy of it.
#[test]
fn a_privileged_container_is_checked_too() {
    let world = World::new();
    if !world.is_root() {
        skip!("--privileged is root's");
    }
    let _removed = Removed(&world);
    start(&world, &["--privileged", "--health-cmd", "echo fine", "--health-interval", "20ms"], SLEEP).exits(0);
    assert_eq!(until_it_is(&world, "healthy")["Log"][0]["Output"], "fine\n");
}

#[test]
fn much_output_is_cut_and_what_is_left_running_is_not_waited_for() {
    everybody(|world| {
        let ask = "yes | head -c 1000000; sleep 500 & true";
        start(
            world,
            &[
                "--health-cmd",
                ask,
                "--health-interval",
                "1h",
                "--health-start-period",
                "1h",
                "--health-start-interval",
                "20ms",
            ],
            SLEEP,
        )
        .exits(0);
        let well = until_it_is(world, "healthy");
        let output = well["Log"][0]["Output"].as_str().expect("text");
        assert_eq!((output.len(), output.ends_with("...")), (4099, true));
    });
}

#[test]
fn a_paused_container_is_not_asked() {
    everybody(|world| {
        if world.no_cgroups().is_some() {
            return;
        }
        start(world, &["--health-cmd", "true", "--health-interval", "20ms", "--health-timeout", "200ms"], SLEEP)
            .exits(0);
        until_it_is(world, "healthy");
        world.run(["pause", "c"]).exits(0);
        assert!(status(world).ends_with("(Paused)"), "{}", status(world));
        // A probe that was in the middle may end after it; from then on there is none.
        std::thread::sleep(Duration::from_millis(300));
        let before = health(world);
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(health(world), before);
        assert_eq!(before["Status"], "healthy");
        world.run(["unpause", "c"]).exits(0);
        until(world, "asked again", |now| now["Log"] != before["Log"] && now["Status"] == "healthy");
    });
}

#[test]
fn one_in_the_foreground_is_checked_and_removed() {
    everybody(|world| {
        let args =
            ["full-run", "--rm", "--network", "none", "--health-cmd", "touch /asked", "--health-interval", "20ms"];
        let wait = "until test -e /asked; do sleep 0.02; done; echo asked";
        let output = world.run([&args[..], &["host", "sh", "-c", wait]].concat()).exits(0);
        assert_eq!(output.stdout, "asked\n");
    });
}

#[test]
fn nobody_is_left_when_it_ends_in_the_middle_of_a_probe() {
    everybody(|world| {
        let flags = ["--health-cmd", "touch /asked; exec sleep 1000", "--health-interval", "1ms"];
        let script = "until test -e /asked; do sleep 0.02; done; exit 7";
        start(world, &flags, script).exits(0);
        assert_eq!(world.run(["wait", "c"]).exits(0).stdout, "7\n");
        // Nor when the monitor is killed.
        world.run(["rm", "-f", "c"]).exits(0);
        start(world, &flags, SLEEP).exits(0);
        until(world, "asked", |_| world.run(["exec", "c", "test", "-e", "/asked"]).code() == 0);
        let monitor = world.run(["inspect", "c", "--format", "{{.State.MonitorPid}}"]).exits(0).stdout;
        let monitor: i32 = monitor.trim().parse().expect("a number");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(monitor), nix::sys::signal::Signal::SIGKILL).expect("kill");
        let deadline = Instant::now() + Duration::from_secs(30);
        while !status(world).starts_with("Exited") {
            assert!(Instant::now() < deadline, "{}", status(world));
        }
    });
}

#[test]
fn without_a_check_there_is_nothing_to_say() {
    everybody(|world| {
        start(world, &["--no-healthcheck"], SLEEP).exits(0);
        assert!(!status(world).contains("health"), "{}", status(world));
        assert_eq!(world.run(["ps", "-q", "--filter", "health=none"]).exits(0).stdout.lines().count(), 1);
        let template = "{{.State.Health}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}";
        assert_eq!(world.run(["inspect", "c", "--format", template]).exits(0).stdout, "<no value> none\n");
        world.run(["inspect", "c", "--format", "{{.State.Health.Status}}"]).exits(125);
    });
}

#[test]
fn bad_input_is_named() {
    everybody(|world| {
        for (flags, part) in [
            (vec!["--health-cmd", ""], "not a command"),
            (vec!["--health-cmd", "[\"CMD\"]"], "not a command"),
            (vec!["--health-cmd", "true", "--health-interval", "5"], "no unit"),
            (vec!["--health-cmd", "true", "--health-timeout", "soon"], "not a time"),
            (vec!["--health-cmd", "true", "--health-timeout", "1us"], "less than a millisecond"),
            (vec!["--health-cmd", "true", "--health-start-period=-1s"], "not a time"),
            (vec!["--health-cmd", "true", "--health-retries", "many"], "--health-retries"),
            (vec!["--health-cmd", "true", "--health-retries=-1"], "--health-retries"),
            (vec!["--health-retries", "3"], "nothing to check"),
            (vec!["--no-healthcheck", "--health-cmd", "true"], "exclude each other"),
        ] {
            let output = start(world, &flags, "true").exits(125);
            assert!(output.stderr.contains(part), "{flags:?}\n{output}");
        }
        assert!(world.run(["ps", "--filter", "health=fine"]).exits(125).stderr.contains("no such filter"));
    });
}

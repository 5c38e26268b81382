//! A [`World`] in which containers live for longer than a command: they are started in the background, looked at, and
//! all gone in the end, whatever becomes of the test.

use super::inventory::Inventory;
use super::{Output, World};
use std::time::{Duration, Instant};

/// A world whose containers are removed at its end.
pub struct Life {
    world: World,
    before: Inventory,
}

impl std::ops::Deref for Life {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

/// Both kinds of user, as far as this test's user can be them. (One at a time: worlds exclude each other.)
pub fn both() -> Vec<fn() -> Life> {
    if super::is_root() && super::left_to_a_user().is_none() {
        vec![|| Life::of(World::new()), || Life::of(World::as_user())]
    } else {
        vec![|| Life::of(World::new())]
    }
}

impl Life {
    /// After one that was kept and removed, so that what stays of the first one is there already.
    pub fn of(world: World) -> Life {
        let world = world.used();
        world.run(["full-run", "--name", "first", "--network", "none", "-v", "/v", "host", "true"]).exits(0);
        world.run(["rm", "-v", "first"]).exits(0);
        let before = world.inventory();
        Life { world, before }
    }

    /// Starts `sh -c SCRIPT` in the background, without network; returns its id.
    pub fn up(&self, name: &str, flags: &[&str], script: &str) -> String {
        let args = [&["full-run", "-d", "--name", name, "--network", "none"], flags, &["host", "sh", "-c", script]];
        self.run(args.concat()).exits(0).stdout.trim().to_string()
    }

    /// One that sleeps until it is ended, and does what it is asked to at once.
    pub fn sleeper(&self, name: &str, flags: &[&str]) -> String {
        self.up(name, flags, "trap 'exit 143' TERM; while :; do sleep 100 & wait $!; done")
    }

    /// A field of `inspect`.
    pub fn field(&self, name: &str, template: &str) -> String {
        self.run(["inspect", "--format", template, name]).exits(0).stdout.trim_end().to_string()
    }

    /// docker's word for what it does now.
    pub fn state(&self, name: &str) -> String {
        self.field(name, "{{.State.Status}}")
    }

    /// A number of `inspect`.
    pub fn number(&self, name: &str, template: &str) -> i32 {
        self.field(name, template).parse().expect("a number")
    }

    /// The names that `ps` shows with these flags, in its order.
    pub fn names(&self, flags: &[&str]) -> Vec<String> {
        let args = [&["ps", "--format", "{{.Names}}"], flags].concat();
        self.run(args).exits(0).stdout.lines().map(str::to_string).collect()
    }

    /// Has it such a state soon?
    pub fn until_state(&self, name: &str, state: &str) {
        self.until(&format!("{name} is {state}"), || self.state(name) == state);
    }

    /// Waits for something that happens by itself.
    #[track_caller]
    pub fn until(&self, what: &str, mut happened: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !happened() {
            assert!(Instant::now() < deadline, "it never came to be that {what}\n{}", self.run(["ps", "-a"]));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A command that is refused: its exit code, and what the error must say.
    #[track_caller]
    pub fn refused(&self, args: &[&str], code: i32, says: &[&str]) -> Output {
        let run = self.run(args).exits(code);
        for what in says {
            assert!(run.stderr.contains(what), "the error does not say {what:?}\n{run}");
        }
        assert!(!run.stderr.contains("panicked"), "{run}");
        run
    }

    fn remove_all(&self) -> Output {
        let all = self.world.run(["ps", "-aq"]).stdout;
        self.world.run(["rm", "-f"].into_iter().chain(all.lines()))
    }

    /// Removes all that there are, and looks whether the machine is as it was before.
    pub fn end(self) {
        if !self.names(&["-a"]).is_empty() {
            self.remove_all().exits(0);
        }
        self.world.assert_unchanged(&self.before);
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // A test that has failed must not be the end of the next one.
        if std::thread::panicking() {
            self.remove_all();
        }
    }
}

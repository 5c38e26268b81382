//! What a container must not see or reach, and command lines as docker's users type them.

mod common;

use common::World;

#[test]
fn no_cgroup_but_its_own_is_in_sight() {
    let world = World::new();
    if !world.is_root() {
        skip!("only root may mount cgroups");
    }
    let find = "find /sys/fs/cgroup -name release_agent -o -name 'boxwright*'";
    let seen = world.run(["full-run", "--network", "none", "host", "sh", "-c", find]).exits(0);
    assert_eq!(seen.stdout, "");
    // With the right to mount, it must be below the top of every tree.
    let mount = "cd /tmp; grep -o '^[1-9][^/]*' /proc/self/cgroup | while IFS=: read -r _ tree; do \
                 o=${tree%:}; mkdir $o; case $o in name=*) o=none,$o; esac; mount -t cgroup -o $o c ${tree%:}; done; \
                 find /tmp -name release_agent -o -name 'boxwright*'";
    let args = ["full-run", "--network", "none", "--cap-add", "SYS_ADMIN", "host", "sh", "-c", mount];
    let seen = world.run(args).exits(0);
    assert_eq!(seen.stdout, "", "{seen}");
}

#[test]
fn a_volume_may_take_the_place_of_dev() {
    let world = World::new();
    let shown = world.run(["full-run", "--network", "none", "-v", "/dev:/dev", "host", "ls", "/dev"]);
    if !world.is_root() {
        skip!("the host's devices are not an ordinary user's");
    }
    assert!(shown.stdout.contains("kmsg") || shown.stdout.contains("log") || shown.stdout.contains("mem"), "{shown}");
}

#[test]
fn docker_habits() {
    let world = World::new();
    if let Some(why) = world.no_cgroups() {
        skip!("{why}");
    }
    let script = "echo $B $*";
    let long = ["run", "-m64m", "-eB=2", "--net=none", "--rm", "host", "sh", "-c", script, "x", "--", "-d", "--rm"];
    assert_eq!(world.run(long).exits(0).stdout, "2 -- -d --rm\n");
    assert_eq!(world.run(["run", "--net", "none", "--", "host", "echo", "ok"]).exits(0).stdout, "ok\n");
    assert!(world.run(["run", "--nope", "host", "true"]).exits(125).stderr.contains("--nope"));
}

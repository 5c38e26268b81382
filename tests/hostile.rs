//! What a container must not see or reach, and command lines as docker's users type them.

mod common;

use common::World;
use std::os::unix::fs::PermissionsExt;

#[test]
fn no_cgroup_but_its_own_is_in_sight() {
    let world = World::new();
    if !world.is_root() {
        skip!("only root may mount cgroups");
    }
    let find = "find /sys/fs/cgroup -name release_agent -o -name 'boxwright*'";
    let seen = world.run(["full-run", "--rm", "--network", "none", "host", "sh", "-c", find]).exits(0);
    assert_eq!(seen.stdout, "");
    // With the right to mount, it must be below the top of every tree.
    let mount = "cd /tmp; grep -o '^[1-9][^/]*' /proc/self/cgroup | while IFS=: read -r _ tree; do \
                 o=${tree%:}; mkdir $o; case $o in name=*) o=none,$o; esac; mount -t cgroup -o $o c ${tree%:}; done; \
                 find /tmp -name release_agent -o -name 'boxwright*'";
    let args = ["full-run", "--rm", "--network", "none", "--cap-add", "SYS_ADMIN", "host", "sh", "-c", mount];
    let seen = world.run(args).exits(0);
    assert_eq!(seen.stdout, "", "{seen}");
}

#[test]
fn a_volume_may_take_the_place_of_dev() {
    let world = World::new();
    let shown = world.run(["full-run", "--rm", "--network", "none", "-v", "/dev:/dev", "host", "ls", "/dev"]);
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
    assert_eq!(world.run(["run", "--rm", "--net", "none", "--", "host", "echo", "ok"]).exits(0).stdout, "ok\n");
    assert!(world.run(["run", "--nope", "host", "true"]).exits(125).stderr.contains("--nope"));
}

/// CVE-2019-5736: a "script" whose interpreter is the program that starts it would leave the host's own binary open to
/// be written. Also through a second script, and where an init of ours stays in the container.
#[test]
fn our_own_program_is_out_of_reach() {
    let world = World::new();
    let traps = world.dir.path().join("traps");
    std::fs::create_dir(&traps).expect("mkdir");
    for (name, interpreter) in [("first", "/proc/self/exe"), ("second", "/traps/first")] {
        std::fs::write(traps.join(name), format!("#!{interpreter}\n")).expect("a script");
        std::fs::set_permissions(traps.join(name), PermissionsExt::from_mode(0o755)).expect("chmod");
    }
    let volume = format!("{}:/traps", traps.display());
    for trap in ["/traps/first", "/traps/second"] {
        let refused = world.run(["run", "--rm", "--network", "none", "-v", &volume, "host", trap]).exits(126);
        assert!(refused.stderr.contains("CVE-2019-5736"), "{refused}");
    }
    let write = "readlink /proc/1/exe; echo x 2>/dev/null > /proc/1/exe && echo written";
    let init = world.run(["run", "--rm", "--network", "none", "--init", "host", "sh", "-c", write]);
    assert_eq!(init.stdout, "/memfd:boxwright-init (deleted)\n", "{init}");
}

/// CVE-2024-21626: a descriptor of the host's left open is a door back.
#[test]
fn no_descriptor_of_ours_is_left_open() {
    let world = World::new();
    for init in [&["run", "--rm"][..], &["run", "--rm", "--init"]] {
        let args = [init, &["--network", "none", "host", "sh", "-c", "ls /proc/1/fd /proc/$$/fd"]].concat();
        let seen = world.run(args).exits(0);
        let numbers = seen.stdout.lines().filter_map(|l| l.parse::<u32>().ok());
        assert!(numbers.clone().count() >= 6 && numbers.max() <= Some(2), "{seen}");
    }
}

/// What docker's profile refuses is refused; a call that is newer than the C library's fallback gets ENOSYS.
#[test]
fn the_kernels_back_doors_are_shut() {
    let world = World::new();
    let try_all = "unshare -m true; echo $?; mount -t tmpfs x /mnt; echo $?; chroot / unshare -U true; echo $?; \
                   echo h > /proc/sysrq-trigger; echo $?; echo 1 > /proc/sys/kernel/panic; echo $?";
    let seen = world.run(["run", "--rm", "--network", "none", "host", "sh", "-c", try_all]);
    assert!(seen.stdout.lines().count() == 5 && seen.stdout.lines().all(|code| code != "0"), "{seen}");
}

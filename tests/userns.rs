//! `--userns auto` as root: the container's ids are a range of its own, and its files look as if they were its own.

mod common;

use common::World;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Stdio;

/// Why root cannot have id-mapped layers here, if so.
fn lack(world: &World) -> Option<String> {
    if !world.is_root() {
        return Some("only root can give a container ids of its own".into());
    }
    let tried = world.run(["full-run", "--rm", "--userns", "auto", "--network", "none", "host", "true"]);
    let refused = tried.stderr.contains("id-mapped") || tried.stderr.contains("Linux 5.19");
    (tried.code() == 125 && refused).then_some(tried.stderr)
}

#[test]
fn the_container_owns_its_files_and_the_disk_stays_roots() {
    let world = World::new();
    if let Some(why) = lack(&world) {
        skip!("{why}");
    }
    let before = world.inventory();
    // A volume on a way that only root can walk, and a root filesystem.
    let secret = world.dir.path().join("secret");
    std::fs::create_dir_all(secret.join("volume")).unwrap();
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o700)).unwrap();
    let volume = format!("{}:/v:ro", secret.join("volume").display());
    let shell = "touch /x && stat -c %u:%g / /etc /x /usr /v && cat /proc/self/uid_map";
    let run = world
        .run(["full-run", "--rm", "--userns", "auto", "--network", "none", "-v", &volume, "host", "sh", "-c", shell])
        .exits(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines[..5], ["0:0", "0:0", "0:0", "65534:65534", "65534:65534"], "{run}");
    assert!(!lines[5].trim_start().starts_with("0 0 "), "{run}");
    world.assert_unchanged(&before);
}

#[test]
fn what_it_writes_into_a_root_filesystem_is_roots_on_the_disk() {
    let world = World::new();
    if let Some(why) = lack(&world) {
        skip!("{why}");
    }
    let rootfs = world.dir.path().join("rootfs");
    for name in ["usr", "proc", "dev", "sys", "lib", "lib64", "bin"] {
        std::fs::create_dir_all(rootfs.join(name)).unwrap();
    }
    std::fs::set_permissions(&rootfs, PermissionsExt::from_mode(0o755)).unwrap();
    let mut args = vec!["full-run".to_string(), "--rm".into(), "--userns".into(), "auto".into(), "--rootfs".into()];
    args.push(rootfs.display().to_string());
    for name in ["usr", "lib", "lib64", "bin"] {
        if std::path::Path::new("/").join(name).exists() {
            args.extend(["-v".into(), format!("/{name}:/{name}:ro")]);
        }
    }
    args.extend(["sh", "-c", "touch /made"].map(String::from));
    world.run(args).exits(0);
    let made = rootfs.join("made").metadata().unwrap();
    assert_eq!((made.uid(), made.gid()), (0, 0));
}

#[test]
fn two_at_once_have_different_ids() {
    let world = World::new();
    if let Some(why) = lack(&world) {
        skip!("{why}");
    }
    let script = "cat /proc/self/uid_map; sleep 1";
    let start = || {
        let args = ["full-run", "--rm", "--userns", "auto", "--network", "none", "host", "sh", "-c", script];
        world.command(args).stdout(Stdio::piped()).spawn().unwrap()
    };
    let all: Vec<_> = (0..4).map(|_| start()).collect();
    let mut maps: Vec<_> = all.into_iter().map(|child| child.wait_with_output().unwrap().stdout).collect();
    maps.sort();
    maps.dedup();
    assert_eq!(maps.len(), 4);
    assert!(maps.iter().all(|map| !map.is_empty()));
}

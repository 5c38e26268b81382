//! The measure: the fewest kernel calls that give a container at all. It limits nothing, filters nothing, checks
//! nothing and cleans up next to nothing; what a runtime needs beyond it is the price of being one. It runs before
//! anything of the standard library has started, so that it begins as fast as a C program.

use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::ptr::{null, null_mut};

/// Where the floor makes cgroups.
const V1: [&str; 3] = ["cpu", "memory", "pids"];

/// `floor FLAGS ROOT COMMAND [ARG...]`, all of them C strings; FLAGS has an `n` for a network namespace, and for
/// cgroups a `1` (cpu, memory and pids on v1) or a `2` (one on v2, into which clone3 puts the child).
pub fn run(args: &[*const c_char]) -> c_int {
    let &[_, _, flags, root, command, ..] = args else { return 9 };
    // SAFETY: the caller's arguments are C strings, and after the last comes a null pointer, as execv wants it.
    unsafe {
        let has = |c: u8| CStr::from_ptr(flags).to_bytes().contains(&c);
        container(has(b'n'), has(b'1'), has(b'2'), root, command, args.as_ptr().add(4))
    }
}

unsafe fn container(
    net: bool,
    v1: bool,
    v2: bool,
    root: *const c_char,
    command: *const c_char,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: this process has one thread, so its fork may do what it likes; every string ends with a zero byte.
    unsafe {
        let me = libc::getpid();
        let one = format!("/sys/fs/cgroup/floor{me}\0");
        let three = V1.map(|tree| format!("/sys/fs/cgroup/{tree}/floor{me}\0"));
        let cgroups: &[String] = match (v1, v2) {
            (true, _) => &three,
            (_, true) => std::slice::from_ref(&one),
            _ => &[],
        };
        for dir in cgroups {
            must(libc::mkdir(dir.as_ptr().cast(), 0o755).into(), c"mkdir(a cgroup)");
        }
        let mut pipe = [0; 2];
        must(libc::pipe(pipe.as_mut_ptr()).into(), c"pipe");
        let net = if net { libc::CLONE_NEWNET } else { 0 };
        let mut args: libc::clone_args = std::mem::zeroed();
        args.flags = (libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | net) as u64;
        args.exit_signal = libc::SIGCHLD as u64;
        if v2 {
            const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
            args.flags |= CLONE_INTO_CGROUP;
            args.cgroup = must(libc::open(one.as_ptr().cast(), libc::O_PATH | libc::O_CLOEXEC).into(), c"open") as u64;
        }
        let size = size_of::<libc::clone_args>();
        let child = must(libc::syscall(libc::SYS_clone3, &raw mut args, size), c"clone3") as libc::pid_t;
        if child == 0 {
            libc::close(pipe[1]);
            libc::read(pipe[0], (&raw mut args).cast(), 1);
            inside(root, if v1 { cgroups } else { &[] });
            libc::execv(command, argv);
            must(-1, c"execv");
        }
        libc::write(pipe[1], c"x".as_ptr().cast(), 1);
        let mut status = 0;
        must(libc::waitpid(child, &mut status, 0).into(), c"waitpid");
        for dir in cgroups {
            must(libc::rmdir(dir.as_ptr().cast()).into(), c"rmdir");
        }
        libc::WEXITSTATUS(status)
    }
}

unsafe fn inside(root: *const c_char, join: &[String]) {
    let null_string = null::<c_char>();
    let plain = |kind: &CStr, at: &CStr, flags, data: *const c_char| {
        // SAFETY: C strings, or null where mount(2) allows it.
        let result = unsafe { libc::mount(kind.as_ptr(), at.as_ptr(), kind.as_ptr(), flags, data.cast::<c_void>()) };
        must(result.into(), at);
    };
    // SAFETY: as in `container`.
    unsafe {
        for dir in join {
            // A task that moves itself waits for no RCU grace period; a write to cgroup.procs does: 7 to 14 ms.
            let tasks = format!("{}/tasks\0", dir.trim_end_matches('\0'));
            let fd = must(libc::open(tasks.as_ptr().cast(), libc::O_WRONLY).into(), c"open(tasks)") as c_int;
            must(libc::write(fd, c"0".as_ptr().cast(), 1) as c_long, c"write(tasks)");
            libc::close(fd);
        }
        must(libc::unshare(libc::CLONE_NEWCGROUP).into(), c"unshare");
        let private = libc::MS_REC | libc::MS_PRIVATE;
        must(libc::mount(null_string, c"/".as_ptr(), null_string, private, null()).into(), c"private");
        let bind = libc::MS_REC | libc::MS_BIND;
        must(libc::mount(root, root, null_string, bind, null()).into(), c"bind");
        must(libc::chdir(root).into(), c"chdir");
        plain(c"proc", c"proc", 0, null());
        plain(c"tmpfs", c"dev", 0, c"mode=755".as_ptr());
        must(libc::mkdir(c"dev/pts".as_ptr(), 0o755).into(), c"mkdir");
        must(libc::mkdir(c"dev/shm".as_ptr(), 0o755).into(), c"mkdir");
        plain(c"devpts", c"dev/pts", 0, c"newinstance,ptmxmode=0666".as_ptr());
        plain(c"tmpfs", c"dev/shm", 0, c"mode=1777".as_ptr());
        plain(c"sysfs", c"sys", libc::MS_RDONLY, null());
        for (name, minor) in [(c"dev/null", 3), (c"dev/zero", 5)] {
            must(libc::mknod(name.as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(1, minor)).into(), name);
        }
        must(libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()), c"pivot_root");
        must(libc::umount2(c".".as_ptr(), libc::MNT_DETACH).into(), c"umount2");
        must(libc::chdir(c"/".as_ptr()).into(), c"chdir");
        must(libc::sethostname(c"floor".as_ptr(), 5).into(), c"sethostname");
    }
}

fn must(result: c_long, what: &CStr) -> c_long {
    if result < 0 {
        // SAFETY: a C string; and this process has nothing to lose.
        unsafe {
            libc::perror(what.as_ptr());
            libc::_exit(9);
        }
    }
    result
}

/// `peak COMMAND [ARG...]`: the most memory that it or what it waited for had at once, in KiB, on standard output. A
/// program of its own, because a process that execve replaces counts too, and this one is smaller than any other here.
pub fn peak(args: &[*const c_char]) -> c_int {
    let &[_, _, command, ..] = args else { return 9 };
    // SAFETY: as in `run`.
    unsafe {
        let child = must(libc::fork().into(), c"fork") as libc::pid_t;
        if child == 0 {
            let nowhere = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            libc::dup2(nowhere, 1);
            libc::dup2(nowhere, 2);
            libc::execv(command, args.as_ptr().add(2));
            must(-1, c"execv");
        }
        let mut usage: libc::rusage = std::mem::zeroed();
        must(libc::wait4(child, null_mut(), 0, &mut usage).into(), c"wait4");
        let text = format!("{}\n", usage.ru_maxrss);
        libc::write(1, text.as_ptr().cast(), text.len());
    }
    0
}

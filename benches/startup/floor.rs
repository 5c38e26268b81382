//! The floor: the fewest kernel calls that give a container (pid, mount, uts, ipc and cgroup namespaces; NET: network;
//! CG: a group for cpu, memory and pids) around a directory, running a command. No allocation, no Rust runtime: it is
//! what a C program of fifty lines would do.
//!
//! `floor ROOT COMMAND [ARG...]`, with CG and NET in the environment.

use std::ffi::{CStr, c_char};

const CONTROLLERS: [&CStr; 3] = [c"/sys/fs/cgroup/cpu", c"/sys/fs/cgroup/memory", c"/sys/fs/cgroup/pids"];

macro_rules! must {
    ($call:expr) => {
        if ($call as i64) < 0 {
            libc::perror(concat!(stringify!($call), "\0").as_ptr().cast());
            libc::_exit(8);
        }
    };
}

/// A path in a buffer, without allocation.
unsafe fn path(buffer: &mut [c_char; 128], base: &CStr, pid: i32, file: &CStr) -> *const c_char {
    // SAFETY: snprintf writes at most as many bytes as the buffer has, and ends them with a zero.
    unsafe { libc::snprintf(buffer.as_mut_ptr(), 128, c"%s/floor%d%s".as_ptr(), base.as_ptr(), pid, file.as_ptr()) };
    buffer.as_ptr()
}

/// The parent makes groups, clones, waits, removes the groups.
///
/// # Safety
/// `argv` must be what the kernel passed: C strings, ended by a null pointer, at least three of them.
pub unsafe fn run(argv: *const *const c_char) -> i32 {
    // SAFETY: every pointer is to a live C string or to a local variable of the size that the call expects; the child
    // runs on its own copy of the memory (no CLONE_VM), and the process has one thread.
    unsafe {
        let groups = !libc::getenv(c"CG".as_ptr()).is_null();
        let network = !libc::getenv(c"NET".as_ptr()).is_null();
        let (mut buffer, mut pipe, me) = ([0; 128], [0; 2], libc::getpid());
        must!(libc::pipe(pipe.as_mut_ptr()));
        for base in CONTROLLERS.iter().filter(|_| groups) {
            must!(libc::mkdir(path(&mut buffer, base, me, c""), 0o755));
        }
        let kinds = libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC;
        let flags = kinds | libc::SIGCHLD | if network { libc::CLONE_NEWNET } else { 0 };
        let child = libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0);
        must!(child);
        if child == 0 {
            inside(argv, groups, me, &pipe);
        }
        libc::write(pipe[1], c"x".as_ptr().cast(), 1);
        let mut status = 0;
        libc::waitpid(child as i32, &raw mut status, 0);
        for base in CONTROLLERS.iter().filter(|_| groups) {
            must!(libc::rmdir(path(&mut buffer, base, me, c"")));
        }
        libc::WEXITSTATUS(status)
    }
}

/// The child: joins the groups, makes its root, becomes the command.
unsafe fn inside(argv: *const *const c_char, groups: bool, parent: i32, pipe: &[i32; 2]) -> ! {
    // SAFETY: as in `run`.
    unsafe {
        let (mut buffer, mut byte) = ([0; 128], 0u8);
        libc::close(pipe[1]);
        libc::read(pipe[0], (&raw mut byte).cast(), 1);
        for base in CONTROLLERS.iter().filter(|_| groups) {
            // A task that moves itself waits for no grace period; a write to cgroup.procs does.
            let file = libc::open(path(&mut buffer, base, parent, c"/tasks"), libc::O_WRONLY);
            must!(file);
            must!(libc::write(file, c"0".as_ptr().cast(), 1));
            libc::close(file);
        }
        let root = *argv.add(1);
        let (none, mount) = (std::ptr::null(), |kind: &CStr, target: &CStr, flags, data: *const c_char| {
            libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data.cast())
        });
        must!(libc::unshare(libc::CLONE_NEWCGROUP));
        must!(libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, std::ptr::null()));
        must!(libc::mount(root, root, none, libc::MS_BIND | libc::MS_REC, std::ptr::null()));
        must!(libc::chdir(root));
        must!(mount(c"proc", c"proc", 0, none));
        must!(mount(c"tmpfs", c"dev", 0, c"mode=755".as_ptr()));
        must!(libc::mkdir(c"dev/pts".as_ptr(), 0o755));
        must!(libc::mkdir(c"dev/shm".as_ptr(), 0o755));
        must!(mount(c"devpts", c"dev/pts", 0, c"newinstance,ptmxmode=0666".as_ptr()));
        must!(mount(c"tmpfs", c"dev/shm", 0, c"mode=1777".as_ptr()));
        must!(mount(c"sysfs", c"sys", libc::MS_RDONLY, none));
        must!(libc::mknod(c"dev/null".as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(1, 3)));
        must!(libc::mknod(c"dev/zero".as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(1, 5)));
        must!(libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()));
        must!(libc::umount2(c".".as_ptr(), libc::MNT_DETACH));
        must!(libc::chdir(c"/".as_ptr()));
        libc::sethostname(c"floor".as_ptr(), 5);
        libc::execv(*argv.add(2), argv.add(2));
        libc::perror(c"exec".as_ptr());
        libc::_exit(7)
    }
}

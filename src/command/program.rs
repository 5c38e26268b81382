//! Which file a command is: looked up in PATH inside the container, and looked into before it is executed, for two
//! reasons. execve(2) says "no such file" also when the file is there and its interpreter is missing; we say which.
//! And the interpreter may be a trap: see [`inspect`].

use crate::error::{Error, Result, code};
use crate::sys::exec::may_execute;
use crate::sys::fs::{self, Links};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The file that `name` means: itself when it has a slash in it, else the first in `path` that may be executed.
///
/// # Errors
/// Exit code 127 when there is none; 126 when there is one that may not be executed.
pub fn find(name: &str, path: &str) -> Result<PathBuf> {
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    let mut refused = None;
    for directory in path.split(':') {
        // An empty entry is the working directory (POSIX).
        let file = Path::new(if directory.is_empty() { "." } else { directory }).join(name);
        match may_execute(&file) {
            Ok(()) if !file.is_dir() => return Ok(file),
            Ok(()) => refused = refused.or(Some((file, Errno::EISDIR))),
            Err(Errno::EACCES) => refused = refused.or(Some((file, Errno::EACCES))),
            Err(_) => {}
        }
    }
    match refused {
        Some((file, errno)) if !name.is_empty() => Err(cannot_execute(Error::call(call(&file), errno), &file)),
        _ => Err(Error::new(format!("{name:?}: executable file not found in $PATH"))
            .why(format!("none of these directories of the container has it: {path}"))
            .hint("give its full path, or an image or --rootfs that has it")
            .exit(code::NOT_FOUND)),
    }
}

fn call(file: &Path) -> String {
    format!("execve({})", file.display())
}

/// How many interpreters the kernel follows (linux/fs/exec.c, exec_binprm).
const DEPTH: usize = 5;

/// Follows a program to its interpreters (`#!`, and the loader that an ELF file names), as execve(2) will, and refuses
/// a path that leads through a magic link of /proc.
///
/// Why: until execve(2) is done, /proc/self/exe of this process is the host's boxwright. A command, a `#!` line or a
/// loader that leads there would run that very file inside the container; then a process of the container's root
/// can open it through /proc/1/exe, keep it open, and overwrite the host's program when nobody runs it any more
/// (CVE-2019-5736). Whatever is reached without a magic link is a file of the container's own mounts, and no secret.
///
/// What this cannot see: a file that another container exchanges between this look and execve(2), in a directory that
/// both can write to, and an interpreter that the host registered by path in binfmt_misc and the image replaced by such
/// a link. In both cases it is our own program that runs as process 1, with arguments that begin with a file's name:
/// it ends at once, with an error about its usage, and all the container's processes with it.
///
/// # Errors
/// Exit code 127 for a missing file, 126 for one that cannot be executed or is refused.
pub fn inspect(program: &Path) -> Result<()> {
    let root = fs::open(Path::new("/"), OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
    let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let (mut file, mut needed_by) = (program.to_path_buf(), None);
    for _ in 0..DEPTH {
        let opened = open(&root, &cwd.join(&file)).map_err(|e| explain(e, &file, needed_by.as_ref()))?;
        match interpreter(&opened) {
            Some(next) => needed_by = Some((std::mem::replace(&mut file, next.path), next.kind)),
            None => return Ok(()),
        }
    }
    Err(Error::call(call(program), Errno::ELOOP)
        .why(format!("more than {DEPTH} interpreters, one needing the other"))
        .exit(code::CANNOT_EXECUTE))
}

fn open(root: &OwnedFd, file: &Path) -> Result<std::fs::File> {
    // O_NONBLOCK: a pipe by that name must not keep us waiting.
    let how = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let found = fs::open_in_root(root.as_fd(), file, OFlag::O_PATH, 0, Links::Inside)?;
    let kind = nix::sys::stat::fstat(&found).map_or(0, |s| s.st_mode & libc::S_IFMT);
    if kind == libc::S_IFDIR {
        return Err(Error::call(call(file), Errno::EISDIR));
    }
    if kind != libc::S_IFREG {
        return Err(Error::call(call(file), Errno::EACCES));
    }
    fs::open_in_root(root.as_fd(), file, how, 0, Links::Inside).map(std::fs::File::from)
}

/// What a file wants to be executed by.
struct Interpreter {
    path: PathBuf,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Script,
    Loader,
}

/// The interpreter of a file, if it has one that can be read. (A file that makes no sense is the kernel's to refuse.)
fn interpreter(file: &std::fs::File) -> Option<Interpreter> {
    let mut head = [0; 256]; // BINPRM_BUF_SIZE
    let n = file.read_at(&mut head, 0).ok()?;
    let head = &head[..n];
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|&b| b == b'\n' || b == 0).next()?;
        let mut words = line.split(|&b| b == b' ' || b == b'\t').filter(|w| !w.is_empty());
        let path = PathBuf::from(OsStr::from_bytes(words.next()?));
        return Some(Interpreter { path, kind: Kind::Script });
    }
    let loader = elf_loader(head, |buffer, at| file.read_exact_at(buffer, at).ok())?;
    Some(Interpreter { path: loader.into(), kind: Kind::Loader })
}

/// PT_INTERP of an ELF file (elf(5)), of this machine's byte order and either word size.
fn elf_loader(head: &[u8], read: impl Fn(&mut [u8], u64) -> Option<()>) -> Option<OsString> {
    const PT_INTERP: u64 = 3;
    const MOST_HEADERS: u64 = 65_536 / 56;
    let wide = match head.strip_prefix(b"\x7fELF")?.first()? {
        1 => false,
        2 => true,
        _ => return None,
    };
    let number = |bytes: &[u8], at: usize, size: usize| -> Option<u64> {
        let mut all = [0; 8];
        all[..size].copy_from_slice(bytes.get(at..at + size)?);
        Some(u64::from_le_bytes(all))
    };
    let (table, entry, count) = if wide {
        (number(head, 32, 8)?, number(head, 54, 2)?, number(head, 56, 2)?)
    } else {
        (number(head, 28, 4)?, number(head, 42, 2)?, number(head, 44, 2)?)
    };
    if entry != if wide { 56 } else { 32 } {
        return None;
    }
    let mut headers = vec![0; (count.min(MOST_HEADERS) * entry) as usize];
    read(&mut headers, table)?;
    for header in headers.chunks_exact(entry as usize) {
        if number(header, 0, 4)? == PT_INTERP {
            let (at, size) = if wide {
                (number(header, 8, 8)?, number(header, 32, 8)?)
            } else {
                (number(header, 4, 4)?, number(header, 16, 4)?)
            };
            let mut path = vec![0; size.min(libc::PATH_MAX as u64) as usize];
            read(&mut path, at)?;
            path.truncate(path.iter().position(|&b| b == 0).unwrap_or(path.len()));
            return Some(OsString::from_vec(path));
        }
    }
    None
}

/// An error of the walk, in the words of whoever wanted to run the command.
fn explain(e: Error, file: &Path, needed_by: Option<&(PathBuf, Kind)>) -> Error {
    let shown = file.display();
    match (e.errno(), needed_by) {
        (Some(Errno::ELOOP | Errno::EXDEV), _) => Error::call(call(file), Errno::ELOOP)
            .why(format!("{shown} leads through a magic link of /proc, by which the host's own boxwright could be overwritten (CVE-2019-5736); or in circles"))
            .hint("name the file itself")
            .exit(code::CANNOT_EXECUTE),
        (Some(Errno::ENOENT | Errno::ENOTDIR), Some((by, Kind::Script))) => Error::call(call(by), Errno::ENOENT)
            .why(format!("the file is there, but the interpreter of its first line, {shown}, is not in the container{}", carriage_return(file)))
            .hint("install that interpreter in the image, or change the first line")
            .exit(code::NOT_FOUND),
        (Some(Errno::ENOENT | Errno::ENOTDIR), Some((by, Kind::Loader))) => Error::call(call(by), Errno::ENOENT)
            .why(format!("the file is there, but its loader {shown} is not in the container: the program was linked for another C library or processor"))
            .hint("link it statically, or use an image with that C library (glibc's loader is not in Alpine, musl's only there)")
            .exit(code::NOT_FOUND),
        (Some(Errno::ENOENT | Errno::ENOTDIR), None) => Error::call(call(file), Errno::ENOENT)
            .why(format!("the container has no file {shown}"))
            .hint("give the name alone to have it looked up in PATH, or an image or --rootfs that has it")
            .exit(code::NOT_FOUND),
        _ => cannot_execute(e, file),
    }
}

/// The classic: a script saved with CR LF wants an interpreter whose name ends in CR.
fn carriage_return(file: &Path) -> &'static str {
    if file.as_os_str().as_bytes().ends_with(b"\r") {
        " (its name ends in a carriage return: the script has DOS line ends)"
    } else {
        ""
    }
}

/// Reasons and exit codes for an execve(2) that failed.
pub fn cannot_execute(e: Error, file: &Path) -> Error {
    let shown = file.display();
    let e = match e.errno() {
        Some(Errno::EISDIR) => e.why(format!("{shown} is a directory")).hint("name a program in it"),
        Some(Errno::EACCES) => e.why(format!(
            "{shown} is not executable (or not readable) for the container's user, or its file system is mounted noexec"
        ))
        .hint(format!("chmod a+rx {shown}; or for a script: sh {shown}")),
        Some(Errno::ENOEXEC) => e.why(format!(
            "{shown} is a program for another processor, or a script without a first line such as #!/bin/sh"
        ))
        .hint(format!("an image for this machine's architecture ({}); or for a script: sh {shown}", std::env::consts::ARCH)),
        Some(Errno::E2BIG) => e.why("the arguments and the environment are too long together (execve(2))"),
        Some(Errno::ETXTBSY) => e.why(format!("somebody has {shown} open for writing")),
        Some(Errno::EPERM) => {
            e.why("the set-user-id bit or file capabilities cannot be granted here, or a policy forbids it")
        }
        _ => e,
    };
    let code = if e.is(Errno::ENOENT) { code::NOT_FOUND } else { code::CANNOT_EXECUTE };
    e.exit(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(dir: &Path, name: &str, text: &[u8], mode: u32) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn found_in_path_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::create_dir_all(a.join("folder")).unwrap();
        std::fs::create_dir(&b).unwrap();
        file(&a, "plain", b"", 0o644);
        let wanted = file(&b, "plain", b"", 0o755);
        let path = format!("/nowhere:{}:{}", a.display(), b.display());
        assert_eq!(find("plain", &path).unwrap(), wanted);
        assert_eq!(find("x/y", &path).unwrap(), Path::new("x/y"));
        assert_eq!(find("folder", &path).unwrap_err().exit, 126);
        assert_eq!(find("missing", &path).unwrap_err().exit, 127);
        assert_eq!(find("", &path).unwrap_err().exit, 127);
        file(&a, "only", b"", 0o644);
        assert_eq!(find("only", &path).unwrap_err().exit, 126);
    }

    #[test]
    fn what_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let good = file(dir.path(), "good", b"#! /bin/sh -e\n", 0o755);
        inspect(&good).unwrap();
        let nested = file(dir.path(), "nested", format!("#!{}\n", good.display()).as_bytes(), 0o755);
        inspect(&nested).unwrap();
        let dos = file(dir.path(), "dos", b"#!/bin/sh\r\necho\r\n", 0o755);
        let e = inspect(&dos).unwrap_err();
        assert_eq!(e.exit, 127);
        assert!(e.why.unwrap().contains("DOS line ends"));
        let missing = file(dir.path(), "missing", b"#!/no/such/python\n", 0o755);
        assert!(inspect(&missing).unwrap_err().why.unwrap().contains("/no/such/python"));
        assert_eq!(inspect(Path::new("/no/such")).unwrap_err().exit, 127);
        assert_eq!(inspect(dir.path()).unwrap_err().exit, 126);
    }

    #[test]
    fn no_way_leads_to_our_own_program() {
        let dir = tempfile::tempdir().unwrap();
        let script = file(dir.path(), "script", b"#!/proc/self/exe\n", 0o755);
        let outer = file(dir.path(), "outer", format!("#!{}\n", script.display()).as_bytes(), 0o755);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/proc/self/exe", &link).unwrap();
        let around = file(dir.path(), "around", format!("#!{}\n", link.display()).as_bytes(), 0o755);
        let mut elf = std::fs::read("/proc/self/exe").unwrap_or_default();
        elf.truncate(64);
        elf[32..40].copy_from_slice(&64u64.to_le_bytes()); // e_phoff
        elf[54..56].copy_from_slice(&56u16.to_le_bytes()); // e_phentsize
        elf[56..58].copy_from_slice(&1u16.to_le_bytes()); // e_phnum
        let path = b"/proc/self/exe\0";
        let mut header = [0u8; 56];
        header[0] = 3; // PT_INTERP
        header[8..16].copy_from_slice(&120u64.to_le_bytes());
        header[32..40].copy_from_slice(&(path.len() as u64).to_le_bytes());
        elf.extend_from_slice(&header);
        elf.extend_from_slice(path);
        let loader = file(dir.path(), "loader", &elf, 0o755);
        for trap in [script, outer, link, around, loader, "/proc/self/exe".into(), "/proc/self/root/bin/sh".into()] {
            let e = inspect(&trap).unwrap_err();
            assert!(e.is(Errno::ELOOP) && e.exit == 126, "{}: {e}", trap.display());
        }
    }
}

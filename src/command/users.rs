//! Users and groups by name, from the /etc/passwd and /etc/group of the container (docker's `-u`). Read without
//! glibc's NSS, which would load libraries of the container into a process of the host.

use crate::error::{Error, Result};
use crate::sys::fs::{self, Links};
use nix::fcntl::OFlag;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Who a command runs as.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary group ids.
    pub groups: Vec<u32>,
    /// The home directory, if /etc/passwd knows one.
    pub home: Option<PathBuf>,
}

/// What the runtime-spec and docker allow for ids.
const LARGEST: u32 = i32::MAX as u32;

/// The user that `-u` means, by the files of the root filesystem that this process is in. `raw` is
/// `USER[:GROUP][+GROUP,…]`: names or numbers, and behind the plus sign what `--group-add` adds.
///
/// # Errors
/// A name that the container does not know, or an id out of range.
pub fn in_container(raw: &str) -> Result<User> {
    resolve(raw, &read("/etc/passwd"), &read("/etc/group"))
}

/// The home directory of a user id, by the root filesystem that this process is in.
pub fn home_of(uid: u32) -> Option<PathBuf> {
    accounts(&read("/etc/passwd")).find(|a| a.uid == uid).and_then(|a| a.home)
}

/// The name of a user id on the host, for /etc/subuid.
pub fn name_on_host(uid: u32) -> Option<String> {
    accounts(&read("/etc/passwd")).find(|a| a.uid == uid).map(|a| a.name)
}

/// A file that the image brings: a regular one and no link of /proc, of bounded size; else it counts as empty.
fn read(file: &str) -> String {
    const LIMIT: u64 = 16 << 20;
    let open = || -> Option<OwnedFd> {
        let root = fs::open(Path::new("/"), OFlag::O_PATH | OFlag::O_DIRECTORY, 0).ok()?;
        // O_NONBLOCK: a pipe by that name must not keep us waiting.
        let how = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let fd = fs::open_in_root(root.as_fd(), Path::new(file), how, 0, Links::Inside).ok()?;
        let kind = nix::sys::stat::fstat(&fd).ok()?.st_mode & libc::S_IFMT;
        (kind == libc::S_IFREG).then_some(fd)
    };
    let Some(fd) = open() else { return String::new() };
    let mut bytes = Vec::new();
    let _ = std::fs::File::from(fd).take(LIMIT).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

struct Account {
    name: String,
    uid: u32,
    gid: u32,
    home: Option<PathBuf>,
}

/// passwd(5). Lines that are none are left out.
fn accounts(passwd: &str) -> impl Iterator<Item = Account> + '_ {
    passwd.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let (name, _) = (fields.next()?.to_string(), fields.next()?);
        let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let home = fields.nth(1).filter(|h| h.starts_with('/')).map(PathBuf::from);
        Some(Account { name, uid, gid, home })
    })
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

/// group(5).
fn groups(group: &str) -> impl Iterator<Item = Group<'_>> {
    group.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let (name, _) = (fields.next()?, fields.next()?);
        Some(Group { name, gid: fields.next()?.parse().ok()?, members: fields.next().unwrap_or_default() })
    })
}

/// docker's rules: digits are an id, whether or not anybody has it; a user that is known brings its primary group and,
/// when no group is named, the groups that list it as a member.
fn resolve(raw: &str, passwd: &str, group: &str) -> Result<User> {
    let (who, added) = raw.split_once('+').unwrap_or((raw, ""));
    let (name, wanted_group) = who.split_once(':').unwrap_or((who, ""));
    let number = id(raw, if name.is_empty() { "0" } else { name })?;
    let account = accounts(passwd).find(|a| number.map_or(a.name == name, |n| a.uid == n));
    let mut user = match (&account, number) {
        (Some(a), _) => User { uid: a.uid, gid: a.gid, groups: vec![], home: a.home.clone() },
        (None, Some(uid)) => User { uid, ..User::default() },
        (None, None) => {
            return Err(Error::new(format!(
                "--user {raw}: unable to find user {name}: no matching entries in passwd file"
            ))
            .why("user names are looked up in the container's own /etc/passwd")
            .hint(format!("a number needs no entry: --user 1000:1000{}", known(accounts(passwd).map(|a| a.name)))));
        }
    };
    if !wanted_group.is_empty() {
        user.gid = group_id(raw, wanted_group, group)?;
    } else if let Some(account) = &account {
        let member = |g: &Group| g.members.split(',').any(|m| m.trim() == account.name);
        user.groups = groups(group).filter(member).map(|g| g.gid).collect();
    }
    for name in added.split(',').filter(|n| !n.is_empty()) {
        user.groups.push(group_id(raw, name, group)?);
    }
    user.groups.sort_unstable();
    user.groups.dedup();
    Ok(user)
}

fn group_id(raw: &str, name: &str, group: &str) -> Result<u32> {
    if let Some(gid) = id(raw, name)? {
        return Ok(gid);
    }
    groups(group).find(|g| g.name == name).map(|g| g.gid).ok_or_else(|| {
        Error::new(format!("--user {raw}: unable to find group {name}: no matching entries in group file"))
            .why("group names are looked up in the container's own /etc/group")
            .hint(format!("a number needs no entry{}", known(groups(group).map(|g| g.name.to_string()))))
    })
}

/// A number, or nothing when it is a name.
fn id(raw: &str, text: &str) -> Result<Option<u32>> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(n) if n <= LARGEST => Ok(Some(n)),
        _ => Err(Error::new(format!("--user {raw}: uids and gids must be in range 0-{LARGEST}"))),
    }
}

/// The first few names that there are.
fn known(names: impl Iterator<Item = String>) -> String {
    let some: Vec<String> = names.take(12).collect();
    if some.is_empty() { String::new() } else { format!("; known are {}", some.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\n# comment\nbroken:x\nweb:x:33:44:Web,,,:/srv/www:/bin/false\nnohome:x:7:7::\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,web\nweb:x:44:\ntape:x:26: web \nvideo:x:27:other,webster\n";

    fn user(raw: &str) -> (u32, u32, Vec<u32>) {
        let u = resolve(raw, PASSWD, GROUP).unwrap();
        (u.uid, u.gid, u.groups)
    }

    #[test]
    fn names_and_numbers() {
        assert_eq!(user("web"), (33, 44, vec![10, 26]));
        assert_eq!(user("33"), (33, 44, vec![10, 26]), "a known number is the same user");
        assert_eq!(user("web:video"), (33, 27, vec![]), "a named group silences the others");
        assert_eq!(user("web:99"), (33, 99, vec![]));
        assert_eq!(user("1234"), (1234, 0, vec![]));
        assert_eq!(user("1234:56"), (1234, 56, vec![]));
        assert_eq!(user(""), (0, 0, vec![10]));
        assert_eq!(user(":web"), (0, 44, vec![]));
        assert_eq!(user("0+tape,5"), (0, 0, vec![5, 10, 26]));
    }

    #[test]
    fn homes() {
        assert_eq!(resolve("web", PASSWD, GROUP).unwrap().home, Some("/srv/www".into()));
        assert_eq!(resolve("nohome", PASSWD, GROUP).unwrap().home, None);
        assert_eq!(resolve("1234", PASSWD, GROUP).unwrap().home, None);
    }

    #[test]
    fn the_unknown_is_named() {
        let what = |raw: &str| resolve(raw, PASSWD, GROUP).unwrap_err().what;
        assert!(what("nobody").contains("unable to find user nobody"));
        assert!(what("web:nobody").contains("unable to find group nobody"));
        assert!(what("4294967296").contains("in range"));
        assert!(what("-1").contains("in range"));
        assert!(what("0:2147483648").contains("in range"));
        assert!(resolve("root", "", "").unwrap_err().hint.unwrap().ends_with("1000:1000"));
    }
}

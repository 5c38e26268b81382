//! `-v`, `--mount` and `--tmpfs`, in docker's grammar, as mounts of the runtime-spec. What shows a volume is a bind
//! mount without a source as yet: where a volume's files are, [`crate::volume`] knows.

use crate::container::names;
use crate::error::{Error, Result};
use oci_spec::runtime as oci;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// A volume that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// None: an anonymous one, made for this container.
    pub name: Option<String>,
    /// Where in the container.
    pub destination: PathBuf,
    /// Shall it be filled, on its first use, with what the root filesystem has there?
    pub copy: bool,
    /// For a new one.
    pub labels: BTreeMap<String, String>,
}

/// `-v SOURCE:TARGET[:OPTION,…]`, `-v VOLUME:TARGET[:OPTION,…]`, `-v TARGET`.
///
/// # Errors
/// What is not of that form; a source that is missing; what cannot be a volume's name.
pub fn parse_volume(text: &str) -> Result<(oci::Mount, Option<Volume>)> {
    let flag = format!("-v {text}");
    let form = "-v /SOURCE:/TARGET, -v /SOURCE:/TARGET:ro, or -v VOLUME:/TARGET";
    let fields: Vec<&str> = text.split(':').collect();
    let (source, target, words) = match fields.as_slice() {
        [source, target] => (*source, *target, ""),
        [source, target, words] => (*source, *target, *words),
        [target] if target.starts_with('/') => return Bind::default().volume(&flag, None, target),
        _ => return Err(Error::new(format!("{flag}: not a volume")).hint(form)),
    };
    if source.is_empty() || target.is_empty() {
        return Err(Error::new(format!("{flag}: the source or the target is empty")).hint(form));
    }
    let mut options = Bind::default();
    for word in words.split(',').filter(|w| !w.is_empty()) {
        options.word(word).ok_or_else(|| {
            Error::new(format!("{flag}: no option `{word}`"))
                .hint("ro, rw, nocopy, z, Z, bind, rbind, nosuid, nodev, noexec, [r]private, [r]slave, [r]shared")
        })?;
    }
    // docker's rule: what begins like a path is one, and everything else is the name of a volume.
    if source.starts_with(['/', '.', '~']) {
        return Ok((options.mount(&flag, source, target)?, None));
    }
    options.volume(&flag, Some(source), target)
}

/// `--mount type=bind|volume|tmpfs,source=…,target=…,…`.
///
/// # Errors
/// As [`parse_volume`].
pub fn parse_mount(text: &str) -> Result<(oci::Mount, Option<Volume>)> {
    let flag = format!("--mount {text}");
    let (mut kind, mut source, mut target) = ("volume".to_string(), None, None);
    let (mut bind, mut tmpfs) = (Bind::default(), Vec::new());
    for field in comma_separated(text).ok_or_else(|| Error::new(format!("{flag}: a quote that is not closed")))? {
        let (key, value) = field.split_once('=').map_or((field.as_str(), None), |(k, v)| (k, Some(v)));
        let wanted = |what: &str| {
            value.filter(|v| !v.is_empty()).ok_or_else(|| Error::new(format!("{flag}: {key} wants {what}")))
        };
        match key.to_ascii_lowercase().as_str() {
            "type" => kind = wanted("bind, volume or tmpfs")?.to_ascii_lowercase(),
            "source" | "src" => source = Some(wanted("a path, or a volume's name")?.to_string()),
            "target" | "destination" | "dst" => target = Some(wanted("a path")?.to_string()),
            "readonly" | "ro" => bind.readonly = truth(&flag, key, value)?,
            "rw" => bind.readonly = !truth(&flag, key, value)?,
            "bind-propagation" => {
                let word = wanted("private, slave, shared, or one of them with an r before it")?;
                bind.propagation(word).ok_or_else(|| {
                    Error::new(format!("{flag}: no propagation `{word}`"))
                        .hint("private, rprivate, slave, rslave, shared, rshared")
                })?;
            }
            "bind-nonrecursive" => bind.recursive = !truth(&flag, key, value)?,
            "bind-recursive" => match wanted("enabled, disabled, writable or readonly")? {
                "enabled" | "readonly" => {}
                "disabled" => bind.recursive = false,
                "writable" => bind.below_writable = true,
                other => {
                    return Err(Error::new(format!("{flag}: bind-recursive={other} is not known"))
                        .hint("enabled, disabled, writable or readonly"));
                }
            },
            "consistency" | "relabel" => {}
            "volume-nocopy" => bind.copy = !truth(&flag, key, value)?,
            "volume-label" => {
                let (key, value) = wanted("KEY=VALUE")?.split_once('=').unwrap_or((value.unwrap_or_default(), ""));
                bind.labels.insert(key.into(), value.into());
            }
            "volume-driver" if value == Some("local") => {}
            "volume-driver" => {
                return Err(Error::new(format!("{flag}: no such driver")).hint("volume-driver=local, or leave it out"));
            }
            "volume-opt" => {
                return Err(Error::new(format!("{flag}: options are a volume's own"))
                    .why("a volume that is there already has its options; two containers could give it different ones")
                    .hint("boxwright volume create -o type=none -o o=bind -o device=/DIR NAME"));
            }
            "tmpfs-size" => tmpfs.push(format!("size={}", size(&flag, wanted("a size, such as 64m")?)?)),
            "tmpfs-mode" => tmpfs.push(format!("mode={}", mode(&flag, wanted("an octal mode, such as 1777")?)?)),
            "tmpfs-options" => tmpfs.extend(wanted("options")?.split(',').map(str::to_string)),
            _ => {
                return Err(Error::new(format!("{flag}: no field `{key}`"))
                    .hint("type, source, target, readonly, bind-propagation, bind-recursive, volume-nocopy, volume-label, tmpfs-size, tmpfs-mode"));
            }
        }
    }
    let target = target.ok_or_else(|| {
        Error::new(format!("{flag}: no target")).hint("--mount type=bind,source=/SOURCE,target=/TARGET")
    })?;
    let plain = |mount: Result<oci::Mount>| mount.map(|mount| (mount, None));
    match (kind.as_str(), source) {
        ("bind", Some(source)) => plain(bind.mount(&flag, &source, &target)),
        ("bind", None) => {
            Err(Error::new(format!("{flag}: no source")).hint("--mount type=bind,source=/SOURCE,target=/TARGET"))
        }
        ("tmpfs", None) => plain(tmpfs_mount(&flag, &target, bind.readonly, &tmpfs)),
        ("tmpfs", Some(_)) => Err(Error::new(format!("{flag}: a tmpfs has no source")).hint("leave it out")),
        ("volume", source) => bind.volume(&flag, source.as_deref(), &target),
        (other, _) => {
            Err(Error::new(format!("{flag}: no type `{other}`")).hint("type=bind, type=volume or type=tmpfs"))
        }
    }
}

/// `--tmpfs TARGET[:OPTION,…]`.
///
/// # Errors
/// A target that is no absolute path; an option that tmpfs does not know.
pub fn parse_tmpfs(text: &str) -> Result<oci::Mount> {
    let flag = format!("--tmpfs {text}");
    let (target, words) = text.split_once(':').unwrap_or((text, ""));
    let words: Vec<String> = words.split(',').filter(|w| !w.is_empty()).map(str::to_string).collect();
    tmpfs_mount(&flag, target, false, &words)
}

/// Words of the mount, and keys of tmpfs(5), that a tmpfs may have.
const TMPFS_WORDS: [&str; 16] = [
    "ro",
    "rw",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "sync",
    "async",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "strictatime",
];
const TMPFS_KEYS: [&str; 7] = ["mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol", "huge"];

fn tmpfs_mount(flag: &str, target: &str, readonly: bool, words: &[String]) -> Result<oci::Mount> {
    let mut options: Vec<String> = ["noexec", "nosuid", "nodev"].map(String::from).into();
    for word in words {
        match word.split_once('=') {
            Some(("size", value)) if value.ends_with('%') => options.push(word.clone()),
            Some(("size", value)) => options.push(format!("size={}", size(flag, value)?)),
            Some((key, _)) if TMPFS_KEYS.contains(&key) => options.push(word.clone()),
            None if TMPFS_WORDS.contains(&word.as_str()) => options.push(word.clone()),
            _ => {
                return Err(Error::new(format!("{flag}: a tmpfs has no option `{word}`"))
                    .hint("size=64m, mode=1777, uid=, gid=, nr_inodes=, ro, exec, suid, dev; see tmpfs(5)"));
            }
        }
    }
    if readonly {
        options.push("ro".into());
    }
    Ok(mount("tmpfs", "tmpfs".into(), destination(flag, target)?, options))
}

/// What can be said about a bind mount, and about a volume.
struct Bind {
    readonly: bool,
    recursive: bool,
    /// Read-only at the top only, as before there was mount_setattr(2).
    below_writable: bool,
    propagation: String,
    more: Vec<String>,
    /// Fill a new volume with what it covers.
    copy: bool,
    /// For a new volume.
    labels: BTreeMap<String, String>,
}

impl Default for Bind {
    fn default() -> Self {
        Bind {
            readonly: false,
            recursive: true,
            below_writable: false,
            propagation: "rprivate".into(),
            more: vec![],
            copy: true,
            labels: BTreeMap::new(),
        }
    }
}

impl Bind {
    fn word(&mut self, word: &str) -> Option<()> {
        match word {
            "ro" => self.readonly = true,
            "rw" => self.readonly = false,
            "bind" => self.recursive = false,
            "rbind" => self.recursive = true,
            "nosuid" | "suid" | "nodev" | "dev" | "noexec" | "exec" => self.more.push(word.into()),
            // SELinux labels and macOS caches: promises about what other systems do, true here without doing anything.
            "nocopy" => self.copy = false,
            "z" | "Z" | "consistent" | "cached" | "delegated" => {}
            other => return self.propagation(other),
        }
        Some(())
    }

    fn propagation(&mut self, word: &str) -> Option<()> {
        let known = ["private", "rprivate", "slave", "rslave", "shared", "rshared"];
        self.propagation = known.contains(&word).then(|| word.to_string())?;
        Some(())
    }

    fn mount(self, flag: &str, source: &str, target: &str) -> Result<oci::Mount> {
        let destination = destination(flag, target)?;
        let source = host_path(flag, source)?;
        Ok(self.bind(source, destination))
    }

    fn volume(self, flag: &str, name: Option<&str>, target: &str) -> Result<(oci::Mount, Option<Volume>)> {
        let destination = destination(flag, target)?;
        if let Some(name) = name {
            names::check(name).map_err(|e| {
                Error::new(format!("{flag}: {}", e.what))
                    .why("what does not begin with `/` or `.` is the name of a volume")
                    .hint("a letter or digit first, then letters, digits, `_`, `.` and `-`; or ./SOURCE:/TARGET for a path")
            })?;
        }
        let (name, copy, labels) = (name.map(str::to_string), self.copy, self.labels.clone());
        let volume = Volume { name, destination: destination.clone(), copy, labels };
        Ok((self.bind(PathBuf::new(), destination), Some(volume)))
    }

    fn bind(mut self, source: PathBuf, destination: PathBuf) -> oci::Mount {
        let mut options = vec![if self.recursive { "rbind" } else { "bind" }.to_string(), self.propagation];
        if self.readonly {
            options.push(if self.recursive && !self.below_writable { "rro" } else { "ro" }.into());
        }
        options.append(&mut self.more);
        mount("bind", source, destination, options)
    }
}

fn mount(kind: &str, source: PathBuf, destination: PathBuf, options: Vec<String>) -> oci::Mount {
    let mut m = oci::Mount::default();
    m.set_destination(destination).set_typ(Some(kind.into())).set_source(Some(source)).set_options(Some(options));
    m
}

/// A path of the host: relative ones begin at the working directory. It must be there: docker makes a missing one, and
/// a misspelt path is then found out as an empty directory that belongs to root.
fn host_path(flag: &str, source: &str) -> Result<PathBuf> {
    if source.starts_with('~') {
        return Err(Error::new(format!("{flag}: `~` is for a shell to replace")).hint("\"$HOME\"/… in place of ~/…"));
    }
    let path = std::path::absolute(source).map_err(|e| Error::io(format!("{flag}: getcwd()"), &e))?;
    match std::fs::metadata(&path) {
        Ok(_) => Ok(path),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::new(format!("{flag}: there is no {} on the host", path.display()))
                .why("the source of a mount must be there already")
                .hint(format!("mkdir {}, or correct the path", path.display())))
        }
        Err(e) => Err(Error::io(format!("{flag}: stat({})", path.display()), &e)),
    }
}

fn destination(flag: &str, target: &str) -> Result<PathBuf> {
    if !target.starts_with('/') {
        return Err(Error::new(format!("{flag}: the target `{target}` is not an absolute path"))
            .hint("a path in the container, such as /data"));
    }
    let mut clean = PathBuf::from("/");
    for component in Path::new(target).components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            _ => {}
        }
    }
    if clean == Path::new("/") {
        return Err(Error::new(format!("{flag}: the target is the root itself"))
            .why("a mount there would cover the whole container")
            .hint("--rootfs DIR makes DIR the root"));
    }
    Ok(clean)
}

fn truth(flag: &str, key: &str, value: Option<&str>) -> Result<bool> {
    match value {
        None | Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(other) => {
            Err(Error::new(format!("{flag}: {key}={other} is neither true nor false")).hint("true or false"))
        }
    }
}

/// A size as docker writes it (64m, 64MB, 1GiB, 4096), in bytes.
fn size(flag: &str, text: &str) -> Result<u64> {
    let lower = text.to_ascii_lowercase();
    let plain = lower.strip_suffix("ib").or(lower.strip_suffix('b')).unwrap_or(&lower);
    let digits = plain.trim_end_matches(['k', 'm', 'g', 't']);
    let shift = match &plain[digits.len()..] {
        "" => Some(0),
        "k" => Some(10),
        "m" => Some(20),
        "g" => Some(30),
        "t" => Some(40),
        _ => None,
    };
    let number: Option<u64> = digits.parse().ok();
    shift.zip(number).and_then(|(shift, n)| n.checked_mul(1 << shift)).filter(|&n| n > 0).ok_or_else(|| {
        Error::new(format!("{flag}: `{text}` is not a size")).hint("64m, 1g, 65536k or a number of bytes")
    })
}

fn mode(flag: &str, text: &str) -> Result<String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o7777 => Ok(format!("{mode:o}")),
        _ => Err(Error::new(format!("{flag}: `{text}` is not a mode")).hint("an octal number, such as 1777")),
    }
}

/// One line of comma-separated values (RFC 4180), which is how docker lets a path have a comma:
/// `"source=/a,b",target=/c`. None: a quote is not closed.
fn comma_separated(line: &str) -> Option<Vec<String>> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    fields.push(field);
    (!quoted).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(m: &oci::Mount) -> Vec<&str> {
        m.options().iter().flatten().map(String::as_str).collect()
    }

    #[test]
    fn volumes() {
        let parse_volume = |text| parse_volume(text).map(|(mount, _)| mount);
        let m = parse_volume("/tmp:/data:ro").unwrap();
        assert_eq!((m.source().as_deref(), m.destination().as_path()), (Some(Path::new("/tmp")), Path::new("/data")));
        assert_eq!(options(&m), ["rbind", "rprivate", "rro"]);
        assert_eq!(options(&parse_volume("/tmp:/data").unwrap()), ["rbind", "rprivate"]);
        assert_eq!(options(&parse_volume("/tmp:/d:z,rslave,noexec").unwrap()), ["rbind", "rslave", "noexec"]);
        assert_eq!(parse_volume("./:/a/../b/").unwrap().destination(), Path::new("/b"));
        let here = std::env::current_dir().unwrap();
        assert_eq!(parse_volume(".:/b").unwrap().source().as_deref(), Some(here.as_path()));
    }

    #[test]
    fn volumes_have_names_or_get_one() {
        let volume = |text| parse_volume(text).unwrap().1.unwrap();
        let named = volume("data:/a/../b:ro,nocopy");
        assert_eq!((named.name.as_deref(), named.destination.as_path()), (Some("data"), Path::new("/b")));
        assert!(!named.copy && volume("data:/b").copy);
        assert_eq!(volume("/b").name, None);
        assert_eq!(options(&parse_volume("data:/b:ro").unwrap().0), ["rbind", "rprivate", "rro"]);
        let volume = |text| parse_mount(text).unwrap().1.unwrap();
        let named = volume("source=data,target=/b,volume-nocopy,volume-label=a=b");
        assert_eq!((named.name.as_deref(), named.copy), (Some("data"), false));
        assert_eq!(named.labels["a"], "b");
        assert_eq!(volume("type=volume,dst=/b").name, None);
        assert_eq!(parse_mount("type=bind,src=/tmp,dst=/b").unwrap().1, None);
    }

    #[test]
    fn bad_volumes_are_named() {
        for (text, part) in [
            ("/nowhere/at/all:/data", "there is no /nowhere/at/all"),
            ("da ta:/data", "\"da ta\" cannot be a name"),
            ("data", "not a volume"),
            ("/tmp:data", "not an absolute path"),
            ("/tmp:/", "the root itself"),
            ("/tmp:/a/..", "the root itself"),
            ("/tmp:/data:bogus", "no option `bogus`"),
            ("/tmp:/data:ro:rw", "not a volume"),
            (":/data", "empty"),
            ("~/x:/data", "shell"),
        ] {
            let e = parse_volume(text).unwrap_err();
            assert!(e.what.starts_with(&format!("-v {text}: ")), "{e}");
            assert!(e.what.contains(part), "{e}");
            assert!(e.hint.is_some(), "{e}");
        }
    }

    #[test]
    fn mounts() {
        let parse_mount = |text| parse_mount(text).map(|(mount, _)| mount);
        let m = parse_mount("type=bind,src=/tmp,dst=/data,readonly,bind-propagation=slave").unwrap();
        assert_eq!(options(&m), ["rbind", "slave", "rro"]);
        let m = parse_mount("type=bind,source=/tmp,target=/data,ro=true,bind-recursive=writable").unwrap();
        assert_eq!(options(&m), ["rbind", "rprivate", "ro"]);
        let m = parse_mount("type=bind,source=/tmp,target=/data,bind-nonrecursive,ro=false").unwrap();
        assert_eq!(options(&m), ["bind", "rprivate"]);
        let m = parse_mount("type=tmpfs,destination=/t,tmpfs-size=64MB,tmpfs-mode=0770").unwrap();
        assert_eq!(options(&m), ["noexec", "nosuid", "nodev", "size=67108864", "mode=770"]);
        assert_eq!(m.typ().as_deref(), Some("tmpfs"));
        let m = parse_mount("type=bind,src=/tmp,\"dst=/a,b\"").unwrap();
        assert_eq!(m.destination(), Path::new("/a,b"));
    }

    #[test]
    fn bad_mounts_are_named() {
        for (text, part) in [
            ("src=/tmp,dst=/x", "cannot be a name"),
            ("src=data,dst=/x,volume-opt=a=b", "a volume's own"),
            ("src=data,dst=/x,volume-driver=nfs", "no such driver"),
            ("type=bind,src=/tmp", "no target"),
            ("type=bind,dst=/x", "no source"),
            ("type=bind,src=/tmp,dst=/x,bogus=1", "no field `bogus`"),
            ("type=bind,src=/tmp,dst=/x,ro=maybe", "neither true nor false"),
            ("type=nfs,src=/tmp,dst=/x", "no type `nfs`"),
            ("type=tmpfs,dst=/x,tmpfs-size=lots", "not a size"),
            ("type=tmpfs,dst=/x,tmpfs-mode=9", "not a mode"),
            ("type=bind,\"src=/tmp", "quote"),
        ] {
            let e = parse_mount(text).unwrap_err();
            assert!(e.what.starts_with(&format!("--mount {text}: ")) && e.what.contains(part), "{e}");
        }
    }

    #[test]
    fn tmpfs() {
        let m = parse_tmpfs("/run:rw,exec,size=64m,mode=755").unwrap();
        assert_eq!(options(&m), ["noexec", "nosuid", "nodev", "rw", "exec", "size=67108864", "mode=755"]);
        assert_eq!(
            crate::mounts::options(&options(&m)).set,
            crate::sys::mount::Attr::NOSUID | crate::sys::mount::Attr::NODEV
        );
        assert_eq!(options(&parse_tmpfs("/run:size=50%").unwrap())[3], "size=50%");
        assert!(parse_tmpfs("run").unwrap_err().what.contains("not an absolute path"));
        assert!(parse_tmpfs("/run:bogus=1").unwrap_err().what.contains("no option `bogus=1`"));
    }
}

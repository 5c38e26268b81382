//! Docker's profile files: OCI's `linux.seccomp` in JSON, with conditions (`includes`, `excludes`) under which a rule
//! counts: a capability of the container's, the architecture, the kernel's version.

use super::{Filter, arch::Arch};
use crate::caps::{self, Set};
use crate::error::{Error, Result};
use oci_spec::runtime as oci;
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: oci::LinuxSeccompAction,
    default_errno_ret: Option<u32>,
    architectures: Option<Vec<oci::Arch>>,
    arch_map: Option<Vec<ArchMap>>,
    flags: Option<Vec<oci::LinuxSeccompFilterFlag>>,
    listener_path: Option<std::path::PathBuf>,
    syscalls: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchMap {
    architecture: oci::Arch,
    sub_architectures: Option<Vec<oci::Arch>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    names: Option<Vec<String>>,
    /// As profiles had it before 2017.
    name: Option<String>,
    action: oci::LinuxSeccompAction,
    errno_ret: Option<u32>,
    args: Option<Vec<oci::LinuxSeccompArg>>,
    includes: Option<Conditions>,
    excludes: Option<Conditions>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Conditions {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// Reads a profile in docker's format and compiles it for a container with these capabilities (its bounding set).
///
/// # Errors
/// A file that cannot be read; JSON or a field that cannot be understood, with its place; what [`Filter::compile`]
/// refuses.
pub fn load(path: &Path, granted: Set) -> Result<Filter> {
    let file = path.display();
    let text = std::fs::read(path).map_err(|e| {
        Error::io(format!("open({file}) for --security-opt seccomp="), &e)
            .hint("seccomp=FILE with a profile in docker's JSON format, seccomp=builtin, or seccomp=unconfined")
    })?;
    let kernel = nix::sys::utsname::uname().ok().map(|u| u.release().to_string_lossy().into_owned());
    let machine = Machine { granted, arch: Arch::NATIVE, kernel: version(&kernel.unwrap_or_default()) };
    parse(&text, &machine).and_then(|profile| Filter::compile(&profile)).map_err(|mut e| {
        e.what = format!("--security-opt seccomp={file}: {}", e.what);
        e.hint("docs.docker.com/engine/security/seccomp describes the format")
    })
}

/// What the conditions are about.
pub(super) struct Machine {
    /// The container's bounding set.
    pub granted: Set,
    /// This program's architecture.
    pub arch: Arch,
    /// The kernel's version, two numbers; `None` when it has none.
    pub kernel: Option<(u32, u32)>,
}

/// The profile, for this container on this machine.
pub(super) fn parse(text: &[u8], machine: &Machine) -> Result<oci::LinuxSeccomp> {
    let profile: Profile = serde_json::from_slice(text).map_err(|e| Error::new(e.to_string()))?;
    let architectures = architectures(profile.architectures, profile.arch_map, machine.arch)?;
    let mut syscalls = Vec::new();
    for (i, entry) in profile.syscalls.unwrap_or_default().into_iter().enumerate() {
        let at = |e: Error| Error { what: format!("syscalls[{i}]: {}", e.what), ..e };
        if entry.counts(machine).map_err(at)? {
            syscalls.push(entry.into_oci().map_err(at)?);
        }
    }
    let mut all = oci::LinuxSeccomp::default();
    all.set_default_action(profile.default_action)
        .set_default_errno_ret(profile.default_errno_ret)
        .set_architectures(Some(architectures))
        .set_flags(profile.flags)
        .set_listener_path(profile.listener_path)
        .set_syscalls(Some(syscalls));
    Ok(all)
}

/// `archMap` says which architectures go together with the machine's own; the older `architectures` simply lists them.
fn architectures(list: Option<Vec<oci::Arch>>, map: Option<Vec<ArchMap>>, native: Arch) -> Result<Vec<oci::Arch>> {
    match (list.unwrap_or_default(), map.unwrap_or_default()) {
        (list, map) if map.is_empty() => Ok(list),
        (list, map) if list.is_empty() => {
            let own = map.into_iter().find(|m| Arch::from_oci(m.architecture) == Some(native));
            Ok(own.map_or_else(Vec::new, |m| [vec![m.architecture], m.sub_architectures.unwrap_or_default()].concat()))
        }
        _ => Err(Error::new("both `architectures` and `archMap`").why("they say the same thing in two ways")),
    }
}

impl Entry {
    /// All of `includes` must hold, and none of `excludes`.
    fn counts(&self, machine: &Machine) -> Result<bool> {
        let (mut counts, none) = (true, Conditions::default());
        for (conditions, wanted) in [(&self.includes, true), (&self.excludes, false)] {
            let Conditions { caps, arches, min_kernel } = conditions.as_ref().unwrap_or(&none);
            for cap in caps.iter().flatten() {
                // One that we do not know the container cannot have.
                counts &= caps::number(cap).is_some_and(|n| machine.granted.has(n)) == wanted;
            }
            if let Some(arches) = arches.as_ref().filter(|a| !a.is_empty()) {
                counts &= arches.iter().any(|a| a == machine.arch.docker_name()) == wanted;
            }
            if let Some(least) = min_kernel.as_ref().filter(|v| !v.is_empty()) {
                let least = version(least).ok_or_else(|| {
                    Error::new(format!("minKernel {least:?} is no version")).hint("two numbers, as in \"4.8\"")
                })?;
                counts &= machine.kernel.is_some_and(|kernel| kernel >= least) == wanted;
            }
        }
        Ok(counts)
    }

    fn into_oci(self) -> Result<oci::LinuxSyscall> {
        let names = match (self.names.unwrap_or_default(), self.name.filter(|n| !n.is_empty())) {
            (names, None) => names,
            (names, Some(name)) if names.is_empty() => vec![name],
            _ => return Err(Error::new("both `name` and `names`").hint("`names` alone")),
        };
        let mut call = oci::LinuxSyscall::default();
        call.set_names(names)
            .set_action(self.action)
            .set_errno_ret(self.errno_ret)
            .set_args(self.args.filter(|a| !a.is_empty()));
        Ok(call)
    }
}

/// The first two numbers of a version: `6.1.0-13-amd64` is 6.1.
pub(super) fn version(text: &str) -> Option<(u32, u32)> {
    let digits = |t: &str| t.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    let (major, rest) = text.split_once('.')?;
    Some((digits(major).filter(|_| major.chars().all(|c| c.is_ascii_digit()))?, digits(rest)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
            {"architecture": "SCMP_ARCH_RISCV64", "subArchitectures": null}
        ],
        "syscalls": [
            {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "args": null, "comment": "", "includes": {}, "excludes": {}},
            {"name": "ptrace", "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
            {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN", "CAP_BPF"]}},
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["arch_prctl"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "x32"]}},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["s390", "s390x"]},
             "args": [{"index": 0, "value": 2114060288, "op": "SCMP_CMP_MASKED_EQ"}]}
        ]
    }"#;

    fn names(granted: &[u8], arch: Arch, kernel: (u32, u32)) -> String {
        let machine = Machine { granted: Set::of(granted), arch, kernel: Some(kernel) };
        let profile = parse(TEXT.as_bytes(), &machine).unwrap();
        profile.syscalls().iter().flatten().flat_map(|s| s.names().clone()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn conditions_are_the_containers_and_the_machines() {
        assert_eq!(names(&[], Arch::X86_64, (6, 1)), "read write ptrace clone3 arch_prctl clone");
        assert_eq!(names(&[], Arch::Aarch64, (4, 7)), "read write clone3 clone");
        assert_eq!(names(&[caps::SYS_ADMIN], Arch::Aarch64, (4, 8)), "read write ptrace clone");
        assert_eq!(names(&[caps::SYS_ADMIN, caps::BPF], Arch::Aarch64, (5, 0)), "read write ptrace bpf clone");
    }

    #[test]
    fn the_map_gives_the_architectures_of_this_one() {
        let machine = Machine { granted: Set::EMPTY, arch: Arch::Aarch64, kernel: None };
        let profile = parse(TEXT.as_bytes(), &machine).unwrap();
        let arches = vec![oci::Arch::ScmpArchAarch64, oci::Arch::ScmpArchArm];
        assert_eq!(profile.architectures(), &Some(arches));
    }

    #[test]
    fn errors_name_the_file_and_the_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("p.json");
        let error = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let e = load(&file, Set::DOCKER).unwrap_err();
            assert!(e.hint.is_some());
            e.what.split_once("p.json: ").expect("the file is named").1.to_string()
        };
        let unknown = error("{\n \"defaultAction\": \"SCMP_ACT_NO\"\n}");
        assert!(unknown.contains("SCMP_ACT_NO") && unknown.contains("line 2"), "{unknown}");
        assert!(error("{}").contains("missing field `defaultAction`"));
        let one = |call: &str| format!("{{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [{call}]}}");
        let both = one(r#"{"action": "SCMP_ACT_ALLOW", "name": "a", "names": ["b"]}"#);
        assert_eq!(error(&both), "syscalls[0]: both `name` and `names`");
        let version = one(r#"{"action": "SCMP_ACT_ALLOW", "names": ["a"], "includes": {"minKernel": "new"}}"#);
        assert_eq!(error(&version), "syscalls[0]: minKernel \"new\" is no version");
        let notify = one(r#"{"action": "SCMP_ACT_NOTIFY", "names": ["mkdir"]}"#);
        assert!(error(&notify).contains("SCMP_ACT_NOTIFY for mkdir"));
        assert!(load(&dir.path().join("none"), Set::EMPTY).unwrap_err().is(nix::errno::Errno::ENOENT));
    }

    #[test]
    fn versions() {
        assert_eq!(version("6.1.0-13-amd64"), Some((6, 1)));
        assert_eq!(version("5.10-rc1"), Some((5, 10)));
        assert_eq!(version("x.1"), None);
        assert_eq!(version("6"), None);
    }
}

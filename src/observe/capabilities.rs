//! Capability sets by name. The kernel shows them as 64 bits in hexadecimal (/proc/PID/status).

/// By bit number (linux/capability.h), in lower case and without `CAP_`.
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// The names of the bits that are set. A bit that a newer kernel knows and we do not is `cap_NUMBER`.
pub fn names(hexadecimal: &str) -> Option<Vec<String>> {
    let bits = u64::from_str_radix(hexadecimal.trim(), 16).ok()?;
    let name = |n: usize| NAMES.get(n).map_or_else(|| format!("cap_{n}"), ToString::to_string);
    Some((0..64).filter(|n| bits >> n & 1 == 1).map(name).collect())
}

/// How many capabilities this kernel knows.
pub fn count() -> usize {
    let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").ok();
    last.and_then(|n| n.trim().parse::<usize>().ok()).map_or(NAMES.len(), |n| n + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_have_the_kernels_names() {
        let names = |h| names(h).unwrap_or_default().join(" ");
        assert_eq!(names("0000000000000000"), "");
        assert_eq!(names("0000000000200001"), "chown sys_admin");
        assert_eq!(names("0000020000000000"), "cap_41");
    }
}

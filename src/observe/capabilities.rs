//! Capability sets by name. The kernel shows them as 64 bits in hexadecimal (/proc/PID/status).

use crate::caps;

/// The names of the bits that are set. A bit that a newer kernel knows and we do not is its number.
pub fn names(hexadecimal: &str) -> Option<Vec<String>> {
    let bits = u64::from_str_radix(hexadecimal.trim(), 16).ok()?;
    let name = |n: u8| caps::name(n).trim_start_matches("CAP_").to_ascii_lowercase();
    Some((0..64).filter(|n| bits >> n & 1 == 1).map(name).collect())
}

/// How many capabilities this kernel knows.
pub fn count() -> usize {
    let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").ok();
    last.and_then(|n| n.trim().parse::<usize>().ok()).map_or(64, |n| n + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_have_the_kernels_names() {
        let names = |h| names(h).unwrap_or_default().join(" ");
        assert_eq!(names("0000000000000000"), "");
        assert_eq!(names("0000000000200001"), "chown sys_admin");
        assert_eq!(names("0000020000000000"), "41");
    }
}

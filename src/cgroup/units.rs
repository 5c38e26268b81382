//! The same limit in the units of OCI, v1 and v2.

/// CPU shares (v1 and OCI: 2…262144, normally 1024) as a weight (v2: 1…10000, normally 100).
///
/// The formula is the one that the runtimes agreed on in 2025: a quadratic in the logarithm that meets the smallest,
/// the normal and the largest value of both scales. The straight line used before made of 1024 a weight of 39, so that
/// a container with "normal" shares lost against its neighbours with normal weight.
pub fn shares_to_weight(shares: u64) -> u64 {
    let l = (shares.clamp(2, 262_144) as f64).log2();
    let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
    // 10^2 may come out as 100.00000000000001, which must not be rounded up to 101.
    let weight = 10f64.powf(exponent);
    (weight - 1e-6).ceil().clamp(1.0, 10_000.0) as u64
}

/// OCI's blkio weight (10…1000) as v2's io.weight (1…10000), on a straight line: OCI config-linux, "blockIO".
pub fn blkio_to_io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight.clamp(10, 1000)) - 10) * 9999 / 990
}

// ANCHOR: swap
/// OCI's `memory.swap` (memory and swap together) as v2's memory.swap.max (swap alone). -1 is unlimited.
///
/// `None` when there is nothing to write: no swap limit asked for, or no memory limit that it could be more than.
pub fn swap_alone(limit: Option<i64>, total: Option<i64>) -> Option<i64> {
    match (limit, total) {
        (_, None | Some(0)) => None,
        (_, Some(..0)) => Some(-1),
        (None | Some(..=0), Some(_)) => None,
        (Some(limit), Some(total)) => Some((total - limit).max(0)),
    }
}
// ANCHOR_END: swap

/// A number, or `max` for "unlimited" (any negative one).
pub fn or_max(n: i64) -> String {
    if n < 0 { "max".into() } else { n.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_meet_at_the_ends_and_at_the_normal_value() {
        assert_eq!([0, 2, 1024, 262_144, u64::MAX].map(shares_to_weight), [1, 1, 100, 10_000, 10_000]);
        assert_eq!([512, 2048].map(shares_to_weight), [59, 174]);
        assert!((2..262_144).step_by(97).all(|s| shares_to_weight(s) <= shares_to_weight(s + 97)));
        assert_eq!([10, 500, 1000].map(blkio_to_io_weight), [1, 4950, 10_000]);
    }

    #[test]
    fn swap() {
        assert_eq!(swap_alone(Some(64), Some(128)), Some(64));
        assert_eq!(swap_alone(Some(64), Some(64)), Some(0));
        assert_eq!(swap_alone(Some(64), Some(-1)), Some(-1));
        assert_eq!(swap_alone(Some(64), None), None);
        assert_eq!(swap_alone(None, Some(64)), None);
    }
}

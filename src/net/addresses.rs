//! Which addresses: a private subnet that overlaps nothing the host can reach, and in it one address for each
//! container. Addresses go round the subnet, because the last owner's cable may still be there for a moment after its
//! container (the kernel takes a dead network namespace apart later); and the hardware address follows from the
//! address, so that what neighbours have remembered of it is never wrong.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// A range of IPv4 addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Subnet {
    first: u32,
    prefix: u8,
}

impl Subnet {
    /// The subnet of `prefix` bits around an address; `None` past 32 bits.
    pub fn around(address: Ipv4Addr, prefix: u8) -> Option<Subnet> {
        let mask = mask(prefix)?;
        Some(Subnet { first: address.to_bits() & mask, prefix })
    }

    /// How many bits name it.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Its first address, which is its name.
    pub fn first(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first)
    }

    /// Its last address, to which broadcasts go.
    pub fn last(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first | !self.mask().to_bits())
    }

    /// 255.255.240.0 and the like.
    pub fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(mask(self.prefix).unwrap_or(u32::MAX))
    }

    /// The first address that a machine may have: the bridge's.
    pub fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first + 1)
    }

    /// Do they have an address in common?
    pub fn overlaps(self, other: Subnet) -> bool {
        let shorter = self.prefix.min(other.prefix);
        mask(shorter).is_some_and(|mask| self.first & mask == other.first & mask)
    }

    /// The addresses for containers, from the one behind `last` on and once around.
    pub fn after(self, last: Option<Ipv4Addr>) -> impl Iterator<Item = Ipv4Addr> {
        let (low, high) = (self.first + 2, self.last().to_bits() - 1);
        let count = high - low + 1;
        let start = last.map(Ipv4Addr::to_bits).filter(|l| (low..=high).contains(l)).map_or(0, |l| l - low + 1);
        (0..count).map(move |n| Ipv4Addr::from_bits(low + (start + n) % count))
    }
}

fn mask(prefix: u8) -> Option<u32> {
    match prefix {
        0 => Some(0),
        1..=32 => Some(u32::MAX << (32 - prefix)),
        _ => None,
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first(), self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = Error;
    fn from_str(s: &str) -> Result<Subnet> {
        let parts = s.split_once('/').and_then(|(a, p)| Subnet::around(a.parse().ok()?, p.parse().ok()?));
        parts.ok_or_else(|| Error::new(format!("{s:?} is no subnet such as 10.0.16.0/20")))
    }
}

impl From<Subnet> for String {
    fn from(s: Subnet) -> String {
        s.to_string()
    }
}

impl TryFrom<String> for Subnet {
    type Error = Error;
    fn try_from(s: String) -> Result<Subnet> {
        s.parse()
    }
}

/// A hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The hardware address that belongs to an address of ours: locally administered (the 2), then "b", then the
    /// address itself.
    pub fn of(address: Ipv4Addr) -> Mac {
        let [a, b, c, d] = address.octets();
        Mac([0x02, b'b', a, b, c, d])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: Vec<String> = self.0.iter().map(|b| format!("{b:02x}")).collect();
        f.write_str(&text.join(":"))
    }
}

/// How large our subnet is: 4093 containers, four times what a bridge has ports for, so that an address rests a while
/// before it is used again.
const PREFIX: u8 = 20;

/// Where we look for one: the ranges for private networks (RFC 1918), the roomiest first.
const POOLS: [(Ipv4Addr, u8); 3] =
    [(Ipv4Addr::new(10, 0, 0, 0), 8), (Ipv4Addr::new(172, 16, 0, 0), 12), (Ipv4Addr::new(192, 168, 0, 0), 16)];

/// A subnet that overlaps none of those `taken`. Where the search begins depends on `tag` (that of the state
/// directory), so that two boxwrights that look at the same moment find different ones.
///
/// # Errors
/// When all private ranges are taken.
pub fn choose(taken: &[Subnet], tag: &str) -> Result<Subnet> {
    let seed = u32::from_str_radix(tag.trim_start_matches('-'), 16).unwrap_or(DEFAULT_SEED);
    let candidates = POOLS.iter().flat_map(|&(first, prefix)| {
        let count = 1u32 << (PREFIX - prefix);
        (0..count).map(move |n| {
            let index = seed.wrapping_add(n) % count;
            Subnet { first: first.to_bits() + (index << (32 - PREFIX)), prefix: PREFIX }
        })
    });
    candidates.into_iter().find(|c| !taken.iter().any(|t| t.overlaps(*c))).ok_or_else(|| {
        Error::new("no private subnet is free for containers")
            .why("the host's addresses, routes and resolvers cover all of 10.0.0.0/8, 172.16.0.0/12 and 192.168.0.0/16")
            .hint("ip route shows them; --network none or host does without a subnet")
    })
}

/// 10.98.0.0/20: "b" as in the hardware addresses.
const DEFAULT_SEED: u32 = 98 << 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(s: &str) -> Subnet {
        s.parse().unwrap()
    }

    #[test]
    fn a_subnet_knows_its_ends() {
        let s = subnet("10.98.17.5/20");
        assert_eq!(s.to_string(), "10.98.16.0/20");
        assert_eq!(s.gateway(), Ipv4Addr::new(10, 98, 16, 1));
        assert_eq!(s.last(), Ipv4Addr::new(10, 98, 31, 255));
        assert_eq!(s.mask(), Ipv4Addr::new(255, 255, 240, 0));
        assert!("10.0.0.0/33".parse::<Subnet>().is_err());
        assert!("10.0.0.0".parse::<Subnet>().is_err());
    }

    #[test]
    fn overlap_is_symmetric_and_sees_the_larger_one() {
        for (a, b, expected) in [
            ("10.98.0.0/20", "10.0.0.0/8", true),
            ("10.98.0.0/20", "10.98.15.255/32", true),
            ("10.98.0.0/20", "10.98.16.0/20", false),
            ("0.0.0.0/0", "10.98.0.0/20", true),
        ] {
            assert_eq!(subnet(a).overlaps(subnet(b)), expected, "{a} {b}");
            assert_eq!(subnet(b).overlaps(subnet(a)), expected, "{b} {a}");
        }
    }

    #[test]
    fn the_choice_avoids_what_is_taken() {
        assert_eq!(choose(&[], "").unwrap(), subnet("10.98.0.0/20"));
        assert_eq!(choose(&[subnet("10.98.3.0/24")], "").unwrap(), subnet("10.98.16.0/20"));
        assert!(subnet("172.16.0.0/12").overlaps(choose(&[subnet("10.0.0.0/8")], "-deadbeef").unwrap()));
        let all = [subnet("10.0.0.0/8"), subnet("172.16.0.0/12"), subnet("192.168.0.0/16")];
        assert!(choose(&all, "").is_err());
        assert_ne!(choose(&[], "-00000001").unwrap(), choose(&[], "-00000002").unwrap());
    }

    #[test]
    fn addresses_go_round_and_skip_the_ends() {
        let s = subnet("10.0.0.0/29");
        let from =
            |last: Option<&str>| s.after(last.map(|l| l.parse().unwrap())).map(|a| a.octets()[3]).collect::<Vec<_>>();
        assert_eq!(from(None), [2, 3, 4, 5, 6]);
        assert_eq!(from(Some("10.0.0.4")), [5, 6, 2, 3, 4]);
        assert_eq!(from(Some("10.0.0.6")), [2, 3, 4, 5, 6]);
        assert_eq!(from(Some("192.168.0.4")), [2, 3, 4, 5, 6], "another subnet's address means nothing");
    }

    #[test]
    fn the_hardware_address_is_the_address() {
        assert_eq!(Mac::of(Ipv4Addr::new(10, 98, 0, 2)).to_string(), "02:62:0a:62:00:02");
    }
}

//! The root filesystem: the layers of an overlay, or the one file system that it is.

use super::scene::{Files, Line, Slab, Standing};
use super::{Portrait, namespaces};
use crate::observe::Fact;

/// How many layers are drawn one by one.
const MANY: usize = 4;

/// The files of the portrait.
pub fn files(p: &Portrait) -> Files {
    let fresh = namespaces::fresh(p);
    let overlays: Vec<Overlay> = fresh.iter().filter_map(|item| overlay(item)).collect();
    // The root itself; else what lies ready to become it.
    let found = overlays.iter().find(|o| o.target == "/").or(overlays.first());
    let what = p.one(Fact::Root).map(|root| root.split(", device").next().unwrap_or(root));
    let at_root = found.is_some_and(|o| o.target == "/");
    // An overlay on / that the caller has not got tells enough where the directory itself may not be looked at.
    let standing = if at_root { Standing::Own } else { Standing::of(p.shares(Fact::Root)) };
    let place = match (standing, what) {
        (Standing::Own, _) if at_root => Line::new("root", "all layers, merged"),
        (Standing::Unseen, _) | (_, None) => Line::new("unseen", "cannot be seen"),
        (Standing::Shared, _) => Line::new("root", "the host's root filesystem"),
        (Standing::Own, Some(what)) => Line::new("root", what),
    };
    let new = p.is_new(&[Fact::Root]);
    let Some(overlay) = found else {
        return Files { standing, new, place, ready: None, slabs: vec![] };
    };
    let mut slabs: Vec<Slab> = Vec::new();
    if let Some(upper) = overlay.upper {
        slabs.push(Slab { writable: true, name: "upper", path: Line::new("upper", upper) });
    }
    let lower = |path: &&str| Slab { writable: false, name: "lower", path: Line::new("lower", *path) };
    slabs.extend(overlay.lower.iter().take(MANY).map(lower));
    if overlay.lower.len() > MANY {
        let more = format!("and {} more", overlay.lower.len() - MANY);
        slabs.push(Slab { writable: false, name: "lower", path: Line::new("lower", more) });
    }
    // A mount that only the layers have brought is what `stack-layers` did.
    let brought = p.is_new(&[Fact::Mounts]) && !p.is_new(&[Fact::MntNs, Fact::NetNs, Fact::IpcNs]);
    let ready = (!at_root).then_some("layers that lie ready, merged");
    Files { standing, new: new || brought && !at_root, place, ready, slabs }
}

struct Overlay<'a> {
    target: &'a str,
    lower: Vec<&'a str>,
    upper: Option<&'a str>,
}

/// `target (overlay, source, rw,lowerdir=…:…,upperdir=…)`.
fn overlay(item: &str) -> Option<Overlay<'_>> {
    let (target, what) = item.strip_suffix(')')?.split_once(" (overlay, ")?;
    let option = |name: &str| what.split([',', ' ']).find_map(|o| o.strip_prefix(name)?.strip_prefix('='));
    // Since Linux 6.5 each layer may have an option of its own.
    let each = what.split([',', ' ']).filter_map(|o| o.strip_prefix("lowerdir+="));
    let lower = option("lowerdir").map_or_else(|| each.collect(), |all| all.split(':').collect());
    Some(Overlay { target, lower, upper: option("upperdir") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_of_an_overlay() {
        let o = overlay("/ (overlay, overlay, rw,relatime,lowerdir=/a:/b,upperdir=/c,workdir=/d)").expect("one");
        assert_eq!((o.target, o.lower, o.upper), ("/", vec!["/a", "/b"], Some("/c")));
        let o = overlay("/x (overlay, none, ro,lowerdir+=/a,lowerdir+=/b)").expect("one");
        assert_eq!((o.target, o.lower, o.upper), ("/x", vec!["/a", "/b"], None));
        assert!(overlay("/ (ext4, /dev/vda, rw,lowerdir=/a)").is_none());
    }
}

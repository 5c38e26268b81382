//! The words behind a mount in fstab's style (runtime-spec, "Linux mount options"), sorted by who understands them: the
//! mount itself, its propagation, or the file system.

use crate::sys::mount::{Attr, Propagation};

/// Mount options, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `bind` (false) or `rbind` (true: with all that is mounted below).
    pub bind: Option<bool>,
    /// Attributes for this mount.
    pub set: Attr,
    /// Bits to clear for them: only access times are a field of several bits, where setting one clears the others.
    pub clear: Attr,
    /// Attributes for this mount and all below it (`rro` and its like).
    pub deep_set: Attr,
    /// Attributes to take from it and all below it (`rrw` and its like).
    pub deep_clear: Attr,
    /// The propagation; with true also of all mounts below.
    pub propagation: Option<(Propagation, bool)>,
    /// The rest, for the file system.
    pub data: Vec<String>,
}

/// A word, the attribute it is about, and whether it sets it.
const ATTRIBUTES: [(&str, Attr, bool); 14] = [
    ("ro", Attr::RDONLY, true),
    ("rw", Attr::RDONLY, false),
    ("nosuid", Attr::NOSUID, true),
    ("suid", Attr::NOSUID, false),
    ("nodev", Attr::NODEV, true),
    ("dev", Attr::NODEV, false),
    ("noexec", Attr::NOEXEC, true),
    ("exec", Attr::NOEXEC, false),
    ("nodiratime", Attr::NODIRATIME, true),
    ("diratime", Attr::NODIRATIME, false),
    ("nosymfollow", Attr::NOSYMFOLLOW, true),
    ("symfollow", Attr::NOSYMFOLLOW, false),
    ("noatime", Attr::NOATIME, true),
    ("strictatime", Attr::STRICTATIME, true),
];

/// Words that ask for what is there without them.
const DEFAULTS: [&str; 9] =
    ["defaults", "relatime", "atime", "nostrictatime", "norelatime", "async", "nomand", "nolazytime", "silent"];

const PROPAGATION: [(&str, Propagation); 4] = [
    ("private", Propagation::Private),
    ("slave", Propagation::Slave),
    ("shared", Propagation::Shared),
    ("unbindable", Propagation::Unbindable),
];

/// Sorts the words. Of two that contradict each other the later one counts, as with mount(8).
pub fn options<S: AsRef<str>>(words: &[S]) -> Options {
    let mut o = Options::default();
    for word in words.iter().map(AsRef::as_ref) {
        let deep = word.strip_prefix('r').filter(|w| !w.is_empty());
        if let Some((attr, set)) = attribute(word) {
            // `rw` takes back an earlier `ro`. It does not ask for more than the source has: a bind of a read-only mount
            // stays read-only, as with docker.
            o.set = if set { o.set.without(field(attr)) | attr } else { o.set.without(attr) };
            o.clear = if Attr::ATIME.has(attr) && set { o.clear | Attr::ATIME } else { o.clear };
        } else if let Some((attr, set)) = deep.and_then(attribute) {
            let (into, from) =
                if set { (&mut o.deep_set, &mut o.deep_clear) } else { (&mut o.deep_clear, &mut o.deep_set) };
            *from = from.without(attr);
            *into = into.without(field(attr)) | attr;
            o.deep_clear = if Attr::ATIME.has(attr) { o.deep_clear | Attr::ATIME } else { o.deep_clear };
        } else if let Some(p) = propagation(word) {
            o.propagation = Some((p, false));
        } else if let Some(p) = deep.and_then(propagation) {
            o.propagation = Some((p, true));
        } else if word == "bind" || word == "rbind" {
            o.bind = Some(word == "rbind");
        } else if !word.is_empty() && !DEFAULTS.contains(&word) {
            o.data.push(word.to_string());
        }
    }
    o
}

fn attribute(word: &str) -> Option<(Attr, bool)> {
    ATTRIBUTES.iter().find(|(name, ..)| *name == word).map(|(_, attr, set)| (*attr, *set))
}

/// All bits of the field that an attribute belongs to.
fn field(attr: Attr) -> Attr {
    if Attr::ATIME.has(attr) { Attr::ATIME } else { attr }
}

fn propagation(word: &str) -> Option<Propagation> {
    PROPAGATION.iter().find(|(name, _)| *name == word).map(|(_, p)| *p)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Options {
        options(&text.split(',').collect::<Vec<_>>())
    }

    #[test]
    fn words_are_sorted_by_who_understands_them() {
        let o = parse("rbind,ro,nosuid,rslave,mode=755,size=65536k,gid=5");
        assert_eq!(o.bind, Some(true));
        assert_eq!(o.set, Attr::RDONLY | Attr::NOSUID);
        assert_eq!(o.propagation, Some((Propagation::Slave, true)));
        assert_eq!(o.data, ["mode=755", "size=65536k", "gid=5"]);
    }

    #[test]
    fn the_later_word_counts() {
        assert_eq!(parse("ro,rw").set, Attr::default());
        assert_eq!(parse("rw,ro").set, Attr::RDONLY);
        assert_eq!(parse("private,rshared").propagation, Some((Propagation::Shared, true)));
        let atime = parse("noatime,strictatime");
        assert_eq!((atime.set, atime.clear), (Attr::STRICTATIME, Attr::ATIME));
    }

    #[test]
    fn recursive_attributes_are_kept_apart() {
        let o = parse("bind,rro,rnosuid");
        assert_eq!((o.set, o.deep_set), (Attr::default(), Attr::RDONLY | Attr::NOSUID));
        assert_eq!(parse("rro,rrw").deep_clear, Attr::RDONLY);
        assert_eq!(parse("rro,rrw").deep_set, Attr::default());
    }

    #[test]
    fn defaults_say_nothing_and_the_unknown_goes_to_the_file_system() {
        assert_eq!(parse("defaults,relatime,async").data, Vec::<String>::new());
        assert_eq!(parse("bogus,huge=always").data, ["bogus", "huge=always"]);
        // An `r` alone, and words that only look like one of ours.
        assert_eq!(parse("r,rx,rsize=8").data, ["r", "rx", "rsize=8"]);
    }
}

//! How much room containers, images and volumes take, counted file by file, and said as docker says it.

use crate::container::store::Container;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a container has written: its layer.
pub fn of_layer(container: &Container<'_>) -> u64 {
    written(&container.dir().join("upper"))
}

/// How large its root is: the image, or the directory of --rootfs, and what it has written itself.
pub fn of_root(container: &Container<'_>) -> u64 {
    let below = match &container.record.options.rootfs {
        Some(dir) => written(Path::new(dir.to_string_lossy().trim_end_matches(":O"))),
        None => written(&container.state().lib.join("images")),
    };
    below + of_layer(container)
}

/// How many bytes are in the files below a directory, as far as they are on its file system.
pub fn written(dir: &Path) -> u64 {
    fn below(dir: &Path, device: u64) -> u64 {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let size = |e: std::fs::DirEntry| match e.metadata() {
            Ok(m) if m.is_dir() && m.dev() == device => below(&e.path(), device),
            Ok(m) if m.is_file() => m.len(),
            _ => 0,
        };
        entries.map(size).sum()
    }
    std::fs::metadata(dir).map_or(0, |m| below(dir, m.dev()))
}

/// docker's: powers of a thousand, three digits.
pub fn human_bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if value < 1000.0 || unit == "TB" {
            let digits = if value >= 100.0 || unit == "B" {
                0
            } else if value >= 10.0 {
                1
            } else {
                2
            };
            let number = format!("{value:.digits$}");
            let short = if digits > 0 { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
            return format!("{short}{unit}");
        }
        value /= 1000.0;
    }
    String::new()
}

//! Images: what a container's root filesystem is made of, and how its author wants it to be run. So far there is one, the
//! embedded [`host`]; a store of downloaded ones answers the same question ([`resolve`]) with the same [`Image`].

mod host;

use crate::error::{Error, Result};
use crate::state::State;
use oci_spec::runtime as oci;
use std::path::PathBuf;

/// An image, ready to be stacked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Image {
    /// Read-only directories, the topmost first.
    pub layers: Vec<PathBuf>,
    /// Mounts beside them.
    pub mounts: Vec<oci::Mount>,
    /// The environment, each `NAME=value`.
    pub env: Vec<String>,
    /// The command where none is given.
    pub command: Vec<String>,
    /// The working directory where none is given.
    pub workdir: Option<String>,
}

/// The image of that name. Its layers stay as they are until this process ends.
///
/// # Errors
/// An unknown name; a host whose programs cannot be shared.
pub fn resolve(reference: &str, state: &State) -> Result<Image> {
    match reference {
        "host" => host::image(state),
        "" => Err(Error::new("the name of an image is empty").hint("the image `host`, or --rootfs DIR")),
        unknown => Err(Error::new(format!("there is no image {unknown}"))
            .why("this version has no image store yet; its one image is `host`, the programs of this machine")
            .hint("the image `host`, or --rootfs DIR with an unpacked root filesystem")),
    }
}

/// Removes what a killed process has left half made.
pub fn sweep(state: &State) {
    host::sweep(state);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_image_is_named() {
        let state = State { run: "/nowhere".into(), lib: "/nowhere".into(), moved: true };
        let e = resolve("alpine:3.20", &state).unwrap_err();
        assert!(e.what.contains("alpine:3.20") && e.why.is_some() && e.hint.as_deref().unwrap().contains("--rootfs"));
    }
}

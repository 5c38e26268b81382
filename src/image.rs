//! Images: placeholder.
use crate::error::Result;
use crate::state::State;
use std::path::PathBuf;
/// An image.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// layers
    pub layers: Vec<PathBuf>,
    /// mounts
    pub mounts: Vec<oci_spec::runtime::Mount>,
    /// wd
    pub workdir: Option<String>,
    /// env
    pub env: Vec<String>,
    /// cmd
    pub command: Vec<String>,
}
/// resolve
pub fn resolve(_: &str, _: &State) -> Result<Image> {
    Ok(Image { layers: vec!["/".into()], command: vec!["sh".into()], ..Image::default() })
}

//! Capabilities: placeholder.
use crate::error::Result;
/// resolve
pub fn resolve(_: &[String], _: &[String], _: bool) -> Result<oci_spec::runtime::LinuxCapabilities> {
    Ok(Default::default())
}

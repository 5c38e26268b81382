//! Environment: placeholder.
use super::build::Options;
use crate::error::Result;
use crate::image::Image;
/// The environment.
pub fn build(options: &Options, _: Option<&Image>) -> Result<Vec<String>> {
    Ok([vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into()], options.env.clone()].concat())
}

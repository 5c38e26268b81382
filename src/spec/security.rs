//! `--security-opt` and `--privileged`.

use super::Seccomp;
use super::build::Options;
use crate::caps::Set;
use crate::error::{Error, Result};
use std::path::Path;

/// What they come to.
#[derive(Debug, Clone)]
pub struct Security {
    /// Which system calls.
    pub seccomp: Seccomp,
    /// May execve(2) give privileges (setuid programs)?
    pub no_new_privileges: bool,
    /// Are parts of /proc and /sys hidden?
    pub masked: bool,
}

/// docker's words, `key=value` or `key:value`. A profile depends on the capabilities that the container keeps.
///
/// # Errors
/// An option that is unknown, or that this program cannot do.
pub fn parse(options: &Options, bounding: Set) -> Result<Security> {
    let mut all = Security {
        seccomp: if options.privileged { Seccomp::Unconfined } else { Seccomp::Default },
        no_new_privileges: false,
        masked: !options.privileged,
    };
    for text in &options.security_opt {
        let (key, value) = text.split_once(['=', ':']).unwrap_or((text, ""));
        match (key, value) {
            ("no-new-privileges", "" | "true") => all.no_new_privileges = true,
            ("no-new-privileges", "false") => all.no_new_privileges = false,
            ("seccomp", "unconfined") => all.seccomp = Seccomp::Unconfined,
            ("seccomp", "builtin") => all.seccomp = Seccomp::Default,
            ("seccomp", file) if !file.is_empty() => {
                all.seccomp = Seccomp::Profile(Box::new(crate::seccomp::load(Path::new(file), bounding)?));
            }
            ("systempaths", "unconfined") => all.masked = false,
            ("apparmor" | "label", _) => {
                return Err(Error::new(format!("--security-opt {text}: not supported"))
                    .why("boxwright applies no AppArmor profile and no SELinux label")
                    .hint("leave it out; seccomp, capabilities and namespaces are in force"));
            }
            _ => {
                return Err(Error::new(format!("--security-opt {text}: no such option"))
                    .hint("seccomp=FILE, seccomp=unconfined, no-new-privileges, systempaths=unconfined"));
            }
        }
    }
    Ok(all)
}

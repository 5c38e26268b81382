//! The architectures whose system calls a process may make: its own, and the older ones that the kernel keeps alive
//! beside it.

use oci_spec::runtime as oci;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("src/seccomp/table.rs has the system calls of x86-64 and arm64, and none for this architecture yet");

/// One set of system call numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// x86-64.
    X86_64,
    /// i386: 32-bit programs, and `int 0x80` in any.
    X86,
    /// x32: x86-64 with 32-bit pointers, marked by a bit in the number. Most kernels leave it out.
    X32,
    /// arm64.
    Aarch64,
    /// 32-bit arm.
    Arm,
}

/// The bit that marks a call as x32's. Its `arch` is x86-64's.
pub const X32_BIT: u32 = 0x4000_0000;

impl Arch {
    /// This program's.
    #[cfg(target_arch = "x86_64")]
    pub const NATIVE: Arch = Arch::X86_64;
    /// This program's.
    #[cfg(target_arch = "aarch64")]
    pub const NATIVE: Arch = Arch::Aarch64;

    /// AUDIT_ARCH_* of linux/audit.h: what the kernel writes into `seccomp_data.arch`.
    pub const fn audit(self) -> u32 {
        match self {
            Arch::X86_64 | Arch::X32 => 0xc000_003e,
            Arch::X86 => 0x4000_0003,
            Arch::Aarch64 => 0xc000_00b7,
            Arch::Arm => 0x4000_0028,
        }
    }

    /// Are its arguments 64 bits wide? Where they are not, the kernel looks at the lower half only, whatever is in the
    /// upper one (a 64-bit program may say `int 0x80`), and so must a filter.
    pub const fn wide(self) -> bool {
        !matches!(self, Arch::X86 | Arch::Arm)
    }

    /// Can this kernel run programs of both?
    pub const fn is_beside(self, other: Arch) -> bool {
        matches!(self, Arch::Aarch64 | Arch::Arm) == matches!(other, Arch::Aarch64 | Arch::Arm)
    }

    /// OCI's name for it; `Native` is this program's. `None`: one that we have no numbers of.
    pub fn from_oci(arch: oci::Arch) -> Option<Arch> {
        Some(match arch {
            oci::Arch::ScmpArchNative => Arch::NATIVE,
            oci::Arch::ScmpArchX86_64 => Arch::X86_64,
            oci::Arch::ScmpArchX86 => Arch::X86,
            oci::Arch::ScmpArchX32 => Arch::X32,
            oci::Arch::ScmpArchAarch64 => Arch::Aarch64,
            oci::Arch::ScmpArchArm => Arch::Arm,
            _ => return None,
        })
    }

    /// Docker's name for it in a profile's `arches` (Go's, mostly).
    pub const fn docker_name(self) -> &'static str {
        match self {
            Arch::X86_64 => "amd64",
            Arch::X86 => "x86",
            Arch::X32 => "x32",
            Arch::Aarch64 => "arm64",
            Arch::Arm => "arm",
        }
    }
}

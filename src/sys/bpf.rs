//! bpf(2), as far as a device filter goes: the instructions it is made of, loading it, and attaching it to a cgroup.

use super::{call, check};
use crate::error::Result;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// linux/bpf.h, struct bpf_insn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Insn {
    code: u8,
    /// The destination in the lower half, the source in the upper one.
    registers: u8,
    offset: i16,
    value: i32,
}

impl Insn {
    /// Makes a jump go over that many instructions.
    pub fn aim(&mut self, over: i16) {
        if self.code & 0x07 == 0x05 && self.code != EXIT {
            self.offset = over;
        }
    }
}

const LOAD: u8 = 0x61; // BPF_LDX | BPF_MEM | BPF_W
const COPY: u8 = 0xbc; // BPF_ALU | BPF_MOV | BPF_X
const AND: u8 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const SHIFT_RIGHT: u8 = 0x74; // BPF_ALU | BPF_RSH | BPF_K
const SET: u8 = 0xb7; // BPF_ALU64 | BPF_MOV | BPF_K
const JUMP_IF_NOT: u8 = 0x55; // BPF_JMP | BPF_JNE | BPF_K
const JUMP_IF: u8 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const EXIT: u8 = 0x95; // BPF_JMP | BPF_EXIT

/// `to = *(u32 *)(from + offset)`
pub fn load(to: u8, from: u8, offset: i16) -> Insn {
    Insn { code: LOAD, registers: from << 4 | to, offset, value: 0 }
}

/// `to = from`
pub fn copy(to: u8, from: u8) -> Insn {
    Insn { code: COPY, registers: from << 4 | to, offset: 0, value: 0 }
}

/// `register &= value`
pub fn and(register: u8, value: i32) -> Insn {
    Insn { code: AND, registers: register, offset: 0, value }
}

/// `register >>= value`
pub fn shift_right(register: u8, value: i32) -> Insn {
    Insn { code: SHIFT_RIGHT, registers: register, offset: 0, value }
}

/// `register = value`
pub fn set(register: u8, value: i32) -> Insn {
    Insn { code: SET, registers: register, offset: 0, value }
}

/// `if register != value goto …` (see [`Insn::aim`])
pub fn jump_if_not(register: u8, value: i32) -> Insn {
    Insn { code: JUMP_IF_NOT, registers: register, offset: 0, value }
}

/// `if register == 0 goto …` (see [`Insn::aim`])
pub fn jump_if_zero(register: u8) -> Insn {
    Insn { code: JUMP_IF, registers: register, offset: 0, value: 0 }
}

/// `return R0`
pub fn exit() -> Insn {
    Insn { code: EXIT, registers: 0, offset: 0, value: 0 }
}

// linux/bpf.h.
const BPF_PROG_LOAD: i64 = 5;
const BPF_PROG_ATTACH: i64 = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

#[repr(C)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
}

#[repr(C)]
struct AttachAttr {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
}

/// bpf(2), BPF_PROG_LOAD of a BPF_PROG_TYPE_CGROUP_DEVICE: the kernel proves that the program ends and reads nothing
/// that it must not, and compiles it.
///
/// # Errors
/// EPERM without CAP_BPF, EINVAL or EACCES for a program that it refuses.
pub fn load_device_filter(program: &[Insn]) -> Result<OwnedFd> {
    let attr = LoadAttr {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: program.len() as u32,
        insns: program.as_ptr() as u64,
        // It calls none of the kernel's functions, so the kernel does not mind which.
        license: c"MIT".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kern_version: 0,
        prog_flags: 0,
    };
    let text = || {
        format!(
            "bpf(BPF_PROG_LOAD, {{prog_type=BPF_PROG_TYPE_CGROUP_DEVICE, insn_cnt={}, insns={:#x}, license=\"MIT\", \
             log_level=0, log_size=0, log_buf=NULL, kern_version=KERNEL_VERSION(0, 0, 0), prog_flags=0}}, {})",
            program.len(),
            attr.insns,
            size_of::<LoadAttr>()
        )
    };
    call(text, || {
        // SAFETY: the structure is the head of the kernel's union bpf_attr and has the size that is passed; the program
        // and the licence outlive the call. On success the kernel returns a new descriptor, which nobody else owns.
        let fd = check(unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const attr, size_of::<LoadAttr>()) })?;
        // SAFETY: as above.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
    })
}

/// bpf(2), BPF_PROG_ATTACH to a cgroup v2 directory, beside the programs that are attached above it (systemd's, say):
/// all of them have to say yes.
///
/// # Errors
/// EPERM without CAP_NET_ADMIN, EINVAL on a kernel without CONFIG_CGROUP_BPF.
pub fn attach_device_filter(program: &OwnedFd, cgroup: BorrowedFd<'_>) -> Result<()> {
    let attr = AttachAttr {
        target_fd: cgroup.as_raw_fd() as u32,
        attach_bpf_fd: program.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags: BPF_F_ALLOW_MULTI,
    };
    let text = || {
        format!(
            "bpf(BPF_PROG_ATTACH, {{target_fd={}, attach_bpf_fd={}, attach_type=BPF_CGROUP_DEVICE, \
             attach_flags=BPF_F_ALLOW_MULTI}}, {})",
            attr.target_fd,
            attr.attach_bpf_fd,
            size_of::<AttachAttr>()
        )
    };
    call(text, || {
        // SAFETY: the structure is the head of the kernel's union bpf_attr and has the size that is passed.
        check(unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_ATTACH, &raw const attr, size_of::<AttachAttr>()) })
            .map(drop)
    })
}

/// Runs a program as the kernel would, with R1 pointing to `context`.
#[cfg(test)]
pub fn interpret(program: &[Insn], context: &[u32]) -> u64 {
    let (mut r, mut at) = ([0u64; 11], 0);
    loop {
        let insn = program[at];
        let (to, from) = ((insn.registers & 15) as usize, (insn.registers >> 4) as usize);
        let value = insn.value as i64 as u64;
        at += 1;
        let jump = match insn.code {
            LOAD => {
                assert_eq!((from, r[1]), (1, 0), "reads through another pointer than R1");
                r[to] = context[insn.offset as usize / 4].into();
                false
            }
            COPY => {
                r[to] = r[from] & 0xffff_ffff;
                false
            }
            AND => {
                r[to] = r[to] & value & 0xffff_ffff;
                false
            }
            SHIFT_RIGHT => {
                r[to] = (r[to] & 0xffff_ffff) >> value;
                false
            }
            SET => {
                r[to] = value;
                false
            }
            JUMP_IF_NOT => r[to] != value,
            JUMP_IF => r[to] == value,
            EXIT => return r[0],
            code => panic!("no such instruction: {code:#x}"),
        };
        if jump {
            at += insn.offset as usize;
        }
    }
}

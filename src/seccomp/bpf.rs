//! A small assembler for classic BPF, the machine that runs a seccomp filter: one register, loads from a fixed
//! structure (`seccomp_data`), comparisons, jumps that only go forward, and a return value that says what happens to
//! the call. Because jumps go forward only, the program is written from its end to its beginning: whatever an
//! instruction jumps to is already there.

/// One instruction: `struct sock_filter` of linux/filter.h.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub code: u16,
    /// How many instructions to skip if the comparison holds.
    pub jt: u8,
    /// And if it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// `BPF_LD | BPF_W | BPF_ABS`: load the 32-bit word at offset k.
pub const LOAD: u16 = 0x20;
/// `BPF_ALU | BPF_AND | BPF_K`.
pub const AND: u16 = 0x54;
/// `BPF_JMP | BPF_JA`: skip k instructions.
pub const JUMP: u16 = 0x05;
/// `BPF_JMP | BPF_JEQ | BPF_K`.
pub const IF_EQ: u16 = 0x15;
/// `BPF_JMP | BPF_JGT | BPF_K`.
pub const IF_GT: u16 = 0x25;
/// `BPF_JMP | BPF_JGE | BPF_K`.
pub const IF_GE: u16 = 0x35;
/// `BPF_JMP | BPF_JSET | BPF_K`: is any of these bits set?
pub const IF_ANY: u16 = 0x45;
/// `BPF_RET | BPF_K`.
pub const RETURN: u16 = 0x06;

/// Offset of the call's number in `seccomp_data`.
pub const NUMBER: u32 = 0;
/// Offset of the architecture.
pub const ARCH: u32 = 4;

/// Offset of the lower half of an argument (both our architectures are little-endian).
pub const fn low_half(argument: u8) -> u32 {
    16 + 8 * argument as u32
}

/// Offset of the upper half.
pub const fn high_half(argument: u8) -> u32 {
    low_half(argument) + 4
}

/// A place in the program: how many instructions were written before it, which is how many stand behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label(usize);

/// Where a decision ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaf {
    /// With this return value.
    Return(u32),
    /// In code that has been written already.
    At(Label),
}

/// Numbers from each start on (until the next one) go to the leaf. The first start is 0.
pub type Ranges = Vec<(u32, Leaf)>;

/// Appends a range, unless it only continues the last one.
pub fn extend(ranges: &mut Ranges, start: u32, leaf: Leaf) {
    match ranges.last_mut() {
        Some(last) if last.1 == leaf => {}
        Some(last) if last.0 == start => {
            last.1 = leaf;
            // It may now continue the one before.
            if let [.., before, last] = ranges[..]
                && before.1 == last.1
            {
                ranges.pop();
            }
        }
        _ => ranges.push((start, leaf)),
    }
}

/// A program under construction.
#[derive(Debug, Default)]
pub struct Assembler {
    /// The last instruction first.
    reversed: Vec<Instruction>,
    /// The return instruction last written for each value.
    returns: Vec<(u32, Label)>,
}

/// A conditional jump has 8 bits for its distance; some room is left for what is written in between.
const FAR: usize = 250;

impl Assembler {
    /// An empty one, with room for a usual filter.
    pub fn new() -> Self {
        Assembler { reversed: Vec::with_capacity(512), returns: Vec::with_capacity(8) }
    }

    /// The finished program.
    pub fn finish(mut self) -> Vec<Instruction> {
        self.reversed.reverse();
        self.reversed
    }

    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Label {
        self.reversed.push(Instruction { code, jt, jf, k });
        Label(self.reversed.len() - 1)
    }

    /// How many instructions a jump written now would skip.
    fn distance(&self, to: Label) -> usize {
        self.reversed.len() - 1 - to.0
    }

    /// Return this value. One instruction serves all jumps that reach it.
    pub fn ret(&mut self, value: u32) -> Label {
        if let Some(&(_, at)) = self.returns.iter().find(|r| r.0 == value)
            && self.distance(at) < FAR
        {
            return at;
        }
        let at = self.push(RETURN, 0, 0, value);
        self.returns.retain(|r| r.0 != value);
        self.returns.push((value, at));
        at
    }

    /// The label of a leaf.
    pub fn leaf(&mut self, leaf: Leaf) -> Label {
        match leaf {
            Leaf::Return(value) => self.ret(value),
            Leaf::At(label) => label,
        }
    }

    /// The same place, or a stepping stone to it that a conditional jump can reach.
    fn near(&mut self, to: Label) -> Label {
        if self.distance(to) < FAR {
            return to;
        }
        match self.reversed[to.0] {
            Instruction { code: RETURN, k, .. } => self.ret(k),
            _ => self.push(JUMP, 0, 0, self.distance(to) as u32),
        }
    }

    /// Goes to `yes` or `no`, as the comparison says.
    pub fn branch(&mut self, code: u16, k: u32, yes: Label, no: Label) -> Label {
        if yes == no {
            return yes;
        }
        let yes = self.near(yes);
        let no = self.near(no);
        self.push(code, self.distance(yes) as u8, self.distance(no) as u8, k)
    }

    /// An instruction that goes on with `next`.
    fn then(&mut self, code: u16, k: u32, next: Label) -> Label {
        if self.distance(next) != 0 {
            self.push(JUMP, 0, 0, self.distance(next) as u32);
        }
        self.push(code, 0, 0, k)
    }

    /// Loads a word, then goes on with `next`.
    pub fn load(&mut self, offset: u32, next: Label) -> Label {
        self.then(LOAD, offset, next)
    }

    /// Keeps these bits of what was loaded, then goes on with `next`.
    pub fn and(&mut self, mask: u32, next: Label) -> Label {
        self.then(AND, mask, next)
    }

    /// A binary search for the loaded word. The kernel runs a new filter once for every call number there is (it
    /// remembers which are always allowed), so it is the depth that costs, at the start and never again.
    pub fn search(&mut self, ranges: &[(u32, Leaf)]) -> Label {
        match *ranges {
            [] => self.ret(super::KILL_PROCESS),
            [(_, leaf)] => self.leaf(leaf),
            // One number that differs from all around it takes one comparison, not two.
            [(_, around), (only, leaf), (after, same)] if around == same && after == only + 1 => {
                let no = self.leaf(around);
                let yes = self.leaf(leaf);
                self.branch(IF_EQ, only, yes, no)
            }
            _ => {
                let middle = split(ranges);
                let above = self.search(&ranges[middle..]);
                let below = self.search(&ranges[..middle]);
                self.branch(IF_GE, ranges[middle].0, above, below)
            }
        }
    }
}

/// Where to cut: in the middle, but not through a lone number when one step aside saves it.
fn split(ranges: &[(u32, Leaf)]) -> usize {
    let middle = ranges.len() / 2;
    let lone = |i: usize| {
        i > 0 && i + 1 < ranges.len() && ranges[i - 1].1 == ranges[i + 1].1 && ranges[i].0 + 1 == ranges[i + 1].0
    };
    match ranges.len() {
        4 if lone(1) => 3,
        4 if lone(2) => 1,
        _ => middle,
    }
}

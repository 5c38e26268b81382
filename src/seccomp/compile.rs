//! From rules to a program: first the architecture, then a binary search for the call's number, then, where a rule asks
//! for it, its arguments.

use super::arch::{Arch, X32_BIT};
use super::bpf::{self, Assembler, Instruction, Label, Leaf, Ranges, extend};
use std::ops::Range;

/// How an argument is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Not equal.
    Ne,
    /// Less than.
    Lt,
    /// Less than or equal.
    Le,
    /// Equal.
    Eq,
    /// Greater than or equal.
    Ge,
    /// Greater than.
    Gt,
    /// `argument & value == datum`.
    MaskedEq,
}

/// One test of one argument, unsigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Test {
    /// Which argument: 0 to 5.
    pub argument: u8,
    /// How.
    pub op: Op,
    /// With what; for [`Op::MaskedEq`] the mask.
    pub value: u64,
    /// For [`Op::MaskedEq`]: what the masked argument must be.
    pub datum: u64,
}

impl Test {
    /// A test without a mask.
    pub const fn new(argument: u8, op: Op, value: u64) -> Test {
        Test { argument, op, value, datum: 0 }
    }

    /// Does it hold for this argument?
    pub const fn holds(&self, argument: u64) -> bool {
        match self.op {
            Op::Ne => argument != self.value,
            Op::Lt => argument < self.value,
            Op::Le => argument <= self.value,
            Op::Eq => argument == self.value,
            Op::Ge => argument >= self.value,
            Op::Gt => argument > self.value,
            Op::MaskedEq => argument & self.value == self.datum,
        }
    }
}

/// When all tests hold, this is what happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule<'a> {
    /// All of them must hold; none: always.
    pub tests: &'a [Test],
    /// The filter's return value.
    pub action: u32,
}

/// What happens to one call, or to several in a row: the first rule that holds, else `otherwise`.
#[derive(Debug, Clone)]
pub struct Calls<'a> {
    /// Their numbers (without x32's bit).
    pub numbers: Range<u32>,
    /// The rules in order.
    pub rules: Vec<Rule<'a>>,
    /// When none holds.
    pub otherwise: u32,
}

/// The calls of one architecture.
#[derive(Debug, Clone)]
pub struct Section<'a> {
    /// Which one.
    pub arch: Arch,
    /// Those that the profile names, by number, each once.
    pub calls: Vec<Calls<'a>>,
    /// The highest number that the profile has an opinion on (arm's own calls apart).
    pub last: u32,
}

/// What happens to calls that no section has an opinion on.
#[derive(Debug, Clone, Copy)]
pub struct Fallback {
    /// A call that the profile does not name.
    pub unnamed: u32,
    /// A call newer than all that it names. A program that meets ENOSYS falls back to an older call; one that meets
    /// EPERM gives up, and so a profile would break with every new C library (runc has the same rule).
    pub newer: u32,
    /// Another architecture's.
    pub foreign: u32,
}

/// The first of arm's own calls (`__ARM_NR_BASE`), and the first number behind them.
pub const ARM_OWN: Range<u32> = 0xf_0000..0xf_0010;

// ANCHOR: program
/// The whole program.
pub fn program(sections: &[Section<'_>], fallback: Fallback) -> Vec<Instruction> {
    let mut asm = Assembler::new();
    let mut next = asm.ret(fallback.foreign);
    // Written from the end, so the first section (the native one) is also the first to be asked for.
    for section in sections.iter().rev().filter(|s| s.arch != Arch::X32) {
        let mut ranges = numbers(&mut asm, section, fallback);
        if section.arch == Arch::X86_64 {
            x32(&mut asm, sections, fallback, &mut ranges);
        }
        let search = asm.search(&ranges);
        let found = asm.load(bpf::NUMBER, search);
        next = asm.branch(bpf::IF_EQ, section.arch.audit(), found, next);
    }
    asm.load(bpf::ARCH, next);
    asm.finish()
}
// ANCHOR_END: program

/// Which number leads where.
fn numbers(asm: &mut Assembler, section: &Section<'_>, fallback: Fallback) -> Ranges {
    let (unnamed, newer) = (Leaf::Return(fallback.unnamed), Leaf::Return(fallback.newer));
    let mut ranges = Ranges::with_capacity(128);
    extend(&mut ranges, 0, unnamed);
    let own = section.calls.iter().position(|c| c.numbers.start >= ARM_OWN.start).unwrap_or(section.calls.len());
    let mut place = |ranges: &mut Ranges, calls: &[Calls<'_>]| {
        for call in calls {
            let leaf = arguments(asm, section.arch.wide(), call);
            extend(ranges, call.numbers.start, leaf);
            extend(ranges, call.numbers.end, unnamed);
        }
    };
    place(&mut ranges, &section.calls[..own]);
    extend(&mut ranges, section.last + 1, newer);
    if section.arch == Arch::Arm {
        extend(&mut ranges, ARM_OWN.start, unnamed);
        place(&mut ranges, &section.calls[own..]);
        extend(&mut ranges, ARM_OWN.end, newer);
    }
    ranges
}

/// x32's calls have x86-64's architecture, and their marker makes them the upper part of its numbers.
fn x32(asm: &mut Assembler, sections: &[Section<'_>], fallback: Fallback, ranges: &mut Ranges) {
    match sections.iter().find(|s| s.arch == Arch::X32) {
        None => extend(ranges, X32_BIT, Leaf::Return(fallback.foreign)),
        Some(section) => {
            for (start, leaf) in numbers(asm, section, fallback) {
                extend(ranges, X32_BIT + start, leaf);
            }
        }
    }
    // -1 is nobody's call: a tracer has put it there to have the real one skipped.
    extend(ranges, u32::MAX, Leaf::Return(fallback.newer));
}

/// The decision about one call.
fn arguments(asm: &mut Assembler, wide: bool, call: &Calls<'_>) -> Leaf {
    if call.rules.is_empty() {
        return Leaf::Return(call.otherwise);
    }
    if let Some(argument) = only_argument(&call.rules) {
        return Leaf::At(one_argument(asm, wide, call, argument));
    }
    let mut next = asm.ret(call.otherwise);
    for rule in call.rules.iter().rev() {
        let mut yes = asm.ret(rule.action);
        for test in rule.tests.iter().rev() {
            yes = compare(asm, wide, test, yes, next);
        }
        next = yes;
    }
    Leaf::At(next)
}

/// The argument that all rules are about, if each is a single comparison with a small number.
fn only_argument(rules: &[Rule<'_>]) -> Option<u8> {
    let [first, ..] = rules.first()?.tests else { return None };
    let simple = |t: &Test| t.argument == first.argument && t.op != Op::MaskedEq && t.value < u64::from(u32::MAX);
    rules.iter().all(|r| matches!(r.tests, [test] if simple(test))).then_some(first.argument)
}

/// Then the argument is searched for as the number was.
fn one_argument(asm: &mut Assembler, wide: bool, call: &Calls<'_>, argument: u8) -> Label {
    let decide = |value: u64| {
        let rule = call.rules.iter().find(|r| r.tests[0].holds(value));
        Leaf::Return(rule.map_or(call.otherwise, |r| r.action))
    };
    let mut starts: Vec<u32> = call.rules.iter().map(|r| r.tests[0].value as u32).flat_map(|v| [v, v + 1]).collect();
    starts.push(0);
    starts.sort_unstable();
    starts.dedup();
    let mut ranges = Ranges::with_capacity(starts.len());
    for start in starts {
        extend(&mut ranges, start, decide(start.into()));
    }
    let search = asm.search(&ranges);
    let low = asm.load(bpf::low_half(argument), search);
    if !wide {
        return low;
    }
    let large = asm.leaf(decide(1 << 32));
    let high = asm.branch(bpf::IF_EQ, 0, low, large);
    asm.load(bpf::high_half(argument), high)
}

/// One test; BPF's words have 32 bits, so a wide argument is compared in two halves.
fn compare(asm: &mut Assembler, wide: bool, test: &Test, yes: Label, no: Label) -> Label {
    match test.op {
        Op::Eq => masked(asm, wide, test.argument, (u64::MAX, test.value), yes, no),
        Op::Ne => masked(asm, wide, test.argument, (u64::MAX, test.value), no, yes),
        Op::MaskedEq => masked(asm, wide, test.argument, (test.value, test.datum), yes, no),
        Op::Gt => ordered(asm, wide, test, bpf::IF_GT, yes, no),
        Op::Le => ordered(asm, wide, test, bpf::IF_GT, no, yes),
        Op::Ge => ordered(asm, wide, test, bpf::IF_GE, yes, no),
        Op::Lt => ordered(asm, wide, test, bpf::IF_GE, no, yes),
    }
}

fn halves(value: u64) -> (u32, u32) {
    ((value >> 32) as u32, value as u32)
}

fn masked(asm: &mut Assembler, wide: bool, argument: u8, (mask, datum): (u64, u64), yes: Label, no: Label) -> Label {
    let (high_mask, low_mask) = halves(mask);
    let (high, low) = halves(datum);
    // A bit that the mask takes away, or that a narrow argument does not have, cannot be set.
    if datum & !mask != 0 || (!wide && high != 0) {
        return no;
    }
    let yes = masked_half(asm, bpf::low_half(argument), (low_mask, low), yes, no);
    if wide { masked_half(asm, bpf::high_half(argument), (high_mask, high), yes, no) } else { yes }
}

fn masked_half(asm: &mut Assembler, offset: u32, (mask, datum): (u32, u32), yes: Label, no: Label) -> Label {
    let test = match (mask, datum) {
        (0, _) => return yes,
        (u32::MAX, _) => asm.branch(bpf::IF_EQ, datum, yes, no),
        (_, 0) => asm.branch(bpf::IF_ANY, mask, no, yes),
        _ => {
            let equal = asm.branch(bpf::IF_EQ, datum, yes, no);
            asm.and(mask, equal)
        }
    };
    asm.load(offset, test)
}

/// `argument > value` or `argument >= value`, as `code` says: the upper halves decide, unless they are equal.
fn ordered(asm: &mut Assembler, wide: bool, test: &Test, code: u16, yes: Label, no: Label) -> Label {
    let (high, low) = halves(test.value);
    if !wide && high != 0 {
        return no;
    }
    let decide = asm.branch(code, low, yes, no);
    let low = asm.load(bpf::low_half(test.argument), decide);
    if !wide {
        return low;
    }
    let equal = asm.branch(bpf::IF_EQ, high, low, no);
    let decide = asm.branch(bpf::IF_GT, high, yes, equal);
    asm.load(bpf::high_half(test.argument), decide)
}

//! Netlink's language, as rtnetlink and nf_tables both speak it: a message is a header (length, type, flags, number),
//! a fixed structure of its type, and attributes, which may hold attributes. Several messages go out in one
//! [`Batch`]; the kernel works through them in order and answers with an errno (0: done) and, where it has one, a
//! sentence. Every name given here ends up in the trace, written beside the bytes by the same call.

use crate::error::{Error, Result};
use crate::sys::{netlink as sys, quoted, trace};
use nix::errno::Errno;
use std::os::fd::{AsFd, OwnedFd};

pub use crate::sys::netlink::Family;

/// A number of the kernel's with its name: a message type or an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// The number on the wire.
    pub number: u16,
    /// What the kernel's headers call it.
    pub name: &'static str,
}

/// Constants of type [`Name`], called what the kernel calls them.
macro_rules! names {
    ($($name:ident = $number:expr),* $(,)?) => {
        $(pub(crate) const $name: $crate::net::netlink::Name =
            $crate::net::netlink::Name { number: $number, name: stringify!($name) };)*
    };
}
pub(crate) use names;

/// Flags of a request (netlink(7)).
pub mod flag {
    /// It is a request.
    pub const REQUEST: u16 = 0x1;
    /// Answer also when it went well.
    pub const ACK: u16 = 0x4;
    /// Everything there is, in many messages.
    pub const DUMP: u16 = 0x300;
    /// Replace what is there.
    pub const REPLACE: u16 = 0x100;
    /// Only if it is not there yet.
    pub const EXCL: u16 = 0x200;
    /// Make it.
    pub const CREATE: u16 = 0x400;
    /// At the end of the list.
    pub const APPEND: u16 = 0x800;
}

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_MULTI: u16 = 0x2;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;
const NLA_F_NESTED: u16 = 0x8000;
const NLA_TYPE_MASK: u16 = 0x3fff;
const HEADER: usize = 16;

/// The attributes of a message that is being built.
#[derive(Debug, Default)]
pub struct Attributes {
    bytes: Vec<u8>,
    text: Vec<String>,
}

impl Attributes {
    fn put(&mut self, name: Name, value: &[u8], show: impl FnOnce() -> String) {
        let length = 4 + value.len();
        self.bytes.extend((length as u16).to_ne_bytes());
        self.bytes.extend(name.number.to_ne_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        if trace::on() {
            self.text.push(format!("[{{nla_len={length}, nla_type={}}}, {}]", name.name, show()));
        }
    }

    /// A string, with the zero byte that ends it.
    pub fn string(&mut self, name: Name, value: &str) {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.put(name, &bytes, || quoted(value));
    }

    /// Bytes, which `shown` renders (an address).
    pub fn bytes(&mut self, name: Name, value: &[u8], shown: impl std::fmt::Display) {
        self.put(name, value, || shown.to_string());
    }

    /// One byte.
    pub fn u8(&mut self, name: Name, value: u8) {
        self.put(name, &[value], || value.to_string());
    }

    /// A number in the machine's byte order (rtnetlink).
    pub fn u32(&mut self, name: Name, value: u32) {
        self.put(name, &value.to_ne_bytes(), || value.to_string());
    }

    /// A number in network byte order (nf_tables).
    pub fn be32(&mut self, name: Name, value: u32) {
        self.put(name, &value.to_be_bytes(), || value.to_string());
    }

    /// Attributes within an attribute.
    pub fn nest(&mut self, name: Name, fill: impl FnOnce(&mut Attributes)) {
        self.nest_after(name, &Fixed::default(), fill);
    }

    /// The same, with a summary for the trace in place of everything that is in it.
    pub fn nest_as(&mut self, name: Name, summary: impl std::fmt::Display, fill: impl FnOnce(&mut Attributes)) {
        let mut inner = Attributes::default();
        fill(&mut inner);
        self.put(nested(name), &inner.bytes, || format!("[/* {summary} */]"));
    }

    /// The same, behind a fixed structure.
    pub fn nest_after(&mut self, name: Name, fixed: &Fixed, fill: impl FnOnce(&mut Attributes)) {
        let mut inner = Attributes::default();
        fill(&mut inner);
        let value = [&fixed.bytes[..], &inner.bytes].concat();
        self.put(nested(name), &value, || {
            let before = if fixed.text.is_empty() { String::new() } else { format!("{}, ", fixed.text) };
            format!("{before}[{}]", inner.text.join(", "))
        });
    }
}

fn nested(name: Name) -> Name {
    Name { number: name.number | NLA_F_NESTED, ..name }
}

/// The fixed structure behind a message's header.
#[derive(Debug, Default, Clone)]
pub struct Fixed {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How strace shows it.
    pub text: String,
}

/// Messages that go to the kernel in one sendto(2).
#[derive(Debug, Default)]
pub struct Batch {
    messages: Vec<(Vec<u8>, String)>,
    about: Vec<String>,
}

impl Batch {
    /// Adds a message. `about` is what an error shows of it: `bw0123 in boxwright0`.
    pub fn add(&mut self, kind: Name, flags: u16, about: &str, fixed: Fixed, fill: impl FnOnce(&mut Attributes)) {
        let mut attributes = Attributes::default();
        fill(&mut attributes);
        let length = HEADER + fixed.bytes.len() + attributes.bytes.len();
        let mut bytes = Vec::with_capacity(length);
        bytes.extend((length as u32).to_ne_bytes());
        bytes.extend(kind.number.to_ne_bytes());
        bytes.extend((flags | flag::REQUEST).to_ne_bytes());
        // The number and the sender's port: the first is set when it is sent, the second by the kernel.
        bytes.extend([0; 8]);
        bytes.extend(&fixed.bytes);
        bytes.extend(&attributes.bytes);
        let mut text = String::new();
        if trace::on() {
            text = format!("{{nlmsg_len={length}, nlmsg_type={}, nlmsg_flags={}", kind.name, flag_names(kind, flags));
            text += &format!(", nlmsg_seq=%, nlmsg_pid=0}}, {}", fixed.text);
            if !attributes.text.is_empty() {
                text += &format!(", [{}]", attributes.text.join(", "));
            }
        }
        self.messages.push((bytes, text));
        let gap = if about.is_empty() { "" } else { ", " };
        self.about.push(format!("NETLINK, {}{gap}{about}", kind.name));
    }

    /// Asks for an answer to this message, which is otherwise only answered when it fails.
    fn acknowledge(&mut self, message: usize) {
        let (bytes, text) = &mut self.messages[message];
        bytes[6] |= flag::ACK as u8;
        *text = text.replacen("nlmsg_flags=NLM_F_REQUEST", "nlmsg_flags=NLM_F_REQUEST|NLM_F_ACK", 1);
    }

    fn number_from(&mut self, first: u32) {
        for (n, (bytes, text)) in (first..).zip(&mut self.messages) {
            bytes[8..12].copy_from_slice(&n.to_ne_bytes());
            *text = text.replacen('%', &n.to_string(), 1);
        }
    }

    /// What is behind the header of the first message.
    #[cfg(test)]
    pub fn first_payload(&self) -> Vec<u8> {
        self.messages[0].0[HEADER..].to_vec()
    }

    fn text(&self) -> String {
        match &self.messages[..] {
            [(_, one)] => format!("[{one}]"),
            many => format!("[{}]", many.iter().map(|(_, t)| format!("[{t}]")).collect::<Vec<_>>().join(", ")),
        }
    }
}

fn flag_names(kind: Name, flags: u16) -> String {
    let get = kind.name.contains("_GET");
    let all: &[(u16, &str)] = if get {
        &[(flag::ACK, "NLM_F_ACK"), (flag::DUMP, "NLM_F_DUMP")]
    } else {
        &[
            (flag::ACK, "NLM_F_ACK"),
            (flag::REPLACE, "NLM_F_REPLACE"),
            (flag::EXCL, "NLM_F_EXCL"),
            (flag::CREATE, "NLM_F_CREATE"),
            (flag::APPEND, "NLM_F_APPEND"),
        ]
    };
    let set = all.iter().filter(|(bits, _)| flags & bits == *bits).map(|(_, name)| *name);
    ["NLM_F_REQUEST"].into_iter().chain(set).collect::<Vec<_>>().join("|")
}

/// A conversation with the kernel.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    next: u32,
}

/// A message of the kernel's: its type, and what is behind the header.
pub type Answer = (u16, Vec<u8>);

/// A socket that another process of ours has opened.
impl From<OwnedFd> for Socket {
    fn from(fd: OwnedFd) -> Socket {
        Socket { fd, next: 1 }
    }
}

impl Socket {
    /// Opens one to the network namespace in which the process is now; it stays with that one.
    ///
    /// # Errors
    /// EPROTONOSUPPORT when the kernel lacks this family.
    pub fn open(family: Family) -> Result<Socket> {
        let fd = sys::socket(family)?;
        sys::explain_errors(fd.as_fd())?;
        Ok(fd.into())
    }

    /// The descriptor, to be given away.
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Has the kernel do all of it. A request that fails does not keep it from trying the next ones (nf_tables,
    /// though, does all or nothing); the first error is returned.
    ///
    /// # Errors
    /// As the kernel's answer has it: the message, what it was about, the kernel's own sentence and the errno.
    pub fn run(&mut self, mut batch: Batch) -> Result<()> {
        // The end mark of an nf_tables batch is not a request that could be answered.
        let last = batch.about.iter().rposition(|a| !a.ends_with("BATCH_END")).unwrap_or_default();
        batch.acknowledge(last);
        let first = self.send(&mut batch)?;
        let mut buffer = vec![0; 4096];
        loop {
            for message in self.receive(&mut buffer)? {
                let Some(index) = index_of(&message, first, &batch) else { continue };
                check_answer(&message, &batch.about[index])?;
                if index == last {
                    return Ok(());
                }
            }
        }
    }

    /// Asks for what there is: one thing, or with [`flag::DUMP`] everything of a kind.
    ///
    /// # Errors
    /// ENODEV, ENOENT… when there is no such thing.
    pub fn ask(
        &mut self,
        kind: Name,
        flags: u16,
        about: &str,
        fixed: Fixed,
        fill: impl Fn(&mut Attributes),
    ) -> Result<Vec<Answer>> {
        // A list that changes while it is read is marked so, and read again; a few times, because it must end.
        let mut tries = 5;
        loop {
            tries -= 1;
            let mut batch = Batch::default();
            batch.add(kind, flags, about, fixed.clone(), &fill);
            let first = self.send(&mut batch)?;
            let (answers, torn) = self.collect(first, &batch)?;
            if !torn || tries == 0 {
                return Ok(answers);
            }
        }
    }

    fn collect(&mut self, first: u32, batch: &Batch) -> Result<(Vec<Answer>, bool)> {
        let (mut answers, mut torn) = (Vec::new(), false);
        // What the kernel itself prefers for a dump.
        let mut buffer = vec![0; 32 << 10];
        loop {
            for message in self.receive(&mut buffer)? {
                if index_of(&message, first, batch).is_none() {
                    continue;
                }
                check_answer(&message, &batch.about[0])?;
                torn |= message.flags & NLM_F_DUMP_INTR != 0;
                if matches!(message.kind, NLMSG_DONE | NLMSG_ERROR) {
                    return Ok((answers, torn));
                }
                answers.push((message.kind, message.payload.to_vec()));
                if message.flags & NLM_F_MULTI == 0 {
                    return Ok((answers, torn));
                }
            }
        }
    }

    fn send(&mut self, batch: &mut Batch) -> Result<u32> {
        let first = self.next;
        batch.number_from(first);
        self.next += batch.messages.len() as u32;
        let bytes = batch.messages.iter().flat_map(|(bytes, _)| bytes.iter().copied()).collect::<Vec<u8>>();
        sys::send(self.fd.as_fd(), &bytes, || batch.text())?;
        Ok(first)
    }

    fn receive<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Vec<Received<'b>>> {
        let n = sys::receive(self.fd.as_fd(), buffer, show_answer)?;
        Ok(split(&buffer[..n]))
    }
}

struct Received<'b> {
    kind: u16,
    flags: u16,
    number: u32,
    payload: &'b [u8],
}

/// Which message of the batch this answers; `None`: an answer to an earlier one that nobody waited for.
fn index_of(message: &Received<'_>, first: u32, batch: &Batch) -> Option<usize> {
    let index = message.number.checked_sub(first)? as usize;
    (index < batch.messages.len()).then_some(index)
}

fn split(mut bytes: &[u8]) -> Vec<Received<'_>> {
    let mut all = Vec::new();
    while let (Some(length), Some(kind), Some(flags), Some(number)) =
        (u32_at(bytes, 0), u16_at(bytes, 4), u16_at(bytes, 6), u32_at(bytes, 8))
    {
        let length = length as usize;
        let Some(payload) = bytes.get(HEADER..length) else { break };
        all.push(Received { kind, flags, number, payload });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    all
}

/// An answer that says no becomes an error.
fn check_answer(message: &Received<'_>, about: &str) -> Result<()> {
    if message.kind != NLMSG_ERROR {
        return Ok(());
    }
    let code = u32_at(message.payload, 0).map_or(0, |raw| raw as i32);
    if code == 0 {
        return Ok(());
    }
    // The kernel's sentence stands with the call, as a comment, so that our own reason can follow it.
    let sentence = sentence(message).map(|s| format!(" /* {s} */")).unwrap_or_default();
    Err(Error::call(format!("sendto({about}{sentence})"), Errno::from_raw(-code)))
}

/// The sentence of an extended acknowledgement.
fn sentence(message: &Received<'_>) -> Option<String> {
    if message.flags & NLM_F_ACK_TLVS == 0 {
        return None;
    }
    let request = if message.flags & NLM_F_CAPPED != 0 { HEADER } else { u32_at(message.payload, 4)? as usize };
    let tail = message.payload.get(4 + request.next_multiple_of(4)..)?;
    string(find(tail, NLMSGERR_ATTR_MSG)?)
}

fn show_answer(bytes: &[u8]) -> String {
    let show = |m: &Received<'_>| {
        let kind = match m.kind {
            NLMSG_ERROR => "NLMSG_ERROR".into(),
            NLMSG_DONE => "NLMSG_DONE".into(),
            other => format!("{other:#x}"),
        };
        let head =
            format!("{{nlmsg_len={}, nlmsg_type={kind}, nlmsg_seq={}, ...}}", HEADER + m.payload.len(), m.number);
        let code = u32_at(m.payload, 0).map_or(0, |raw| raw as i32);
        match (m.kind, code) {
            (NLMSG_ERROR, 0) => format!("{head}, {{error=0, ...}}"),
            (NLMSG_ERROR, code) => format!("{head}, {{error=-{:?}, ...}}", Errno::from_raw(-code)),
            _ => format!("{head}, ..."),
        }
    };
    match &split(bytes)[..] {
        [one] => format!("[{}]", show(one)),
        many => format!("[{}]", many.iter().map(|m| format!("[{}]", show(m))).collect::<Vec<_>>().join(", ")),
    }
}

/// The attributes in what the kernel sent: number and value.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let number = u16_at(bytes, 2)? & NLA_TYPE_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((number, value))
    })
}

/// The first attribute with that number.
pub fn find(bytes: &[u8], number: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(n, _)| *n == number).map(|(_, value)| value)
}

/// A string, without the zero byte that ends it.
pub fn string(value: &[u8]) -> Option<String> {
    let end = value.iter().position(|&b| b == 0).unwrap_or(value.len());
    String::from_utf8(value[..end].to_vec()).ok()
}

/// Two bytes at an offset, in the machine's order.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// Four bytes at an offset, in the machine's order.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    names! { PLAIN = 3, OUTER = 18, INNER = 1, NUMBER = 2, ASK = 16 }

    #[test]
    fn attributes_are_padded_and_nested() {
        let mut a = Attributes::default();
        a.string(PLAIN, "eth0");
        a.nest(OUTER, |a| {
            a.u8(INNER, 7);
            a.be32(NUMBER, 1);
        });
        assert_eq!(&a.bytes[..12], &[9, 0, 3, 0, b'e', b't', b'h', b'0', 0, 0, 0, 0]);
        let read: Vec<_> = attributes(&a.bytes).collect();
        assert_eq!(read[0], (3, &b"eth0\0"[..]));
        assert_eq!(read[1].0, 18, "the nested bit is no part of the number");
        assert_eq!(find(read[1].1, 1), Some(&[7][..]));
        assert_eq!(find(read[1].1, 2), Some(&[0, 0, 0, 1][..]));
        assert_eq!(string(find(&a.bytes, 3).unwrap_or_default()).as_deref(), Some("eth0"));
    }

    #[test]
    fn a_cut_off_attribute_ends_the_list() {
        assert_eq!(attributes(&[9, 0, 3, 0, b'e']).count(), 0);
        assert_eq!(attributes(&[0, 0, 0, 0]).count(), 0, "a length below four is none");
    }

    #[test]
    fn a_refusal_shows_the_message_and_the_kernels_sentence() {
        let mut tail = Attributes::default();
        tail.string(Name { number: NLMSGERR_ATTR_MSG, name: "" }, "Unknown device type");
        let mut payload = (-libc::EOPNOTSUPP).to_ne_bytes().to_vec();
        payload.extend([0; HEADER]);
        payload.extend(&tail.bytes);
        let flags = NLM_F_CAPPED | NLM_F_ACK_TLVS;
        let message = Received { kind: NLMSG_ERROR, flags, number: 1, payload: &payload };
        let e = check_answer(&message, "NETLINK, RTM_NEWLINK, bw01").unwrap_err();
        assert!(e.is(Errno::EOPNOTSUPP));
        assert_eq!(e.what, "sendto(NETLINK, RTM_NEWLINK, bw01 /* Unknown device type */)");
    }

    #[test]
    fn a_batch_numbers_its_messages() {
        let mut batch = Batch::default();
        for _ in 0..2 {
            batch.add(ASK, flag::CREATE, "", Fixed { bytes: vec![0; 4], text: String::new() }, |_| {});
        }
        batch.number_from(7);
        let numbers: Vec<_> = batch.messages.iter().map(|(b, _)| u32_at(b, 8)).collect();
        assert_eq!(numbers, [Some(7), Some(8)]);
        assert_eq!(u16_at(&batch.messages[0].0, 6), Some(flag::REQUEST | flag::CREATE));
    }
}

//! nf_tables' language (nft(8) speaks the same one): a rule is a list of small expressions. One loads something of the
//! packet into a register, the next masks or compares it, and the last decides. Here they are written as an enum, which
//! can be turned into attributes, read back from the kernel's, and shown as nft would show it.

use super::addresses::Subnet;
use super::netlink::{Attributes, Batch, Fixed, Name, attributes, find, flag, names, string};
use std::net::Ipv4Addr;

const fn nft(message: u16, name: &'static str) -> Name {
    const NFNL_SUBSYS_NFTABLES: u16 = 10;
    Name { number: NFNL_SUBSYS_NFTABLES << 8 | message, name }
}

pub(super) const NEWTABLE: Name = nft(0, "NFNL_SUBSYS_NFTABLES<<8|NFT_MSG_NEWTABLE");
pub(super) const GETTABLE: Name = nft(1, "NFNL_SUBSYS_NFTABLES<<8|NFT_MSG_GETTABLE");
pub(super) const DELTABLE: Name = nft(2, "NFNL_SUBSYS_NFTABLES<<8|NFT_MSG_DELTABLE");
pub(super) const NEWCHAIN: Name = nft(3, "NFNL_SUBSYS_NFTABLES<<8|NFT_MSG_NEWCHAIN");
pub(super) const GETCHAIN: Name = nft(4, "NFNL_SUBSYS_NFTABLES<<8|NFT_MSG_GETCHAIN");
pub(super) const NEWRULE: Name = nft(6, "NFNL_SUBSYS_NFTABLES<<8|NFT_MSG_NEWRULE");
pub(super) const GETRULE: Name = nft(7, "NFNL_SUBSYS_NFTABLES<<8|NFT_MSG_GETRULE");
pub(super) const GETGEN: Name = nft(16, "NFNL_SUBSYS_NFTABLES<<8|NFT_MSG_GETGEN");

names! {
    NFNL_MSG_BATCH_BEGIN = 16, NFNL_MSG_BATCH_END = 17,
    NFTA_TABLE_NAME = 1,
    NFTA_CHAIN_TABLE = 1, NFTA_CHAIN_NAME = 3, NFTA_CHAIN_HOOK = 4, NFTA_CHAIN_POLICY = 5, NFTA_CHAIN_TYPE = 7,
    NFTA_HOOK_HOOKNUM = 1, NFTA_HOOK_PRIORITY = 2,
    NFTA_RULE_TABLE = 1, NFTA_RULE_CHAIN = 2, NFTA_RULE_EXPRESSIONS = 4,
    NFTA_LIST_ELEM = 1, NFTA_EXPR_NAME = 1, NFTA_EXPR_DATA = 2,
    NFTA_DATA_VALUE = 1, NFTA_DATA_VERDICT = 2, NFTA_VERDICT_CODE = 1,
    NFTA_META_DREG = 1, NFTA_META_KEY = 2,
    NFTA_CT_DREG = 1, NFTA_CT_KEY = 2,
    NFTA_PAYLOAD_DREG = 1, NFTA_PAYLOAD_BASE = 2, NFTA_PAYLOAD_OFFSET = 3, NFTA_PAYLOAD_LEN = 4,
    NFTA_BITWISE_SREG = 1, NFTA_BITWISE_DREG = 2, NFTA_BITWISE_LEN = 3, NFTA_BITWISE_MASK = 4, NFTA_BITWISE_XOR = 5,
    NFTA_CMP_SREG = 1, NFTA_CMP_OP = 2, NFTA_CMP_DATA = 3,
    NFTA_IMMEDIATE_DREG = 1, NFTA_IMMEDIATE_DATA = 2,
}

const REGISTER: u32 = 1;
const VERDICT: u32 = 0;
const DROP: u32 = 0;
const ACCEPT: u32 = 1;

/// Of a connection's states (ip_conntrack_info): answers, and what belongs to a known connection.
pub const ESTABLISHED_RELATED: u32 = 2 | 4;

/// What an expression can load into the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// The sender's address.
    SourceAddress,
    /// The name of the link that the packet came in by.
    InName,
    /// The name of the link that it will leave by.
    OutName,
    /// The state of the connection it belongs to (bits).
    ConnectionState,
}

impl Load {
    const ALL: [Load; 4] = [Load::SourceAddress, Load::InName, Load::OutName, Load::ConnectionState];

    fn name(self) -> &'static str {
        match self {
            Load::SourceAddress => "ip saddr",
            Load::InName => "iifname",
            Load::OutName => "oifname",
            Load::ConnectionState => "ct state",
        }
    }

    /// The expression's kind, and what to load: (key or offset).
    fn code(self) -> (&'static str, u32) {
        match self {
            Load::SourceAddress => ("payload", 12),
            Load::InName => ("meta", 6),
            Load::OutName => ("meta", 7),
            Load::ConnectionState => ("ct", 0),
        }
    }
}

/// One expression of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// Into the register.
    Load(Load),
    /// Only these bits of it.
    Mask([u8; 4]),
    /// On with the rule only if it equals (or not) this.
    Compare {
        /// Equal, or different?
        equal: bool,
        /// As long as what was loaded.
        value: Vec<u8>,
    },
    /// Let it pass.
    Accept,
    /// Throw it away.
    Drop,
    /// Send it with the address of the link it leaves by, and the answers back.
    Masquerade,
    /// One that we do not use: somebody else has added a rule.
    Other(String),
}

/// A rule's condition: from this subnet.
pub fn from_subnet(subnet: Subnet) -> Vec<Expression> {
    let value = subnet.first().octets().to_vec();
    vec![
        Expression::Load(Load::SourceAddress),
        Expression::Mask(subnet.mask().octets()),
        Expression::Compare { equal: true, value },
    ]
}

/// A rule's condition: the link has (or has not) this name.
pub fn link_is(which: Load, equal: bool, name: &str) -> Vec<Expression> {
    // Names are compared with all their zeroes: the whole of IFNAMSIZ.
    let mut value = name.as_bytes().to_vec();
    value.resize(libc::IFNAMSIZ, 0);
    vec![Expression::Load(which), Expression::Compare { equal, value }]
}

/// A rule's condition: the connection is in one of these states.
pub fn state_is(bits: u32) -> Vec<Expression> {
    vec![
        Expression::Load(Load::ConnectionState),
        Expression::Mask(bits.to_ne_bytes()),
        Expression::Compare { equal: false, value: vec![0; 4] },
    ]
}

impl Expression {
    fn kind(&self) -> &str {
        match self {
            Expression::Load(load) => load.code().0,
            Expression::Mask(_) => "bitwise",
            Expression::Compare { .. } => "cmp",
            Expression::Accept | Expression::Drop => "immediate",
            Expression::Masquerade => "masq",
            Expression::Other(kind) => kind,
        }
    }

    fn encode(&self, a: &mut Attributes) {
        let value = |a: &mut Attributes, name: Name, bytes: &[u8]| {
            a.nest(name, |a| a.bytes(NFTA_DATA_VALUE, bytes, crate::sys::quoted(bytes)));
        };
        match self {
            Expression::Load(load) => load.encode(a),
            Expression::Mask(mask) => {
                a.be32(NFTA_BITWISE_SREG, REGISTER);
                a.be32(NFTA_BITWISE_DREG, REGISTER);
                a.be32(NFTA_BITWISE_LEN, 4);
                value(a, NFTA_BITWISE_MASK, mask);
                value(a, NFTA_BITWISE_XOR, &[0; 4]);
            }
            Expression::Compare { equal, value: v } => {
                a.be32(NFTA_CMP_SREG, REGISTER);
                a.be32(NFTA_CMP_OP, u32::from(!equal));
                value(a, NFTA_CMP_DATA, v);
            }
            Expression::Accept | Expression::Drop => {
                let code = if *self == Expression::Accept { ACCEPT } else { DROP };
                a.be32(NFTA_IMMEDIATE_DREG, VERDICT);
                a.nest(NFTA_IMMEDIATE_DATA, |a| a.nest(NFTA_DATA_VERDICT, |a| a.be32(NFTA_VERDICT_CODE, code)));
            }
            Expression::Masquerade | Expression::Other(_) => {}
        }
    }

    fn decode(kind: &str, data: &[u8]) -> Expression {
        let be32 = |name: Name| find(data, name.number).and_then(number);
        let value = |name: Name| find(data, name.number).and_then(|d| find(d, NFTA_DATA_VALUE.number));
        let load = |key: Option<u32>| Load::ALL.into_iter().find(|l| Some(l.code().1) == key && l.code().0 == kind);
        let decoded = match kind {
            "payload" => load(be32(NFTA_PAYLOAD_OFFSET)).map(Expression::Load),
            "meta" => load(be32(NFTA_META_KEY)).map(Expression::Load),
            "ct" => load(be32(NFTA_CT_KEY)).map(Expression::Load),
            "bitwise" => value(NFTA_BITWISE_MASK).and_then(|m| m.try_into().ok()).map(Expression::Mask),
            "cmp" => value(NFTA_CMP_DATA)
                .map(|v| Expression::Compare { equal: be32(NFTA_CMP_OP) == Some(0), value: v.to_vec() }),
            "immediate" => match find(data, NFTA_IMMEDIATE_DATA.number)
                .and_then(|d| find(d, NFTA_DATA_VERDICT.number))
                .and_then(|d| find(d, NFTA_VERDICT_CODE.number))
                .and_then(number)
            {
                Some(ACCEPT) => Some(Expression::Accept),
                Some(DROP) => Some(Expression::Drop),
                _ => None,
            },
            "masq" => Some(Expression::Masquerade),
            _ => None,
        };
        decoded.unwrap_or_else(|| Expression::Other(kind.into()))
    }
}

impl Load {
    fn encode(self, a: &mut Attributes) {
        const NETWORK_HEADER: u32 = 1;
        let (kind, code) = self.code();
        match kind {
            "payload" => {
                a.be32(NFTA_PAYLOAD_DREG, REGISTER);
                a.be32(NFTA_PAYLOAD_BASE, NETWORK_HEADER);
                a.be32(NFTA_PAYLOAD_OFFSET, code);
                a.be32(NFTA_PAYLOAD_LEN, 4);
            }
            "meta" => {
                a.be32(NFTA_META_KEY, code);
                a.be32(NFTA_META_DREG, REGISTER);
            }
            _ => {
                a.be32(NFTA_CT_KEY, code);
                a.be32(NFTA_CT_DREG, REGISTER);
            }
        }
    }

    /// A value that was compared with what this loads, as nft shows it.
    fn show(self, mask: Option<[u8; 4]>, equal: bool, value: &[u8]) -> String {
        let not = if equal { "" } else { "!= " };
        let name = self.name();
        match (self, mask, <[u8; 4]>::try_from(value)) {
            (Load::ConnectionState, Some(bits), Ok([0, 0, 0, 0])) if !equal => {
                format!("{name} {}", state_names(u32::from_ne_bytes(bits)))
            }
            (Load::SourceAddress, Some(mask), Ok(v)) => {
                let prefix = u32::from_be_bytes(mask).leading_ones();
                format!("{name} {not}{}/{prefix}", Ipv4Addr::from(v))
            }
            (Load::SourceAddress, None, Ok(v)) => format!("{name} {not}{}", Ipv4Addr::from(v)),
            (Load::InName | Load::OutName, ..) => format!("{name} {not}{}", string(value).unwrap_or_default()),
            _ => format!("{name} {not}{value:?}"),
        }
    }
}

fn state_names(bits: u32) -> String {
    let all = [(1, "invalid"), (2, "established"), (4, "related"), (8, "new"), (64, "untracked")];
    all.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect::<Vec<_>>().join(",")
}

fn number(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(value.try_into().ok()?))
}

/// A rule as nft would show it.
pub fn show(rule: &[Expression]) -> String {
    let (mut words, mut loaded, mut mask) = (Vec::new(), None, None);
    for expression in rule {
        match expression {
            Expression::Load(load) => (loaded, mask) = (Some(*load), None),
            Expression::Mask(bits) => mask = Some(*bits),
            Expression::Compare { equal, value } => {
                words.extend(loaded.map(|load: Load| load.show(mask, *equal, value)));
            }
            Expression::Accept => words.push("accept".into()),
            Expression::Drop => words.push("drop".into()),
            Expression::Masquerade => words.push("masquerade".into()),
            Expression::Other(kind) => words.push(format!("({kind})")),
        }
    }
    words.join(" ")
}

/// struct nfgenmsg.
pub(super) fn family(family: u8, resource: u16) -> Fixed {
    let [high, low] = resource.to_be_bytes();
    let name = if family == libc::NFPROTO_IPV4 as u8 { "AF_INET" } else { "AF_UNSPEC" };
    let text = format!("{{nfgen_family={name}, version=NFNETLINK_V0, res_id=htons({resource})}}");
    Fixed { bytes: vec![family, 0, high, low], text }
}

/// For IPv4.
pub(super) fn ipv4() -> Fixed {
    family(libc::NFPROTO_IPV4 as u8, 0)
}

/// All or nothing: nf_tables takes changes only in transactions.
pub fn transaction(fill: impl FnOnce(&mut Batch)) -> Batch {
    let mut batch = Batch::default();
    batch.add(NFNL_MSG_BATCH_BEGIN, 0, "", family(0, 10), |_| {});
    fill(&mut batch);
    batch.add(NFNL_MSG_BATCH_END, 0, "", family(0, 10), |_| {});
    batch
}

/// Makes a table; does nothing when it is there.
pub fn add_table(batch: &mut Batch, table: &str) {
    batch.add(NEWTABLE, flag::CREATE, table, ipv4(), |a| a.string(NFTA_TABLE_NAME, table));
}

/// Deletes a table with all that is in it.
pub fn delete_table(batch: &mut Batch, table: &str) {
    batch.add(DELTABLE, 0, table, ipv4(), |a| a.string(NFTA_TABLE_NAME, table));
}

/// Where a chain of rules hangs.
#[derive(Debug, Clone, Copy)]
pub struct Hook {
    /// `nat` or `filter`.
    pub kind: &'static str,
    /// The chain's name, which is also that of the place.
    pub name: &'static str,
    /// Its number (enum nf_inet_hooks).
    pub hook: u32,
    /// Its turn among the chains there.
    pub priority: i32,
}

/// Makes a chain whose packets pass if no rule decides otherwise.
pub fn add_chain(batch: &mut Batch, table: &str, hook: Hook) {
    batch.add(NEWCHAIN, flag::CREATE, &format!("{table} {}", hook.name), ipv4(), |a| {
        a.string(NFTA_CHAIN_TABLE, table);
        a.string(NFTA_CHAIN_NAME, hook.name);
        a.nest(NFTA_CHAIN_HOOK, |a| {
            a.be32(NFTA_HOOK_HOOKNUM, hook.hook);
            a.be32(NFTA_HOOK_PRIORITY, hook.priority as u32);
        });
        a.be32(NFTA_CHAIN_POLICY, ACCEPT);
        a.string(NFTA_CHAIN_TYPE, hook.kind);
    });
}

/// Adds a rule at the end of a chain.
pub fn add_rule(batch: &mut Batch, table: &str, chain: &str, rule: &[Expression]) {
    let about = format!("{table} {chain} {}", show(rule));
    batch.add(NEWRULE, flag::CREATE | flag::APPEND, &about, ipv4(), |a| {
        a.string(NFTA_RULE_TABLE, table);
        a.string(NFTA_RULE_CHAIN, chain);
        a.nest_as(NFTA_RULE_EXPRESSIONS, show(rule), |a| encode(rule, a));
    });
}

/// A chain through which packets go, from the kernel's dump.
#[derive(Debug, PartialEq, Eq)]
pub struct Chain {
    /// `NFPROTO_IPV4` and the like: whose packets.
    pub family: u8,
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Where in a packet's way it is: 2 is "forward".
    pub hook: u32,
    /// Are packets dropped that no rule has decided about?
    pub drops: bool,
}

/// `None`: a chain that only rules jump to.
pub fn parse_chain(payload: &[u8]) -> Option<Chain> {
    // Behind struct nfgenmsg.
    let attributes = payload.get(4..)?;
    let text = |name: Name| find(attributes, name.number).and_then(string);
    let hook = find(find(attributes, NFTA_CHAIN_HOOK.number)?, NFTA_HOOK_HOOKNUM.number).and_then(number)?;
    let drops = find(attributes, NFTA_CHAIN_POLICY.number).and_then(number) == Some(DROP);
    Some(Chain { family: payload[0], table: text(NFTA_CHAIN_TABLE)?, name: text(NFTA_CHAIN_NAME)?, hook, drops })
}

fn encode(rule: &[Expression], a: &mut Attributes) {
    for expression in rule {
        a.nest(NFTA_LIST_ELEM, |a| {
            a.string(NFTA_EXPR_NAME, expression.kind());
            a.nest(NFTA_EXPR_DATA, |a| expression.encode(a));
        });
    }
}

fn decode(expressions: &[u8]) -> Vec<Expression> {
    let one = |(_, element)| {
        let kind = string(find(element, NFTA_EXPR_NAME.number)?)?;
        Some(Expression::decode(&kind, find(element, NFTA_EXPR_DATA.number).unwrap_or_default()))
    };
    attributes(expressions).filter_map(one).collect()
}

/// A rule from the kernel's dump: its table, its chain, its expressions.
pub fn parse_rule(payload: &[u8]) -> Option<(String, String, Vec<Expression>)> {
    let attributes = payload.get(4..)?;
    let text = |name: Name| find(attributes, name.number).and_then(string);
    let rule = decode(find(attributes, NFTA_RULE_EXPRESSIONS.number).unwrap_or_default());
    Some((text(NFTA_RULE_TABLE)?, text(NFTA_RULE_CHAIN)?, rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_survives_the_wire_and_reads_as_nft_shows_it() {
        let subnet = "10.98.0.0/20".parse().unwrap();
        let cases = [
            (
                [from_subnet(subnet), link_is(Load::OutName, false, "boxwright0"), vec![Expression::Masquerade]]
                    .concat(),
                "ip saddr 10.98.0.0/20 oifname != boxwright0 masquerade",
            ),
            (
                [link_is(Load::OutName, true, "boxwright0"), state_is(ESTABLISHED_RELATED), vec![Expression::Accept]]
                    .concat(),
                "oifname boxwright0 ct state established,related accept",
            ),
            ([link_is(Load::InName, true, "b"), vec![Expression::Drop]].concat(), "iifname b drop"),
        ];
        for (rule, text) in cases {
            let mut batch = Batch::default();
            add_rule(&mut batch, "t", "c", &rule);
            assert_eq!(show(&rule), text);
            assert_eq!(parse_rule(&batch.first_payload()), Some(("t".into(), "c".into(), rule)));
        }
    }

    #[test]
    fn a_foreign_expression_is_shown_as_such() {
        assert_eq!(show(&[Expression::decode("limit", &[]), Expression::decode("meta", &[])]), "(limit) (meta)");
    }
}

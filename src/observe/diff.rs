//! What differs between two snapshots, and whose doing it was.

use super::{Change, Fact, Snapshot, Value, eyes::THE_HOSTS};
use std::collections::BTreeSet;

/// Every fact that differs, in the order of a report. What has only moved by itself is left out; `host` is how it all
/// began, which tells what is still the host's.
pub fn diff(before: &Snapshot, after: &Snapshot, host: &Snapshot) -> Vec<Change> {
    let facts: BTreeSet<Fact> = before.keys().chain(after.keys()).copied().collect();
    facts
        .into_iter()
        .filter(|fact| !same(before.get(fact), after.get(fact)))
        .filter(|fact| !(fact.drifts() && drifted(*fact, before, after, host)))
        .map(|fact| Change { fact, before: before.get(&fact).cloned(), after: after.get(&fact).cloned() })
        .collect()
}

/// An empty list and nothing to be seen are the same: nothing.
fn same(before: Option<&Value>, after: Option<&Value>) -> bool {
    let is_empty = |v: Option<&Value>| v.is_none_or(|v| matches!(v, Value::Many(list) if list.is_empty()));
    before == after || (is_empty(before) && is_empty(after))
}

fn drifted(fact: Fact, before: &Snapshot, after: &Snapshot, host: &Snapshot) -> bool {
    let the_hosts = |seen: &Snapshot| matches!(seen.get(&fact), Some(Value::One(v)) if v.ends_with(THE_HOSTS));
    match fact {
        // The first snapshot is the parent's, the next ones the child's: that is another number in any case.
        Fact::Pid => before.get(&Fact::PidNs) == after.get(&Fact::PidNs),
        // Other containers' cables come and go on the host, the latter milliseconds after their end.
        Fact::Links | Fact::Addresses | Fact::Routes => {
            [before, after].iter().all(|seen| seen.get(&Fact::NetNs) == host.get(&Fact::NetNs))
        }
        // Processes of the host come and go.
        _ => the_hosts(before) && the_hosts(after),
    }
}

/// One clone3 makes several things at once, and all `prepare` is done before it, so the first step shows changes of
/// later primitives too. Takes out of `observed` what the primitive of that step does not declare and a later one does:
/// those are handed over to the one that declares them, `(its index in later, the change)`. What nobody claims stays
/// where it was seen.
pub fn hand_over(observed: &mut Vec<Change>, declared: &[Fact], later: &[&[Fact]]) -> Vec<(usize, Change)> {
    let mut handed = Vec::new();
    observed.retain(|change| {
        if declared.contains(&change.fact) {
            return true;
        }
        match later.iter().position(|facts| facts.contains(&change.fact)) {
            Some(index) => {
                handed.push((index, change.clone()));
                false
            }
            None => true,
        }
    });
    handed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(facts: &[(Fact, &str)]) -> Snapshot {
        facts.iter().map(|(fact, value)| (*fact, Value::One((*value).into()))).collect()
    }

    fn facts(changes: &[Change]) -> Vec<Fact> {
        changes.iter().map(|c| c.fact).collect()
    }

    #[test]
    fn only_what_differs_in_the_order_of_a_report() {
        let before = snapshot(&[(Fact::Hostname, "host"), (Fact::UtsNs, "1"), (Fact::Root, "ext4")]);
        let after = snapshot(&[(Fact::Hostname, "box"), (Fact::UtsNs, "2"), (Fact::Root, "ext4"), (Fact::CpuMax, "1")]);
        let changes = diff(&before, &after, &before);
        assert_eq!(facts(&changes), [Fact::UtsNs, Fact::Hostname, Fact::CpuMax]);
        assert_eq!(changes[2].before, None);
    }

    #[test]
    fn nothing_seen_and_an_empty_list_are_the_same() {
        let empty = Snapshot::from([(Fact::Rlimits, Value::Many(vec![]))]);
        assert_eq!(diff(&Snapshot::new(), &empty, &Snapshot::new()), []);
    }

    #[test]
    fn what_moves_by_itself_is_no_change_until_it_is_ones_own() {
        let at =
            |pid_ns, pid, processes| snapshot(&[(Fact::PidNs, pid_ns), (Fact::Pid, pid), (Fact::Processes, processes)]);
        let parent = at("1", "500", "90 (the host's)");
        assert_eq!(diff(&parent, &at("1", "501", "91 (the host's)"), &parent), [], "a child in the same namespace");
        assert_eq!(facts(&diff(&parent, &at("2", "1", "91 (the host's)"), &parent)), [Fact::PidNs, Fact::Pid]);
        assert_eq!(facts(&diff(&at("2", "1", "91 (the host's)"), &at("2", "1", "1"), &parent)), [Fact::Processes]);
    }

    #[test]
    fn links_of_the_hosts_come_and_go_but_not_ones_own() {
        let at = |net_ns, links| snapshot(&[(Fact::NetNs, net_ns), (Fact::Links, links)]);
        let host = at("1", "eth0");
        assert_eq!(diff(&host, &at("1", "eth0 veth7"), &host), []);
        assert_eq!(facts(&diff(&host, &at("2", "lo"), &host)), [Fact::NetNs, Fact::Links]);
        assert_eq!(facts(&diff(&at("2", "lo"), &at("2", "lo eth0"), &host)), [Fact::Links]);
    }

    #[test]
    fn the_first_step_hands_over_what_later_ones_declare() {
        let before = snapshot(&[(Fact::UserNs, "1"), (Fact::PidNs, "1"), (Fact::Hostname, "host")]);
        let after = snapshot(&[(Fact::UserNs, "2"), (Fact::PidNs, "2"), (Fact::Hostname, "oops"), (Fact::CpuMax, "5")]);
        let mut observed = diff(&before, &after, &before);
        let handed = hand_over(&mut observed, &[Fact::UserNs], &[&[Fact::PidNs, Fact::Pid], &[Fact::CpuMax]]);
        assert_eq!(facts(&observed), [Fact::UserNs, Fact::Hostname], "nobody claims the hostname: it stays");
        assert_eq!(handed.iter().map(|(i, c)| (*i, c.fact)).collect::<Vec<_>>(), [(0, Fact::PidNs), (1, Fact::CpuMax)]);
    }
}

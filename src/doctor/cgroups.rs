//! Control groups: which layout, may this user make groups, and which controllers can limit them? Asked of the same
//! code that a start asks.

use super::Check;
use crate::cgroup::{self, Controller, Layout};
use crate::primitive::Lack;

/// A controller, and the stage that needs it.
const CONTROLLERS: [(Controller, &str); 5] = [
    (Controller::Cpu, "limit-cpu"),
    (Controller::Cpuset, "limit-cpu"),
    (Controller::Memory, "limit-memory"),
    (Controller::Pids, "limit-pids"),
    (Controller::Io, "limit-io"),
];

/// All of them.
pub fn checks() -> Vec<Check> {
    let mut all = vec![layout(Layout::ours()), groups()];
    all.extend(controllers(&|controller| cgroup::available(controller)));
    all
}

fn layout(layout: &Layout) -> Check {
    const NAME: &str = "cgroup layout";
    match (&layout.unified, layout.legacy.len()) {
        (None, 0) => Check::ok(NAME, "no cgroup file system is mounted")
            .missing(&["join-cgroup"], "no container can be counted, limited or killed as one")
            .remedy("as root: mount -t cgroup2 cgroup2 /sys/fs/cgroup"),
        (Some(v2), 0) => Check::ok(NAME, format!("version 2, on {}", v2.tree.mount.display())),
        (Some(v2), n) => {
            Check::ok(NAME, format!("hybrid: version 2 on {}, {n} trees of version 1", v2.tree.mount.display()))
        }
        (None, n) => Check::ok(NAME, format!("version 1, {n} trees")),
    }
}

fn groups() -> Check {
    const NAME: &str = "cgroup delegation";
    match cgroup::plan("probe", &[], cgroup::Extent::Limits) {
        Ok(plan) => {
            let below: Vec<_> = plan.paths().iter().filter_map(|p| Some(p.parent()?.display().to_string())).collect();
            Check::ok(NAME, format!("groups can be made below {}", below.join(", ")))
        }
        Err(lack) => Check::ok(NAME, lack.reason.clone())
            .missing(&["join-cgroup"], "no container can be counted, frozen or killed as one")
            .remedy(typed(&lack)),
    }
}

/// Those that work in one check, and one more for each reason why others do not.
fn controllers(available: &dyn Fn(Controller) -> Result<(), Lack>) -> Vec<Check> {
    const NAME: &str = "cgroup controllers";
    let mut works: Vec<&str> = Vec::new();
    let mut lacks: Vec<(Lack, Vec<&'static str>, Vec<&'static str>)> = Vec::new();
    for (controller, stage) in CONTROLLERS {
        let name = controller.v2().unwrap_or(controller.v1());
        let Err(lack) = available(controller) else {
            works.push(name);
            continue;
        };
        // One missing tree for each controller is one reason, if the same command mends them all.
        match lacks.iter_mut().find(|(known, ..)| known.remedy == lack.remedy) {
            Some((_, names, stages)) => {
                names.push(name);
                stages.push(stage);
            }
            None => lacks.push((lack, vec![name], vec![stage])),
        }
    }
    let works = (!works.is_empty()).then(|| Check::ok(NAME, works.join(", ")));
    let bad = lacks.into_iter().map(|(lack, names, mut stages)| {
        stages.dedup();
        let check = Check::ok(NAME, lack.reason.clone());
        let list = names.join(", ");
        // cpuset only serves a flag.
        let check = if list == "cpuset" {
            check.limited(&stages, "--cpuset-cpus does not work")
        } else {
            check.missing(&stages, format!("nothing can be limited by: {list}"))
        };
        check.remedy(typed(&lack))
    });
    works.into_iter().chain(bad).collect()
}

/// The remedy, with the number of the shell that doctor was called from: whoever reads it is there.
fn typed(lack: &Lack) -> String {
    lack.remedy.replace("PID-OF-YOUR-SHELL", &nix::unistd::getppid().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn one_reason_is_told_once() {
        let lack = |reason: &str| Err(Lack { reason: reason.into(), remedy: "mend".into() });
        let none = controllers(&|c| lack(c.v1()));
        assert_eq!(none.len(), 1);
        assert_eq!(none[0].status, Status::Missing);
        assert_eq!(none[0].stages, ["limit-cpu", "limit-memory", "limit-pids", "limit-io"]);
        let some = controllers(&|c| if c == Controller::Cpuset { lack("no cpuset") } else { Ok(()) });
        assert_eq!(some.iter().map(|c| c.status).collect::<Vec<_>>(), [Status::Ok, Status::Limited]);
        assert_eq!(some[0].found, "cpu, memory, pids, io");
    }
}

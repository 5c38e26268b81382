//! Looking at containers: `ps` and its filters and formats, `inspect`, `logs`. What they show is what was, to the byte.

mod common;

use common::life::{Life, both};
use serde_json::Value;
use std::io::Write;
use std::process::Stdio;

#[test]
fn ps_in_every_form() {
    for make in both() {
        let life = make();
        let ids = ["one", "two", "three"].map(|name| {
            let args = ["create", "--name", name, "-l", "tier=web", "host", "sh", "-c", "exit 0; a long command line"];
            life.run(args).exits(0).stdout.trim().to_string()
        });
        let table = life.run(["ps", "-a"]).exits(0).stdout;
        let heads: Vec<&str> = table.lines().next().unwrap_or_default().split("  ").map(str::trim).collect();
        let heads: Vec<&str> = heads.into_iter().filter(|head| !head.is_empty()).collect();
        assert_eq!(heads, ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]);
        assert!(table.contains(&ids[0][..12]) && !table.contains(&ids[0][..13]), "{table}");
        assert!(table.contains("\"sh -c 'exit 0; a lo…\""), "{table}");
        let whole = life.run(["ps", "-a", "--no-trunc", "-s"]).exits(0).stdout;
        assert!(whole.contains(&ids[0]) && whole.contains("\"sh -c 'exit 0; a long command line'\""), "{whole}");
        assert!(whole.lines().next().is_some_and(|line| line.trim_end().ends_with("SIZE")), "{whole}");
        // The newest first.
        assert_eq!(life.names(&["-a"]), ["three", "two", "one"]);
        assert_eq!(life.names(&["-l"]), ["three"]);
        assert_eq!(life.names(&["-n", "2"]), ["three", "two"]);
        assert!(life.names(&[]).is_empty() && life.names(&["-n", "-1"]).is_empty());
        let quiet = life.run(["ps", "-aq"]).exits(0).stdout;
        assert_eq!(quiet, format!("{}\n{}\n{}\n", &ids[2][..12], &ids[1][..12], &ids[0][..12]));
        assert_eq!(life.run(["ps", "-q", "--no-trunc", "-l"]).exits(0).stdout, format!("{}\n", ids[2]));
        let json = life.run(["ps", "-a", "--format", "json"]).exits(0).stdout;
        let rows: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!((rows.len(), &rows[0]["Names"], &rows[0]["State"]), (3, &"three".into(), &"created".into()));
        let template = life.run(["ps", "-l", "--format", "{{.ID}}\\t{{json .Labels}} {{ .Image }}"]).exits(0).stdout;
        assert_eq!(template, format!("{}\t\"tier=web\" host\n", &ids[2][..12]));
        let headed = life.run(["ps", "-l", "--format", "table {{.Names}}\\t{{.State}}"]).exits(0).stdout;
        assert_eq!(headed, "NAMES     STATE\nthree     created\n");
        for bad in ["{{.Nothing}}", "{{range .}}", "{{.Names", "{{nonsense .Names}}"] {
            life.refused(&["ps", "-a", "--format", bad], 125, &["--format"]);
        }
        life.refused(&["ps", "-n", "x"], 125, &["--last x"]);
        life.refused(&["ps", "one"], 125, &["one"]);
        life.end();
    }
}

#[test]
fn ps_filters() {
    for make in both() {
        let life = make();
        life.run(["create", "--name", "web-1", "-l", "tier=web", "-l", "blue", "host", "true"]).exits(0);
        life.run(["create", "--name", "web-2", "-l", "tier=web", "--label", "green=1=2", "host", "true"]).exits(0);
        life.run(["full-run", "--name", "db", "-l", "tier=data", "--network", "none", "host", "sh", "-c", "exit 3"])
            .exits(3);
        life.sleeper("up", &[]);
        let id = life.field("up", "{{.Id}}");
        let by = |filters: &[&str]| {
            let flags: Vec<&str> = filters.iter().flat_map(|f| ["-f", f]).collect();
            life.names(&[&["-a"], flags.as_slice()].concat())
        };
        let all = ["up", "db", "web-2", "web-1"];
        let none: [&str; 0] = [];
        assert_eq!(by(&[]), all);
        assert_eq!(by(&["label=tier"]), all[1..]);
        assert_eq!(by(&["label=tier=web"]), all[2..]);
        // Of labels all, of other kinds any.
        assert_eq!(by(&["label=tier=web", "label=blue"]), all[3..]);
        assert_eq!(by(&["label=green=1=2"]), all[2..3]);
        assert_eq!(by(&["status=exited", "status=running"]), all[..2]);
        assert_eq!(by(&["status=created", "label=blue"]), all[3..]);
        assert_eq!(by(&["exited=3"]), all[1..2]);
        assert_eq!(by(&["exited=0"]), none);
        assert_eq!(by(&["name=web"]), all[2..]);
        assert_eq!(by(&["name=^web-1$"]), all[3..]);
        assert_eq!(by(&["name=^/db$", "name=p$"]), all[..2]);
        assert_eq!(by(&[&format!("id={}", &id[..20])]), all[..1]);
        assert_eq!(by(&["ancestor=host"]), all);
        assert_eq!(by(&["ancestor=alpine"]), none);
        assert_eq!(by(&["before=db"]), all[2..]);
        assert_eq!(by(&["since=web-2"]), all[..2]);
        assert_eq!(by(&["status=dead"]), none);
        // What has ended is shown when asked for, also without -a.
        assert_eq!(life.names(&["-f", "status=exited"]), ["db"]);
        assert_eq!(life.names(&["-f", "name=db"]), none);
        assert_eq!(by(&["name=/web-1"]), all[3..]);
        assert_eq!(by(&["network=none"]), all[..2]);
        assert_eq!(by(&["network=bridge", "label=blue"]), all[3..]);
        assert_eq!(by(&["network=other"]), none);
        for bad in ["colour=red", "status=odd", "status", "exited=x", "name=(", "before=nobody"] {
            life.refused(&["ps", "-f", bad], 125, &[bad.split('=').next_back().unwrap_or(bad)]);
        }
        life.end();
    }
}

#[test]
fn ps_templates_are_dockers() {
    for make in both() {
        let life = make();
        let volume = life.dir.path().join("home/a-directory-with-a-long-name");
        std::fs::create_dir(&volume).expect("a directory");
        let mount = format!("{}:/v", volume.display());
        let flags = ["create", "--name", "web", "-l", "app=a,b=c", "-l", "com.example.tier=front", "-v", &mount];
        life.run(flags.iter().chain(&["host", "sh", "-c", "echo \"a\tb\"; sleep 1"])).exits(0);
        life.run(["create", "--name", "a-longer-name", "--network", "none", "host", "true"]).exits(0);
        let said = |template: &str| life.run(["ps", "-a", "--no-trunc", "--format", template]).exits(0).stdout;
        assert_eq!(said("{{.Label \"app\"}}|{{.Label \"none\"}}|{{upper .Names}}"), "||A-LONGER-NAME\na,b=c||WEB\n");
        assert_eq!(
            said("{{if eq .Names \"web\"}}{{.Command}}{{else}}-{{end}}"),
            "-\n\"sh -c 'echo \\\"a\\tb\\\"; sleep 1'\"\n"
        );
        assert_eq!(
            said("table {{.Names}}\\t{{.LocalVolumes}}\\t{{.Label \"com.example.my-app\"}}\\t{{lower .Networks}}"),
            "NAMES           LOCAL VOLUMES   my app    NETWORKS\n\
             a-longer-name   0                         none\n\
             web             0                         bridge\n"
        );
        let heads = said("table {{.ID}}\\t{{.CreatedAt}}\\t{{.RunningFor}}\\t{{.Size}}");
        let heads: Vec<&str> = heads.lines().next().unwrap_or_default().split("   ").map(str::trim).collect();
        let heads: Vec<&str> = heads.into_iter().filter(|head| !head.is_empty()).collect();
        assert_eq!(heads, ["CONTAINER ID", "CREATED AT", "CREATED", "SIZE"]);
        // Its size is known without -s, where it is asked for.
        let row = life.run(["ps", "-l", "--format", "{{.Size}}"]).exits(0).stdout;
        assert!(row.starts_with("0B (virtual ") && row.ends_with("B)\n"), "{row}");
        let row = life.run(["ps", "-l", "--format", "{{json .}}"]).exits(0).json();
        assert_eq!(row, life.run(["ps", "-l", "--format", "json"]).exits(0).json());
        assert!(row["Size"] == "0B", "{row}");
        assert!(row.as_object().is_some_and(|row| row.keys().all(|key| !key.starts_with('.'))), "{row}");
        let created = row["CreatedAt"].as_str().unwrap_or_default();
        assert!(created.len() == 29 && created.ends_with(" +0000 UTC"), "{created}");
        // Mounts are cut, unless all is to be seen.
        let cut = life.run(["ps", "-a", "-f", "name=/web", "--format", "{{.Mounts}}"]).exits(0).stdout;
        assert_eq!(cut.trim_end().chars().count(), 15, "{cut}");
        assert!(cut.ends_with("…\n"), "{cut}");
        assert_eq!(said("{{.Mounts}}"), format!("\n{}\n", volume.display()));
        for (bad, says) in [
            ("{{if .Names}}x", "{{if}} without {{end}}"),
            ("x {{.Names.More}}", "in {{.Names.More}}, at 1:3 of the template"),
            ("{{index .Names 7}}", "index wants a list or a map"),
        ] {
            life.refused(&["ps", "-a", "--format", bad], 125, &[says]);
        }
        life.end();
    }
}

#[test]
fn inspect_tells_all() {
    for make in both() {
        let life = make();
        let flags = [
            "-l",
            "a=b",
            "-e",
            "A=B",
            "-w",
            "/tmp",
            "--hostname",
            "box",
            "--stop-signal",
            "INT",
            "--restart",
            "on-failure:4",
        ];
        let id = life.sleeper("web", &flags);
        let both = life.run(["inspect", "web", &id[..12]]).exits(0).json();
        assert_eq!(both.as_array().map(Vec::len), Some(2));
        let web = &both[0];
        let expected = [
            ("/Id", Value::from(id.clone())),
            ("/Name", "/web".into()),
            ("/Path", "sh".into()),
            ("/State/Status", "running".into()),
            ("/State/Running", true.into()),
            ("/State/Paused", false.into()),
            ("/State/ExitCode", 0.into()),
            ("/State/FinishedAt", "0001-01-01T00:00:00Z".into()),
            ("/HostConfig/RestartPolicy/Name", "on-failure".into()),
            ("/HostConfig/RestartPolicy/MaximumRetryCount", 4.into()),
            ("/HostConfig/NetworkMode", "none".into()),
            ("/HostConfig/AutoRemove", false.into()),
            ("/Config/Labels/a", "b".into()),
            ("/Config/WorkingDir", "/tmp".into()),
            ("/Config/Hostname", "box".into()),
            ("/Config/StopSignal", "SIGINT".into()),
        ];
        for (path, value) in expected {
            assert_eq!(web.pointer(path), Some(&value), "{path}");
        }
        assert!(web["Config"]["Env"].as_array().is_some_and(|env| env.contains(&"A=B".into())), "{web:#}");
        let pid = life.number("web", "{{.State.Pid}}");
        assert!(std::fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok() || !life.is_root());
        assert_eq!(life.field("web", "{{json .Config.Labels}} {{.State.Status}}"), "{\"a\":\"b\"} running");
        life.run(["kill", "web"]).exits(0);
        let over = &life.run(["inspect", "web"]).exits(0).json()[0];
        assert_eq!((&over["State"]["ExitCode"], &over["State"]["Pid"]), (&137.into(), &0.into()));
        assert!(over["State"]["FinishedAt"].as_str() > over["State"]["StartedAt"].as_str(), "{over:#}");
        let some = life.refused(&["inspect", "nobody", "web"], 1, &["No such object: nobody"]);
        assert_eq!(some.json().as_array().map(Vec::len), Some(1));
        life.refused(&["inspect", "-f", "{{.State.Nothing}}", "web"], 125, &["State.Nothing", "Status", "at 1:1"]);
        life.end();
    }
}

#[test]
fn inspect_has_dockers_types() {
    for make in both() {
        let life = make();
        let flags = [
            "create",
            "--name",
            "new",
            "-i",
            "-v",
            "/data",
            "-v",
            "named:/named:ro",
            "--tmpfs",
            "/t",
            "--ulimit",
            "nofile=64:-1",
            "--device",
            "/dev/null:/dev/nothing:r",
            "--entrypoint",
            "echo",
            "host",
            "a",
        ];
        life.run(flags).exits(0);
        life.run(["create", "--name", "plain", "--network", "none", "--stop-timeout", "3", "host", "true"]).exits(0);
        let new = &life.run(["inspect", "-s", "/new"]).exits(0).json()[0];
        let anonymous = serde_json::json!({ "/data": {} });
        let expected = [
            ("/Name", Value::from("/new")),
            ("/Path", "echo".into()),
            ("/Driver", "overlay".into()),
            ("/Platform", "linux".into()),
            ("/SizeRw", 0.into()),
            ("/State/ExitCode", 0.into()),
            ("/State/Running", false.into()),
            ("/Config/Entrypoint", serde_json::json!(["echo"])),
            ("/Config/Domainname", "".into()),
            ("/Config/Volumes", anonymous),
            ("/Config/AttachStdin", true.into()),
            ("/Config/AttachStdout", true.into()),
            ("/Config/StdinOnce", true.into()),
            ("/HostConfig/Binds", serde_json::json!(["named:/named:ro"])),
            ("/HostConfig/Ulimits/0", serde_json::json!({ "Name": "nofile", "Soft": 64, "Hard": -1 })),
            ("/HostConfig/Devices/0/PathInContainer", "/dev/nothing".into()),
            ("/HostConfig/Devices/0/CgroupPermissions", "r".into()),
            ("/Mounts/0/Mode", "".into()),
            ("/Mounts/1/Mode", "ro".into()),
            ("/Mounts/1/Propagation", "".into()),
            ("/NetworkSettings/Ports", serde_json::json!({})),
            ("/NetworkSettings/Networks/bridge/IPAddress", "".into()),
            ("/NetworkSettings/Networks/bridge/IPPrefixLen", 0.into()),
        ];
        for (path, value) in expected {
            assert_eq!(new.pointer(path), Some(&value), "{path}");
        }
        assert!(new["SizeRootFs"].as_u64() > Some(0) && new["Config"].get("StopSignal").is_none(), "{new:#}");
        let plain = &life.run(["inspect", "--type", "container", "plain"]).exits(0).json()[0];
        assert_eq!((&plain["Config"]["Entrypoint"], &plain["Config"]["StopTimeout"]), (&Value::Null, &3.into()));
        assert!(plain.get("SizeRw").is_none() && plain["NetworkSettings"]["Networks"]["none"].is_object(), "{plain:#}");
        // Between two runs it is said to run.
        life.up("again", &["--restart", "always"], "exit 3");
        life.until_state("again", "restarting");
        assert_eq!(life.field("again", "{{.State.Running}} {{.Config.AttachStdout}}"), "true false");
        // The volume of that name, where there is no container.
        let volume = life.run(["inspect", "named", "-f", "{{.Name}} {{.Driver}}"]).exits(0).stdout;
        assert_eq!(volume, "named local\n");
        life.run(["inspect", "--type", "volume", "named"]).exits(0);
        life.refused(&["inspect", "--type", "container", "named"], 1, &["No such container: named"]);
        life.refused(&["inspect", "--type", "volume", "new"], 1, &["no such volume: new"]);
        life.refused(&["inspect", "--type", "image", "host"], 125, &["--type image", "--type volume"]);
        life.refused(&["inspect", "nothing"], 1, &["No such object: nothing"]);
        life.run(["rm", "-f", "/again"]).exits(0);
        life.run(["rm", "-v", "/new"]).exits(0);
        life.run(["volume", "rm", "named"]).exits(0);
        life.end();
    }
}

#[test]
fn inspect_templates_are_dockers() {
    for make in both() {
        let life = make();
        life.sleeper("web", &["-l", "app=shop", "-l", "com.example.tier=front", "-e", "A=B"]);
        let said = |template: &str| life.field("web", template);
        assert_eq!(said("{{index .Config.Labels \"com.example.tier\"}}|{{index .Config.Labels \"none\"}}"), "front|");
        assert_eq!(
            said("{{.Config.Labels}} {{.Config.Labels.none}}"),
            "map[app:shop com.example.tier:front] <no value>"
        );
        assert_eq!(said("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}"), "app=shop;com.example.tier=front;");
        assert_eq!(said("{{range .Config.Env}}{{if eq . \"A=B\"}}{{println .}}{{end}}{{end}}"), "A=B");
        assert_eq!(said("{{.State.Status | printf \"%-8s|%q\" .Name}}"), "/web    |\"running\"");
        assert_eq!(said("{{with .State}}{{if and .Running (gt .Pid 1)}}{{$.Name}}{{end}}{{end}}"), "/web");
        assert_eq!(said("{{.Config.Labels | json}}"), "{\"app\":\"shop\",\"com.example.tier\":\"front\"}");
        assert_eq!(said("{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}"), "none");
        for (bad, says) in [
            ("{{range .Name}}{{end}}", "range wants a list or a map"),
            ("{{range .Mounts}}", "{{range}} without {{end}}"),
            ("{{.State.Health.Status}}", "there is no .State.Health.Status"),
        ] {
            life.refused(&["inspect", "-f", bad, "web"], 125, &[says]);
        }
        life.end();
    }
}

#[test]
fn logs_of_both_streams() {
    for make in both() {
        let life = make();
        let script = "echo out1; sleep 0.05; echo err1 >&2; sleep 0.05; echo out2; sleep 0.05; printf 'no end'";
        life.run(["full-run", "--name", "a", "--network", "none", "host", "sh", "-c", script]).exits(0);
        let all = life.run(["logs", "a"]).exits(0);
        assert_eq!((all.stdout.as_str(), all.stderr.as_str()), ("out1\nout2\nno end", "err1\n"));
        let said = |flags: &[&str]| {
            let run = life.run([&["logs"], flags, &["a"]].concat()).exits(0);
            run.stderr + &run.stdout
        };
        assert_eq!(said(&["--tail", "1"]), "no end");
        assert_eq!(said(&["-n", "2"]), "out2\nno end");
        assert_eq!(said(&["--tail", "3"]), "err1\nout2\nno end");
        assert_eq!(said(&["--tail", "99"]), "err1\nout1\nout2\nno end");
        assert_eq!(said(&["--tail", "all"]), "err1\nout1\nout2\nno end");
        assert_eq!(said(&["--tail", "0"]), "");
        // docker's: a negative number is all.
        for all in [&["--tail", "-1"][..], &["-n", "-1"], &["-n-1"], &["--tail=-7"]] {
            assert_eq!(said(all), "err1\nout1\nout2\nno end", "{all:?}");
        }
        // -f of one that has ended ends as well.
        assert_eq!(said(&["-f"]), "err1\nout1\nout2\nno end");
        let times = life.run(["logs", "-t", "a"]).exits(0).stdout;
        let times: Vec<(&str, &str)> = times.lines().filter_map(|line| line.split_once(' ')).collect();
        assert_eq!(times.iter().map(|(_, text)| *text).collect::<Vec<_>>(), ["out1", "out2", "no end"]);
        assert!(times.iter().all(|(time, _)| time.len() == 30 && time.ends_with('Z')), "{times:?}");
        assert_eq!(said(&["--since", times[1].0]), "out2\nno end");
        assert_eq!(said(&["--until", times[1].0]), "err1\nout1\n");
        // The same moment in docker's other forms.
        let stamp: jiff::Timestamp = times[1].0.parse().expect("RFC 3339");
        let seconds = format!("{}.{:09}", stamp.as_second(), stamp.subsec_nanosecond());
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(2));
        let elsewhere = format!("{}+02:00", stamp.to_zoned(zone).datetime());
        // Nothing says where the test is: its time without a zone is UTC.
        for same in [&seconds, &elsewhere, times[1].0.trim_end_matches('Z')] {
            let run = |flag: &str| {
                let mut command = life.command(["logs", flag, same, "a"]);
                command.env("TZ", "UTC");
                let run = life.finish(command).exits(0);
                run.stderr + &run.stdout
            };
            assert_eq!((run("--since"), run("--until")), ("out2\nno end".into(), "err1\nout1\n".into()), "{same}");
        }
        let mut west = life.command(["logs", "--since", times[1].0.trim_end_matches('Z'), "a"]);
        west.env("TZ", "WEST+1");
        assert_eq!(life.finish(west).exits(0).stdout, "", "one hour later in UTC");
        assert_eq!(said(&["--since", "1h"]), "err1\nout1\nout2\nno end");
        assert_eq!(said(&["--until", "1h"]), "");
        for (flag, bad) in
            [("--tail", "x"), ("--tail", "-"), ("--since", "2d"), ("--since", "soon"), ("--until", "yesterday")]
        {
            let flag = format!("{flag}={bad}");
            life.refused(&["logs", &flag, "a"], 125, &[bad]);
        }
        life.refused(&["logs", "--details", "a"], 125, &["--details"]);
        life.refused(&["logs", "nobody"], 125, &["No such container"]);
        // Numbers below zero are for the flag that they stand behind.
        let bad = |flag: &str, value: &str| {
            life.refused(&["create", "--health-cmd", "true", flag, value, "host", "true"], 125, &[flag, value]);
        };
        bad("--health-retries", "-1");
        bad("--health-interval", "-1s");
        bad("--stop-timeout", "-x");
        life.run(["create", "--name", "patient", "--stop-timeout", "-1", "host", "true"]).exits(0);
        life.run(["create", "--name", "new", "host", "true"]).exits(0);
        assert_eq!(life.run(["logs", "new"]).exits(0).stdout, "");
        life.end();
    }
}

/// A command's output as bytes.
fn bytes(life: &Life, args: &[&str]) -> Vec<u8> {
    let run = life.command(args).stdout(Stdio::piped()).spawn().expect("it starts");
    run.wait_with_output().expect("its end").stdout
}

/// Bytes that no text has, lines that are longer than any buffer, and a last one without its end.
fn awkward() -> Vec<u8> {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut all: Vec<u8> = (0..200_000).map(|_| next()).collect();
    all.extend(std::iter::repeat_n(b'x', 100_000));
    all.extend(b"\n\n\r\n\0\xff\n");
    all.extend(std::iter::repeat_n(b'y', 16 * 1024));
    all.extend(b"\nno end");
    all
}

#[test]
fn every_byte_is_kept() {
    for make in both() {
        let life = make();
        let file = life.dir.path().join("home/awkward");
        let all = awkward();
        std::fs::write(&file, &all).expect("a file");
        let volume = format!("{}:/f:ro", file.display());
        let args = ["full-run", "--name", "a", "--network", "none", "-v", &volume, "host", "cat", "/f"];
        assert!(bytes(&life, &args) == all, "what the attached one saw");
        assert!(bytes(&life, &["logs", "a"]) == all, "what the log has");
        // The time of a long line stands at its beginning, and nowhere else in it.
        let stamped = bytes(&life, &["logs", "-t", "a"]);
        let lines: Vec<&[u8]> = all.split(|b| *b == b'\n').collect();
        let plain: Vec<&[u8]> = stamped.split(|b| *b == b'\n').map(|l| l.get(31..).unwrap_or_default()).collect();
        assert!(plain == lines, "with times");
        assert!(bytes(&life, &["logs", "--tail", "2", "a"]) == [&[b'y'; 16 * 1024][..], b"\nno end"].concat());
        life.end();
    }
}

/// Whoever writes faster than others read is held back, and loses nothing.
#[test]
fn a_fast_writer_loses_no_byte() {
    for make in both() {
        let life = make();
        let args = ["full-run", "--name", "a", "--network", "none", "host", "seq", "200000"];
        let mut run = life.command(args).stdout(Stdio::piped()).spawn().expect("it starts");
        // Nobody reads for a while.
        std::thread::sleep(std::time::Duration::from_millis(300));
        let mut slow = std::io::BufReader::new(run.stdout.take().expect("a pipe"));
        let (mut count, mut line) = (0, String::new());
        while std::io::BufRead::read_line(&mut slow, &mut line).expect("text") > 0 {
            count += 1;
            assert_eq!(line.trim_end(), count.to_string());
            line.clear();
        }
        assert_eq!((count, run.wait().expect("its end").success()), (200_000, true));
        let log = life.run(["logs", "a"]).exits(0).stdout;
        assert!(log.lines().map(|l| l.parse().unwrap_or(0)).eq(1..=200_000), "the log");
        life.end();
    }
}

/// One who is attached and does not read must not keep the container from being over.
#[test]
fn a_reader_that_sleeps_does_not_keep_it_alive() {
    for make in both() {
        let life = make();
        let args = ["full-run", "--name", "a", "--network", "none", "host", "seq", "100000"];
        let mut run = life.command(args).stdout(Stdio::piped()).spawn().expect("it starts");
        life.until("it runs", || life.names(&["-a"]) == ["a"]);
        life.until("it has written", || life.run(["logs", "a"]).stdout.lines().count() > 2000);
        life.run(["stop", "-t", "0", "a"]).exits(0);
        assert_eq!(life.state("a"), "exited");
        life.run(["rm", "a"]).exits(0);
        let mut out = run.stdout.take().expect("a pipe");
        let mut all = String::new();
        std::io::Read::read_to_string(&mut out, &mut all).expect("text");
        // All that had been written is there, in its order.
        let written: String = (1..=100_000).map(|n| format!("{n}\n")).collect();
        assert!(all.len() > 2000 && written.starts_with(&all), "{}", &all[..all.len().min(2000)]);
        assert_eq!(run.wait().expect("its end").code(), Some(137));
        life.end();
    }
}

#[test]
fn a_log_is_rotated_and_followed() {
    for make in both() {
        let life = make();
        let script = "read go; for i in $(seq 400); do echo line $i; done; read end";
        life.up("a", &["-i", "--log-opt", "max-size=8k", "--log-opt", "max-file=5"], script);
        let follow = life.command(["logs", "-f", "a"]).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut attach =
            life.command(["attach", "a"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
        let mut typing = attach.stdin.take().expect("a pipe");
        typing.write_all(b"go\n").expect("it reads");
        let files = || {
            let log = life.field("a", "{{.LogPath}}");
            (0..9)
                .filter(|n| std::path::Path::new(&if *n == 0 { log.clone() } else { format!("{log}.{n}") }).exists())
                .count()
        };
        life.until("it has written all", || life.run(["logs", "-n", "1", "a"]).stdout == "line 400\n");
        assert!(life.is_root().then(files).is_none_or(|n| n > 1), "it was rotated");
        typing.write_all(b"end\n").expect("it reads");
        drop(typing);
        attach.wait().expect("its end");
        let followed = follow.wait_with_output().expect("its end").stdout;
        let expected: String = (1..=400).map(|n| format!("line {n}\n")).collect();
        assert_eq!(String::from_utf8_lossy(&followed), expected);
        assert_eq!(life.run(["logs", "a"]).stdout, expected);
        // No more files than were asked for.
        life.run([
            "full-run",
            "--name",
            "b",
            "--log-opt",
            "max-size=1k",
            "--log-opt",
            "max-file=2",
            "--network",
            "none",
            "host",
            "seq",
            "1000",
        ])
        .exits(0);
        let last = life.run(["logs", "b"]).stdout;
        assert!(last.ends_with("\n1000\n") && last.lines().count() < 1000, "{last}");
        life.end();
    }
}

#[test]
fn logs_follow_through_restarts() {
    for make in both() {
        let life = make();
        life.up("a", &["--restart", "on-failure:2"], "echo up; sleep 0.3; exit 1");
        let by_policy = life.command(["logs", "-f", "a"]).stdout(Stdio::piped()).spawn().expect("it starts");
        assert_eq!(by_policy.wait_with_output().expect("its end").stdout, b"up\nup\nup\n");
        life.sleeper("b", &[]);
        life.up("c", &[], "trap 'exit 1' TERM; echo up; while :; do sleep 100 & wait $!; done");
        let by_hand = life.command(["logs", "-f", "c"]).stdout(Stdio::piped()).spawn().expect("it starts");
        for n in 2..5 {
            life.run(["restart", "c"]).exits(0);
            life.until("it is up again", || life.run(["logs", "c"]).stdout.lines().count() == n);
        }
        life.run(["stop", "c"]).exits(0);
        assert_eq!(by_hand.wait_with_output().expect("its end").stdout, b"up\nup\nup\nup\n");
        life.end();
    }
}

use super::*;
use serde_json::json;

fn object() -> Value {
    json!({
        "Id": "0123456789ab",
        "Name": "/web",
        "State": { "Pid": 7, "Running": true, "Status": "running", "Error": "" },
        "Config": {
            "Labels": { "app": "shop", "com.example.tier": "front" },
            "Env": ["A=1", "B=2"],
            "Cmd": null,
        },
        "Mounts": [{ "Type": "bind", "Source": "/a" }, { "Type": "volume", "Source": "/b" }],
        "NetworkSettings": { "Networks": { "bridge": { "IPAddress": "172.17.0.2" }, "other": { "IPAddress": "10.0.0.2" } } },
        LABELS: { "app": "shop, and more" },
    })
}

fn filled(template: &str) -> Result<String> {
    match parse(template)? {
        Format::Template(template, _) => fill(&template, &object()),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn says(template: &str, text: &str) {
    assert_eq!(filled(template).map_err(|e| e.to_string()).as_deref(), Ok(text), "{template}");
}

#[track_caller]
fn refused(template: &str, words: &[&str]) {
    let error = filled(template).expect_err(template).to_string();
    assert!(words.iter().all(|word| error.contains(word)) && error.contains("--format: "), "{template}: {error}");
}

#[test]
fn fields_become_their_values() {
    says("{{.Name}}\\t{{ .State.Pid }}\\n", "/web\t7\n");
    says("{{json .Config.Labels}} {{.Config.Env}}", r#"{"app":"shop","com.example.tier":"front"} [A=1 B=2]"#);
    says("{{.Config.Labels}}|{{.State.Running}}|{{.State.Error}}", "map[app:shop com.example.tier:front]|true|");
    says("{{.Config.Cmd}} {{.Config.Labels.nothing}} {{$.Config.Labels.app}}", "<no value> <no value> shop");
    says("{{.State.Health}}{{if .State.Health}}{{.State.Health.Status}}{{else}} none{{end}}", "<no value> none");
    says("plain }} text", "plain }} text");
}

#[test]
fn unknown_fields_are_refused_with_their_place() {
    refused("{{.Nothing}}", &["there is no .Nothing", "there are: Config, Id", "in {{.Nothing}}, at 1:1"]);
    refused("a\\n{{.Id}}\n é {{.State.Nothing}}", &["there is no .State.Nothing", "Status", "at 2:4"]);
    refused("{{.State.Pid.More}}", &["there is no .State.Pid.More: .State.Pid is 7"]);
    refused("{{.State.Health.Status}}", &[".State.Health is <nil>"]);
    refused("{{range .Mounts}}{{.Name}}{{end}}", &["there is no .Name", "Source, Type", "at 1:18"]);
}

#[test]
fn ranges_go_over_lists_and_maps() {
    says("{{range .Mounts}}{{.Type}}={{.Source}} {{end}}", "bind=/a volume=/b ");
    says("{{range $n, $m := .Mounts}}{{$n}}{{$m.Type}}{{end}}", "0bind1volume");
    says("{{range $m := .Mounts}}{{$m.Type}} {{$.Name}} {{end}}", "bind /web volume /web ");
    says(
        "{{range $k, $v := .NetworkSettings.Networks}}{{$k}}:{{$v.IPAddress}} {{end}}",
        "bridge:172.17.0.2 other:10.0.0.2 ",
    );
    says("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "172.17.0.210.0.0.2");
    says("{{range .Config.Cmd}}x{{else}}none{{end}}{{range split \"\" \",\"}}[{{.}}]{{end}}", "none[]");
    says("{{range .Config.Env}}{{if eq . \"A=1\"}}{{continue}}{{end}}{{.}}{{end}}", "B=2");
    says("{{range .Config.Env}}{{.}}{{break}}{{end}}", "A=1");
    refused("{{range .Name}}{{end}}", &["range wants a list or a map, and not /web (string)"]);
}

#[test]
fn conditions() {
    says("{{if .State.Error}}bad{{else if eq .State.Pid 0}}gone{{else}}well{{end}}", "well");
    says("{{if and .State.Running (gt .State.Pid 1)}}up{{end}}", "up");
    says("{{if not .State.Running}}down{{else}}up{{end}}{{if or .State.Error false}}x{{end}}", "up");
    says("{{with .State}}{{.Pid}} {{$.Name}}{{end}}{{with .State.Error}}x{{else}} fine{{end}}", "7 /web fine");
    says("{{with $s := .State}}{{$s.Pid}}{{end}}{{with .State.Error}}{{else with .Name}} {{.}}{{end}}", "7 /web");
    says(
        "{{if eq .State.Status \"exited\" \"running\"}}known{{end}} {{ne 1 2}} {{le 2 2}} {{ge 1.5 2}} {{lt \"a\" \"b\"}}",
        "known true true false true",
    );
    // What decides keeps the rest from being looked at.
    says("{{or .Name .Nothing}} {{and .State.Error .Nothing}}", "/web ");
    says("{{eq .Config.Cmd nil}}", "true");
    refused("{{eq .Name 1}}", &["cannot compare /web (string) with 1 (int)"]);
    refused("{{lt true false}}", &["cannot compare"]);
}

#[test]
fn functions_of_go_and_docker() {
    says("{{index .Config.Labels \"com.example.tier\"}}{{index .Config.Labels \"none\"}}", "front");
    says(
        "{{index .Config.Env 1}} {{(index .Mounts 0).Source}} {{index .NetworkSettings.Networks \"x\"}}",
        "B=2 /a <no value>",
    );
    says("{{len .Mounts}} {{len .Name}} {{.Config.Labels | len}} {{len .Config.Cmd}}", "2 4 2 0");
    says("{{.Config.Env | json}} {{.Name | printf \"%-6s|%q\" .Id}}", "[\"A=1\",\"B=2\"] 0123456789ab|\"/web\"");
    says("{{join .Config.Env \", \"}} {{range split .Name \"e\"}}[{{.}}]{{end}}", "A=1, B=2 [/w][b]");
    says(
        "{{upper .Name}} {{\"ABC\" | lower}} {{title \"up for it\"}} {{truncate .Id 4}} [{{pad .Name 1 2}}]",
        "/WEB abc Up For It 0123 [ /web  ]",
    );
    says("{{slice .Id 0 3}} {{print 1 2 \"x\" 3}}{{println .Name 1}}", "012 1 2x3/web 1\n");
    says("{{.Label \"app\"}}|{{.Label \"none\"}}{{if eq (.Label \"app\") \"x\"}}no{{end}}", "shop, and more|");
    for (bad, words) in [
        ("{{index .Mounts 2}}", "there is no element 2: the list has 2"),
        ("{{index .Name 0}}", "index wants a list or a map"),
        ("{{len 5}}", "len wants"),
        ("{{upper 5}}", "upper wants a string"),
        ("{{join .Name \",\"}}", "join wants a list"),
        ("{{truncate .Name -1}}", "truncate wants"),
        ("{{pad .Name 1 99999999999}}", "pad wants"),
        ("{{.Name 1}}", "only functions take arguments"),
    ] {
        refused(bad, &[words]);
    }
}

#[test]
fn variables_and_literals() {
    says("{{$x := .Name}}{{$x}} {{$x = 5}}{{$x}}", "/web 5");
    says("{{$last := \"\"}}{{range .Config.Env}}{{$last = .}}{{end}}{{$last}}", "B=2");
    says(
        "{{\"a\\tb\\x41\\u00e9\\\"\"}}{{`raw\\t`}}{{'a'}} {{-3}} {{0x10}} {{1.5e1}} {{true}}",
        "a\tbAé\"raw\\t97 -3 16 15 true",
    );
    refused("{{range .Mounts}}{{$x := .}}{{end}}{{$x}}", &["there is no $x"]);
    refused("{{$x = 1}}", &["there is no $x"]);
}

#[test]
fn blanks_and_comments() {
    says("a  {{- .Name -}}  \n b {{- /* said\nlater */ -}} c{{/* }} */}}d", "a/webbcd");
    says("{{if .Name -}}\n  x\n{{- end}}.", "x.");
    says("{{\"}}\"}}", "}}");
    refused("{{/* never closed", &["a comment without */"]);
}

#[test]
fn what_is_not_understood_is_refused() {
    for (bad, words) in [
        ("{{.A", "{{ without }}"),
        ("{{range .A}}", "{{range}} without {{end}}"),
        ("{{if .Name}}x{{else}}y", "{{if}} without {{end}}"),
        ("{{end}}", "{{end}} without if"),
        ("{{if .Name}}{{else}}{{else}}{{end}}", "{{else}} is too much"),
        ("{{else}}", "{{else}} without if"),
        ("{{A}}", "there is no function A"),
        ("{{.Name | .State.Pid}}", "only functions"),
        ("{{.Name | 5}}", "what follows a | is no function"),
        ("{{}}", "a value is missing"),
        ("{{.Name | }}", "a value is missing"),
        ("{{.A..B}}", "blanks"),
        ("{{.A\"x\"}}", "blanks"),
        ("{{(.Name}}", "( without )"),
        ("{{.Name)}}", ") without ("),
        ("{{\"x}}", "a \" without another"),
        ("{{\"\\z\"}}", "\\z is no escape"),
        ("{{5x}}", "5x is not a number"),
        ("{{.Name ^ 2}}", "^ is not understood"),
        ("{{template \"x\"}}", "no use here"),
        ("{{break}}", "in a range"),
        ("{{$a, 1 := .Name}}", "second variable"),
        ("{{if}}x{{end}}", "a value is missing"),
    ] {
        refused(bad, &[words]);
    }
    for deep in ["{{if .Name}}", "{{if .Name}}{{else if .Name}}"].map(|open| open.repeat(300)) {
        refused(&deep, &["too deep"]);
    }
    refused(&format!("{{{{{}", "(".repeat(20_000)), &["{{ without }}"]);
    refused(&format!("{{{{{}}}}}", "(".repeat(20_000)), &["too deep"]);
    assert_eq!(parse(" table ").unwrap(), Format::Table);
}

#[test]
fn headings_say_what_columns_have() {
    let Format::Template(template, true) =
        parse("table {{.ID}}\\t{{upper .LocalVolumes}}: {{.Label \"a.my-app\"}}").unwrap()
    else {
        panic!("no table");
    };
    let known = [("ID".to_string(), json!("CONTAINER ID"))].into_iter().collect();
    assert_eq!(eval::headings(&template.nodes, known).unwrap(), "CONTAINER ID\tLOCAL VOLUMES: my app");
    let names = ["CreatedAt", "RunningFor", "CPUPerc", "ID", "Names"].map(eval::heading);
    assert_eq!(names, ["CREATED AT", "RUNNING FOR", "CPUPERC", "ID", "NAMES"]);
}

#[test]
fn cells_stand_in_columns() {
    assert_eq!(
        in_columns("NAMES\tSTATUS\na-longer-name\tUp\tx\nb\tUp\ty\n"),
        "\
NAMES           STATUS
a-longer-name   Up        x
b               Up        y
"
    );
    // A line without the cell ends the column.
    assert_eq!(in_columns("a\tb\nalone\naaaaaaaaaaaa\tb\n"), "a         b\nalone\naaaaaaaaaaaa   b\n");
}

#[test]
fn a_format_knows_what_it_shows() {
    let names = |text: &str| parse(text).unwrap().names("Size");
    assert_eq!(
        ["{{.Size}}", "table {{.ID}}\\t{{.Size | upper}}", "{{if (eq $.Size \"0B\")}}{{end}}"].map(names),
        [true; 3]
    );
    assert_eq!(["", "json", "{{.ID}} Size", "{{json .}}"].map(names), [false; 4]);
    let all = |text: &str| parse(text).unwrap().shows_all();
    assert_eq!(["json", "{{json .}}", "{{range .Names}}{{json $}}{{end}}"].map(all), [true; 3]);
    assert_eq!(["", "{{json .ID}}"].map(all), [false; 2]);
}

//! `completion` and `man`: made from the same description of the command line as everything else. What a script of
//! clap_complete's cannot know, the names of the containers that there are, it learns by asking `boxwright ps -a`.

use crate::error::{Error, Result};
use crate::ui;
use clap::{Arg, ArgMatches, Command};
use clap_complete::{Shell, generate};
use std::path::PathBuf;
use std::process::ExitCode;

/// The command that lists the names.
const NAMES: &str = "ps -a --format '{{.Names}}' 2>/dev/null";

/// Their command lines.
pub fn commands() -> [Command; 2] {
    let completion =
        Command::new("completion").about("Print a script by which a shell completes commands, flags and containers");
    let man = Command::new("man").about("Write the man pages into a directory");
    [
        completion.defer(|c| {
            c.arg(
                Arg::new("shell")
                    .value_name("SHELL")
                    .value_parser(["bash", "zsh", "fish"])
                    .required(true)
                    .help("Which"),
            )
            .after_help(
                "bash:  boxwright completion bash > ~/.local/share/bash-completion/completions/boxwright\n\
                     zsh:   boxwright completion zsh > DIR/_boxwright, DIR being in $fpath\n\
                     fish:  boxwright completion fish > ~/.config/fish/completions/boxwright.fish",
            )
        }),
        man.defer(|c| {
            let dir = Arg::new("dir").value_name("DIR").value_parser(clap::value_parser!(PathBuf)).required(true);
            c.arg(dir.help("Made if it is not there: /usr/local/share/man/man1, say"))
        }),
    ]
}

/// Prints a completion script.
///
/// # Errors
/// None that a caller could cause: clap has checked the shell's name.
pub fn completion(matches: &ArgMatches) -> Result<ExitCode> {
    let mut command = super::command();
    command.build();
    let takers = takers(&command);
    let shell = matches.get_one::<String>("shell").map_or("bash", String::as_str);
    let script = |shell: Shell, command: &mut Command| {
        let mut out = Vec::new();
        generate(shell, command, "boxwright", &mut out);
        String::from_utf8_lossy(&out).into_owned()
    };
    ui::print(&match shell {
        "zsh" => zsh(&script(Shell::Zsh, &mut command)),
        "fish" => script(Shell::Fish, &mut command) + &fish(&takers),
        _ => script(Shell::Bash, &mut command) + &bash(&takers),
    });
    Ok(ExitCode::SUCCESS)
}

/// A command that takes names of containers.
struct Taker {
    /// It and its aliases.
    names: Vec<String>,
    /// More than one?
    many: bool,
    /// Its flags that take a value: behind these comes no container.
    values: Vec<String>,
}

fn takers(command: &Command) -> Vec<Taker> {
    let taker = |c: &Command| {
        let containers = c.get_arguments().find(|arg| arg.get_id() == "containers");
        let is_cp = c.get_name() == "cp";
        if containers.is_none() && !is_cp {
            return None;
        }
        let many = is_cp || containers.and_then(Arg::get_num_args).is_some_and(|n| n.max_values() > 1);
        let flags = c.get_arguments().filter(|arg| arg.get_action().takes_values());
        let values = flags.flat_map(|arg| {
            let long = arg.get_long().map(|long| format!("--{long}"));
            long.into_iter().chain(arg.get_short().map(|short| format!("-{short}")))
        });
        let names = std::iter::once(c.get_name()).chain(c.get_visible_aliases()).map(str::to_string);
        Some(Taker { names: names.collect(), many, values: values.collect() })
    };
    command.get_subcommands().filter_map(taker).collect()
}

/// Behind clap_complete's own function, one that has the names, too.
fn bash(takers: &[Taker]) -> String {
    let cases: String = takers
        .iter()
        .map(|t| {
            format!("        {}) many={}; values=' {} ' ;;\n", t.names.join("|"), u8::from(t.many), t.values.join(" "))
        })
        .collect();
    format!(
        r#"
_boxwright_complete() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} command= many= values= given=0 i names
    local -a root=()
    _boxwright "$@"
    for ((i = 1; i < COMP_CWORD; i++)); do
        if [[ ${{COMP_WORDS[i]}} == --root ]]; then
            root=(--root "${{COMP_WORDS[++i]}}")
        elif [[ ${{COMP_WORDS[i]}} != -* ]]; then
            command=${{COMP_WORDS[i++]}}
            break
        fi
    done
    case $command in
{cases}        *) return 0 ;;
    esac
    for ((; i < COMP_CWORD; i++)); do
        if [[ $values == *" ${{COMP_WORDS[i]}} "* ]]; then
            ((++i < COMP_CWORD)) || return 0
        elif [[ ${{COMP_WORDS[i]}} != -* ]]; then
            given=1
        fi
    done
    [[ $cur == -* ]] || ((given && !many)) && return 0
    names=$(boxwright "${{root[@]}}" {NAMES})
    if [[ $command == cp ]]; then
        COMPREPLY=($(compgen -S : -W "$names" -- "$cur") $(compgen -f -- "$cur"))
        compopt -o nospace 2>/dev/null
    else
        COMPREPLY=($(compgen -W "$names" -- "$cur"))
    fi
    return 0
}}

complete -F _boxwright_complete -o bashdefault -o default boxwright
"#
    )
}

/// In place of "any file" where a container is wanted.
fn zsh(script: &str) -> String {
    let wanted = ":containers -- Name, id, or the beginning of an id:";
    let script = script.replace(&format!("{wanted}_default"), &format!("{wanted}_boxwright_containers"));
    let (head, rest) = script.split_once('\n').unwrap_or((&script, ""));
    format!(
        "{head}\n\n_boxwright_containers() {{\n    local -a names\n    names=(${{(f)\"$(boxwright {NAMES})\"}})\n    \
         compadd -a names\n}}\n{rest}"
    )
}

fn fish(takers: &[Taker]) -> String {
    let line = |t: &Taker, name: &String| {
        let (files, sed) = if name == "cp" { ("", " | string replace -r '\\$' ':'") } else { ("-f ", "") };
        let first = if t.many { String::new() } else { "; and not __fish_boxwright_has_container".into() };
        format!(
            "complete -c boxwright -n \"__fish_boxwright_using_subcommand {name}{first}\" {files}-a \"(boxwright {}{sed})\"\n",
            NAMES
        )
    };
    let lines: String = takers.iter().flat_map(|t| t.names.iter().map(move |name| line(t, name))).collect();
    format!(
        "\nfunction __fish_boxwright_has_container\n    set -l given (commandline -opc | string match -v -- '-*')\n    \
         test (count $given) -gt 2\nend\n{lines}"
    )
}

/// Writes the man pages.
///
/// # Errors
/// EACCES, ENOSPC.
pub fn man(matches: &ArgMatches) -> Result<ExitCode> {
    let dir = matches.get_one::<PathBuf>("dir").cloned().unwrap_or_default();
    let failed = |call: &str, e: &std::io::Error| {
        Error::io(format!("{call}({})", dir.display()), e).hint("another directory, or as root")
    };
    std::fs::create_dir_all(&dir).map_err(|e| failed("mkdir", &e))?;
    let mut command = super::command();
    command.build();
    clap_mangen::generate_to(command, &dir).map_err(|e| failed("write", &e))?;
    Ok(ExitCode::SUCCESS)
}

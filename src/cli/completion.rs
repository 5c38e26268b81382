//! `completion` and `man`: made from the same description of the command line as everything else. What a script of
//! clap_complete's cannot know, the names of the containers and volumes that there are, it learns by asking boxwright.

mod offer;

use crate::error::{Error, Result};
use crate::ui;
use clap::{Arg, ArgMatches, Command};
use clap_complete::{Shell, generate};
use offer::{Question, Taker, What};
use std::path::PathBuf;
use std::process::ExitCode;

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
    let takers = offer::takers(&command, &[]);
    let mut command = offer::described(command);
    let shell = matches.get_one::<String>("shell").map_or("bash", String::as_str);
    let script = |shell: Shell, command: &mut Command| {
        let mut out = Vec::new();
        generate(shell, command, "boxwright", &mut out);
        String::from_utf8_lossy(&out).into_owned()
    };
    ui::print(&match shell {
        "zsh" => zsh(&script(Shell::Zsh, &mut command), &takers),
        "fish" => script(Shell::Fish, &mut command) + &fish(&takers),
        _ => script(Shell::Bash, &mut command) + &bash(&takers),
    });
    Ok(ExitCode::SUCCESS)
}

impl Question {
    /// Its command line, without the program.
    fn line(&self) -> String {
        format!("{} --format '{{{{.{}}}}}' 2>/dev/null", self.command, self.field)
    }
}

/// Behind clap_complete's own function, one that knows what a command's words are. Files are its own business: bash's
/// `-o default` would offer them wherever there is nothing else.
fn bash(takers: &[Taker]) -> String {
    let offer = |what: What| match what {
        What::Ask(question) => format!("ask={}", question.name),
        What::ContainersOrFiles => format!("ask={} files=1", offer::ALL.name),
        What::Image => "words=host".into(),
        What::Dirs => "dirs=1".into(),
        What::Nothing => String::new(),
    };
    let case = |t: &Taker| {
        let (path, values) = (t.path.join(" "), t.values.join(" "));
        format!("        '{path}') many={}; values=' {values} '; {} ;;\n", u8::from(t.many), offer(t.what))
    };
    let cases: String = takers.iter().map(case).collect::<String>().replace("; ;;", " ;;");
    let ask = |q: &Question| format!("        {}) words=$(boxwright \"${{root[@]}}\" {}) ;;\n", q.name, q.line());
    let questions: String = offer::QUESTIONS.iter().map(ask).collect();
    let mut groups: Vec<&str> = takers.iter().filter(|t| t.path.len() > 1).map(|t| t.path[0].as_str()).collect();
    groups.dedup();
    let groups = groups.join("|");
    format!(
        r#"
_boxwright_complete() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}} command= many= values= given=0 i
    local ask= files= dirs= words=
    local -a root=()
    # --flag=value is three words.
    if [[ $cur == '=' ]]; then
        cur=
    elif [[ $prev == '=' ]]; then
        prev=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    _boxwright "$1" "$cur" "$prev"
    [[ ${{#COMPREPLY[@]}} -eq 1 && ${{COMPREPLY[0]}} == *= ]] && compopt -o nospace 2>/dev/null
    for ((i = 1; i < COMP_CWORD; i++)); do
        if [[ ${{COMP_WORDS[i]}} == --root ]]; then
            [[ ${{COMP_WORDS[i + 1]}} == '=' ]] && ((++i))
            root=(--root "${{COMP_WORDS[++i]}}")
        elif [[ ${{COMP_WORDS[i]}} != -* ]]; then
            command+=${{command:+ }}${{COMP_WORDS[i]}}
            case $command in
            {groups}) ;;
            *) ((i++)) && break ;;
            esac
        fi
    done
    case $command in
{cases}        *) return 0 ;;
    esac
    for ((; i < COMP_CWORD; i++)); do
        if [[ $values == *" ${{COMP_WORDS[i]}} "* ]]; then
            [[ ${{COMP_WORDS[i + 1]}} == '=' ]] && ((++i))
            ((++i < COMP_CWORD)) || return 0
        elif [[ ${{COMP_WORDS[i]}} != -* ]]; then
            given=1
        fi
    done
    if ((given && !many)); then
        COMPREPLY=()
        return 0
    fi
    [[ $cur == -* ]] && return 0
    case $ask in
{questions}    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    if ((files)); then
        COMPREPLY=($(compgen -S : -W "$words" -- "$cur") $(compgen -f -- "$cur"))
        compopt -o nospace 2>/dev/null
    elif ((dirs)); then
        compopt -o plusdirs 2>/dev/null
    fi
    return 0
}}

complete -F _boxwright_complete boxwright
"#
    )
}

/// In place of "any file" where a container or a volume is wanted.
fn zsh(script: &str, takers: &[Taker]) -> String {
    let function = |q: &Question| {
        format!(
            "_boxwright_{}() {{\n    local -a names\n    names=(${{(f)\"$(boxwright {})\"}})\n    \
             compadd \"$@\" -a names\n}}\n\n",
            q.name,
            q.line()
        )
    };
    let functions: String = offer::QUESTIONS.iter().map(function).collect();
    let both = "_boxwright_copied() {\n    _boxwright_containers -S :\n    _files\n}\n";
    let (head, rest) = script.split_once('\n').unwrap_or((script, ""));
    let mut out = format!("{head}\n\n{functions}{both}");
    let mut command = "";
    for line in rest.lines() {
        // Every command's words stand below its name in parentheses.
        if let Some(name) = line.trim_start().strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
            command = name;
        }
        let word = ["':", "'*:"].iter().any(|begin| line.starts_with(begin));
        let of = |id: &str| word && line.contains(&format!(":{id} -- "));
        let named = |t: &&Taker| t.path.last().is_some_and(|name| name == command);
        let what = if of("source") || of("dest") {
            Some("copied")
        } else if of("volumes") {
            Some("volumes")
        } else if of("containers") {
            takers.iter().filter(named).find_map(|t| match t.what {
                What::Ask(question) if question.field == offer::ALL.field => Some(question.name),
                _ => None,
            })
        } else {
            None
        };
        match what.zip(line.strip_suffix("_default' \\")) {
            Some((name, line)) => out += &format!("{line}_boxwright_{name}' \\\n"),
            None => out += &format!("{line}\n"),
        }
    }
    out
}

fn fish(takers: &[Taker]) -> String {
    let line = |t: &Taker| {
        let mut using = format!("__fish_boxwright_using_subcommand {}", t.path[0]);
        if let Some(name) = t.path.get(1) {
            using += &format!("; and __fish_seen_subcommand_from {name}");
        }
        let ask = match t.what {
            What::Ask(question) => format!("(boxwright {})", question.line()),
            What::ContainersOrFiles => {
                format!("(boxwright {} | string replace -r '\\$' ':')", offer::ALL.line())
            }
            What::Image => "host".into(),
            What::Dirs => "(__fish_complete_directories)".into(),
            What::Nothing => String::new(),
        };
        let mut lines = String::new();
        if t.what != What::ContainersOrFiles {
            lines += &format!("complete -c boxwright -n \"{using}\" -f\n");
        }
        if !t.many {
            let values = t.values.join(" ");
            using += &format!("; and not __fish_boxwright_given {} --root {values}", t.path.len() + 1);
        }
        if !ask.is_empty() {
            lines += &format!("complete -c boxwright -n \"{using}\" -a \"{ask}\"\n");
        }
        lines
    };
    let lines: String = takers.iter().map(line).collect();
    // Are there more words than so many, flags and their values aside?
    format!(
        "\nfunction __fish_boxwright_given\n    set -l count 0\n    set -l value 0\n    \
         for word in (commandline -opc)\n        if test $value = 1\n            set value 0\n        \
         else if contains -- $word $argv[2..-1]\n            set value 1\n        \
         else if not string match -q -- '-*' $word\n            set count (math $count + 1)\n        \
         end\n    end\n    test $count -gt $argv[1]\nend\n{lines}"
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

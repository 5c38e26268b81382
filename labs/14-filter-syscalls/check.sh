# A command is run through the learner's script, and tells what it could do.

# It makes a file, and directories beside it: by mkdir(1), and by the command that it is given. LC_ALL is not a language,
# so EPERM reads the same everywhere.
probe='
	work=$(mktemp "${TMPDIR:-/tmp}/probe.XXXXXX") || exit 1
	echo "a file: done"
	makes() {
		eval "$2" 2> "$work"
		if test -d "$work.d"; then echo "$1: done"; else sed -n "1s/.*: /$1: /p" "$work"; fi
		rm -rf "$work.d"
	}
	makes "a directory" "mkdir \"\$work.d\""
	makes "a directory, by mkdirat" "$1"
	rm -f "$work" && echo "removed: done"
	sed -n "s/^Seccomp:[[:space:]]*/seccomp: /p" /proc/self/status
	exit 42'

says() {
	grep -qx "$1" "$OUT"
}

needs_stage filter-syscalls

# Which tool calls mkdirat(2)? mkdir(1) does where there is nothing else (arm64). GNU tar does everywhere, and cp from
# coreutils 9.1 on; what they copy here is in every container. A filter of that call alone shows it.
echo '{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{ "names": ["mkdirat"], "action": "SCMP_ACT_ERRNO" }] }' > mkdirat.json
by_tar='tar -C / --no-recursion --transform "s,.*,${work##*/}.d," -cf - usr | tar -C "${work%/*}" -xf -'
by_cp='cp -r /proc/self/ns "$work.d"'
calls_mkdirat() {
	boxwright filter-syscalls -q --security-opt seccomp=mkdirat.json -- sh -c "$probe" sh "$1" > "$OUT" 2>&1
	says 'a directory, by mkdirat: Operation not permitted'
}
tool_that_calls_mkdirat() {
	for tool in "$by_tar" "$by_cp"; do if calls_mkdirat "$tool"; then return; fi; done
	return 1
}
baseline 'there is a tool that makes directories by mkdirat' tool_that_calls_mkdirat

sh -c "$probe" sh "$tool" > "$OUT" 2>&1
baseline 'here the command can make a file' says 'a file: done'
baseline 'and a directory' says 'a directory: done'
baseline 'also by mkdirat' says 'a directory, by mkdirat: done'

finish_exercise sh -c "$probe" sh "$tool"

expect 'through your script, the command can make a file' says 'a file: done'
expect 'and remove it' says 'removed: done'
expect 'it cannot make a directory: EPERM' says 'a directory: Operation not permitted'
expect 'nor by the newer call, mkdirat: EPERM' says 'a directory, by mkdirat: Operation not permitted'
expect 'the kernel has a filter for it' says 'seccomp: 2'
expect 'and the command was run to its end' test "$status" = 42

# A command is run through the learner's script, and tells what it could do.

# It makes a file, and a directory beside it. LC_ALL is not a language, so EPERM reads the same everywhere.
probe='
	work=$(mktemp "${TMPDIR:-/tmp}/probe.XXXXXX") || exit 1
	echo "a file: done"
	mkdir "$work.d" 2> "$work" && echo "a directory: done" || sed "s/.*: /a directory: /" "$work"
	rmdir "$work.d" 2> /dev/null
	rm -f "$work" && echo "removed: done"
	sed -n "s/^Seccomp:[[:space:]]*/seccomp: /p" /proc/self/status
	exit 42'

says() {
	grep -qx "$1" "$OUT"
}

sh -c "$probe" > "$OUT" 2>&1
baseline 'here the command can make a file' says 'a file: done'
baseline 'and a directory' says 'a directory: done'

finish_exercise sh -c "$probe"

expect 'through your script, the command can make a file' says 'a file: done'
expect 'and remove it' says 'removed: done'
expect 'it cannot make a directory: EPERM' says 'a directory: Operation not permitted'
expect 'the kernel has a filter for it' says 'seccomp: 2'
expect 'and the command was run to its end' test "$status" = 42

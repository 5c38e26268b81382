# Does lab-phoenix rise when it is killed, tell of both its lives, and lie down when it is asked to?

boxwright full-run --rm host true > /dev/null 2>&1 < /dev/null || skip 'no container can be started here: boxwright doctor'

away() {
	boxwright rm -f lab-phoenix > /dev/null 2>&1
}
known() {
	boxwright inspect lab-phoenix
}
# Process 1 of the container: sets $first.
begun() {
	first=$(boxwright inspect --format '{{.State.Pid}}' lab-phoenix) && [ "${first:-0}" -gt 1 ]
}
# The sleep 600 in the container's PID namespace, as the kernel has it.
sleeps() {
	begun || return 1
	for process in $(pgrep -x sleep); do
		if [ "$(namespace_of "$process" pid)" = "$(namespace_of "$first" pid)" ] &&
			[ "$(tr '\0' ' ' < "/proc/$process/cmdline")" = 'sleep 600 ' ]; then
			return 0
		fi
	done
	return 1
}
sleeps_anew() {
	sleeps && [ "$first" != "$killed" ]
}
lines() {
	boxwright logs lab-phoenix 2>&1 | wc -l
}
said() {
	[ "$(lines)" -eq "$1" ]
}
# Without this one, the rest means nothing.
must() {
	expect "$@"
	if [ -n "$failed" ]; then
		kill "$exercise" 2> /dev/null
		away
		exit 1
	fi
}

away
baseline 'there is no lab-phoenix before' ! known

begin
expect 'your script ends, and leaves its container in the background' within 20 has_ended "$exercise"
must 'sleep 600 runs in lab-phoenix' within 10 sleeps
expect 'in a PID namespace of its own' test "$(namespace_of "$first" pid)" != "$(namespace_of $$ pid)"
expect 'it has said one line' within 3 said 1

killed=$first
kill -KILL "$killed"
must 'killed, it comes back as another process' within 5 sleeps_anew
expect 'and its log has a line of each of its lives' within 3 said 2

boxwright stop --time 1 lab-phoenix > /dev/null 2>&1
expect 'stopped, its process is gone' within 5 has_ended "$first"
expect 'and it stays down' ! within 2 sleeps
expect 'what it said is still known' said 2

away
expect 'removed, nothing is known of it' ! known

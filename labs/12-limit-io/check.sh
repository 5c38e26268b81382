# Is the learner's dd held to 1 MiB a second?

needs_stage limit-io

MOST=1048576

# The smallest limit on writing, of any disk; nothing where there is none.
write_limit() {
	limit_of "$1" io.max | sed -n 's/.*wbps=\([0-9]*\).*/\1/p' | sort -n | head -n 1
}

is_limited() {
	[ "$(write_limit "$1")" -le "$MOST" ]
}

# What the process has handed to a disk, by the kernel's own account (proc_pid_io(5)).
written() {
	sed -n 's/^write_bytes: //p' "/proc/$1/io"
}

has_written() {
	[ "$(written "$pid")" -gt "$1" ]
}

# Over some seconds. A machine that is busy makes it slower, and never faster.
is_slow() {
	begin=$(cut -d. -f1 /proc/uptime)
	from=$(written "$pid")
	sleep 3
	to=$(written "$pid")
	seconds=$(($(cut -d. -f1 /proc/uptime) - begin + 1))
	[ $((to - from)) -le $((seconds * MOST * 6 / 5)) ]
}

baseline 'the groups of this shell are not limited like that' ! is_limited $$

begin
payload dd

expect 'there is a limit on what it may write' is_limited "$pid"
if is_limited "$pid"; then
	expect 'it writes' within 20 has_written 0
	expect 'and not more than that' is_slow
fi

end_exercise

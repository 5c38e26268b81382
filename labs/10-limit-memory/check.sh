# Is the learner's sleep in a cgroup with 32 MiB and no swap, in which something else was killed?

needs_stage limit-memory

MOST=33554432

has_memory() {
	limit=$(limit_of "$1" memory.max)
	[ "$limit" != max ] && [ "$limit" -le "$MOST" ]
}

has_no_swap() {
	swap=$(limit_of "$pid" memory.swap.max)
	[ "$swap" = 0 ] || [ "$swap" = none ]
}

one_was_killed() {
	[ "$(counter_of "$pid" oom_kill)" -gt 0 ]
}

alone() {
	[ "$(cgroup_of "$pid" memory)" != "$(cgroup_of $$ memory)" ]
}

baseline 'this shell has more than 32 MiB' ! has_memory $$

begin
payload sleep 600

expect 'it is in a cgroup of its own' alone
expect 'that has 32 MiB of memory at the most' has_memory "$pid"
expect 'and no swap besides' has_no_swap
expect 'the hog was killed there' one_was_killed

end_exercise

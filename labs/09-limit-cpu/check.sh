# Has the learner's yes half a CPU, in portions so small that the pauses between them are short?

needs_stage limit-cpu

# quota_of PID VARIABLES: sets $quota and $period, in microseconds; no quota is more than any.
quota_of() {
	limit=$(limit_of "$1" cpu.max)
	quota=${limit%% *} period=${limit##* }
	[ "$quota" != max ] || quota=1000000000
	[ -n "$quota" ]
}

at_most_half() {
	quota_of "$1" && [ $((quota * 2)) -le "$period" ]
}

# Who has used up the quota as fast as one CPU can, waits for the rest of the period.
pauses_are_short() {
	quota_of "$pid" && [ $((period - quota)) -le 15000 ]
}

throttled() {
	[ "$(counter_of "$pid" nr_throttled)" -gt 0 ]
}

baseline 'this shell has more than half a CPU' ! at_most_half $$

begin
payload yes

expect 'it has at most half a CPU' at_most_half "$pid"
expect 'it never has to wait for more than 15 ms' pauses_are_short
if at_most_half "$pid"; then
	expect 'and the kernel has stopped it' within 30 throttled
fi

end_exercise

# Is the learner's tail in a cgroup with room for 20, and was somebody refused there?

needs_stage limit-pids

has_room_for_20() {
	limit=$(limit_of "$1" pids.max)
	[ "$limit" != max ] && [ "$limit" -le 20 ]
}

alone() {
	[ "$(cgroup_of "$pid" pids)" != "$(cgroup_of $$ pids)" ]
}

some_came() {
	[ "$(file_of "$pid" pids pids.current)" -gt 5 ]
}

some_were_refused() {
	[ "$(counter_of "$pid" pids_max)" -gt 0 ]
}

baseline 'in the group of this shell there is room for more' \
	sh -c 'for n in $(seq 50); do sleep 0 & done; wait'

begin
payload tail

expect 'it is in a cgroup of its own' alone
expect 'that has room for 20' has_room_for_20 "$pid"
expect 'some of the fifty are there' some_came
expect 'and others were refused' some_were_refused

end_exercise

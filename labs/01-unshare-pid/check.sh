# Is the learner's sleep process 1 of another PID namespace?

baseline 'a process of ours is in the PID namespace of this shell' \
	test "$(readlink /proc/self/ns/pid)" = "$(namespace_of $$ pid)"

begin
payload sleep 600

expect 'it is in a PID namespace of its own' test "$(namespace_of "$pid" pid)" != "$(namespace_of $$ pid)"

# NSpid has the process's numbers, one for each PID namespace that it is in; the last one is that of its own.
expect 'and there it is number 1' test "$(status_of "$pid" NSpid | awk '{ print $NF }')" = 1

#!/bin/sh
#without limit-pids -q --pids-limit 20 => limit-pids -q --without limit-pids
# The loop is in a subshell, which dies of EAGAIN (dash at once, bash after some seconds of trying again). The shell that
# has started it does not have to fork once more: exec makes it the tail.
exec boxwright limit-pids -q --pids-limit 20 -- sh -c '
	(for n in $(seq 50); do sleep 300 & done)
	exec tail -f /dev/null'

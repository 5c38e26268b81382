#!/bin/sh
#without --restart always =>
# The monitor is the parent of the container's process: SIGCHLD, or a pidfd that becomes readable, tells it of the end.
# What it then does is the policy; `on-failure` would do here as well, for 137 is not 0. `boxwright stop` writes into the
# record that somebody asked, before it sends the signal, and then no policy counts.
#
# The line is said by the command itself, at the beginning of each life. exec(1) lets sleep take the shell's number 1.
boxwright full-run -d --name lab-phoenix --restart always host sh -c 'echo here I am; exec sleep 600'

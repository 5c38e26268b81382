#!/bin/sh
#without limit-memory -q --memory 32m --memory-swap 32m => limit-memory -q --without limit-memory
# --memory-swap is memory and swap together, as with Docker: 32 of 32 leaves none for swap. Without it there would be 32
# MiB of swap besides, and the hog would be slow before it is dead.
#
# Process 1 is the shell. The kernel kills the largest process of the group, which is tail(1); the shell lives, and
# becomes the sleep.
exec boxwright limit-memory -q --memory 32m --memory-swap 32m -- sh -c '
	head -c 64m /dev/zero | tail | wc -c
	exec sleep 600'

#!/bin/sh
#without --uts =>
# Two namespaces beside the machine's. Each shell names its own, and then becomes the program.
unshare --uts sh -c 'hostname castle; exec sleep 600' &
unshare --uts sh -c 'hostname village; exec tail -f /dev/null' &
wait

#!/bin/sh
#without --net =>
# The outer namespace is the router, the inner one the house. One user namespace owns both, so its root may lay a cable
# between them. The inner shell does it all: it knows the number of the outer one ($$ is replaced out there), which is
# where the other plug goes and whom nsenter visits. In the end it becomes the sleep.
unshare --map-root-user --net sh -c '
	unshare --net sh -c "
		ip link set lo up
		ip link add eth0 type veth peer name port netns $$
		ip address add 10.7.0.2/24 dev eth0
		ip link set eth0 up
		nsenter --target $$ --net sh -c \"ip address add 10.7.0.1/24 dev port; ip link set port up\"
		ip route add default via 10.7.0.1
		exec sleep 600" &
	wait'

#!/bin/sh
# A network of its own: losing ping, and getting it back with a cable, a bridge, a route and NAT.

## Only local is not private
# For this lab a small host is enough: a network namespace with nothing in it, held open by a process that sleeps. (Your own
# network stays out of this.)
#needs tool busybox
holds() { until grep -qx sleep /proc/$1/comm; do sleep 0.1; done; }
unshare --map-root-user --net sleep 3000 &
host=$! && holds $host

# To do something there is to enter its namespaces. So this gives our host a loopback link that is up, and a service that
# listens on 127.0.0.1, because it is for local programs only:
#needs tool busybox
cat > at <<'END'
pid=$1; shift
exec nsenter --target "$pid" --user --preserve-credentials --net "$@"
END
sh at $host ip link set lo up
mkdir www && echo 'the password is hunter2' > www/note
sh at $host busybox httpd -f -p 127.0.0.1:8080 -h www &

# A shell with mounts, processes, a hostname and IPC of its own feels alone in the world. But it shares the network, and so
# it is as local as anybody:
#needs tool busybox
cat > get <<'END'
for try in 1 2 3 4 5; do busybox wget -q -O - "http://$1" 2>/dev/null && exit; sleep 0.2; done
echo 'nobody listens'
END
sh at $host unshare --mount --pid --fork --uts --ipc sh get 127.0.0.1:8080/note

## Nothing but lo
# The same attack from a network namespace. Ports and addresses belong to it, and so does 127.0.0.1: everybody has their own.
#needs tool busybox
#never hunter2
sh at $host unshare --mount --pid --fork --uts --ipc --net sh get 127.0.0.1:8080/note

# All there is in a new one is the loopback link, and it is down. Not even a ping to oneself comes back.
# (`reach` pings an address, or the router where none is given, up to four times.)
#needs tool busybox
cat > reach <<'END'
address=${1:-$(ip route | sed -n 's,^default via \([^ ]*\).*,\1,p')}
ping=$(command -v ping || echo busybox ping)
for try in 1 2 3 4; do
  $ping -c 1 -W 1 "$address" >/dev/null 2>&1 && echo "yes, ${2:-it answers}" && exit
done
echo 'no answer'
END
sh at $host unshare --net sh -c 'ip -brief link show lo; ip route; sh reach 127.0.0.1'

sh at $host unshare --net sh -c 'ip link set lo up; sh reach 127.0.0.1'

## A cable to a bridge
# Here is a box that stays. A veth pair is a cable with two plugs: one is born in the box, and one stays with the host, where
# a bridge, a switch made of software, has a port for it.
#needs tool busybox
sh at $host unshare --net sleep 3000 &
box=$! && holds $box

sh at $host ip link add br0 type bridge
sh at $host ip link add port1 master br0 type veth peer name eth0 netns $box
sh at $host ip link set port1 up
sh at $host ip link set br0 up

# A cable is not enough: to be reached, one needs an address, and the other side one in the same network.
#needs tool busybox
sh at $host ip addr add 10.0.0.1/24 dev br0
sh at $box ip link set eth0 up
sh at $box sh reach 10.0.0.1

sh at $box ip addr add 10.0.0.2/24 dev eth0
sh at $box sh reach 10.0.0.1

# Pull the plug, and put it back:
#needs tool busybox
sh at $host ip link set port1 down
sh at $box sh reach 10.0.0.1
sh at $host ip link set port1 up
sh at $box sh reach 10.0.0.1

## The world out there knows no way back
# Now the world: one more namespace, connected to the host by a cable of its own. It stands for the internet, and its
# address is 192.0.2.9.
#needs tool busybox
sh at $host unshare --net sleep 3000 &
world=$! && holds $world

sh at $host ip link add uplink type veth peer name eth0 netns $world
sh at $host ip addr add 192.0.2.1/24 dev uplink
sh at $host ip link set uplink up
sh at $world ip addr add 192.0.2.9/24 dev eth0
sh at $world ip link set eth0 up
sh at $host sh reach 192.0.2.9 'the world answers the host'

# The box needs a route to it, and the host must be a router: pass on what is not for itself.
#needs tool busybox
sh at $box ip route add default via 10.0.0.1
sh at $host sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
sh at $box sh reach 192.0.2.9

# No answer. But the question did arrive; the world's kernel counts its packets. It has no idea where a 10.0.0.2 might be:
# everybody has one of those at home.
#needs tool busybox
sh at $world awk '/^Ip: [0-9]/ { print ($4 > 1 ? "the questions arrived" : "nothing came") }' /proc/net/snmp

## NAT: the host asks in its own name
# So the host puts its own address on what leaves, and remembers for whom it asked.
#needs tool busybox
#needs tool nft
#varies 192\.N\.N\.(\d) => 192.0.2.$1
cat > nat <<'END'
table ip lab {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    ip saddr 10.0.0.0/24 oifname != br0 masquerade
  }
}
END
sh at $host nft -f nat
sh at $box sh reach 192.0.2.9 'the world answers the box'

# The world cannot tell the box from the host. Here is a server in it that says who called:
#needs tool busybox
#needs tool nft
mkdir www/cgi-bin
printf '%s\n' '#!/bin/sh' 'echo; echo "you are $REMOTE_ADDR"' > www/cgi-bin/who
chmod +x www/cgi-bin/who
sh at $world busybox httpd -f -p 192.0.2.9:80 -h www &

sh at $box sh get 192.0.2.9/cgi-bin/who

## The same with boxwright
# boxwright speaks netlink with the kernel, as ip(8) and nft(8) do, in a dozen messages. The first
# container on a machine also needs a bridge and the rules. Here is one that keeps them alive, and then a second one:
#needs stage add-net
boxwright add-net -q -- sleep 3006 2>/dev/null &
until first=$(pgrep -P $! -x -f 'sleep 3006'); do sleep 0.1; done

boxwright add-net

# The box has an address, and its router answers:
#needs stage add-net
boxwright add-net -q -- sh "$PWD/reach"

# A box needs no cable if it has nothing to say:
#needs stage add-net
boxwright add-net -q --network none -- ip -brief link

kill -KILL $first

## And /sys lies, as /proc did
# Like ps, many programs do not ask the kernel but read a file system. A sysfs shows the links of the network namespace in
# which it was mounted, whoever reads it:
#needs stage add-net
ours=$(ls /sys/class/net)
unshare --map-root-user --net sh -c 'ip -brief link show lo; ls /sys/class/net' > seen
test "$(tail -n +2 seen)" = "$ours" && echo 'ip sees one link, and /sys shows all that the host has'

# That is why boxwright mounts another /sys in this stage:
#needs stage add-net
boxwright add-net -q --network none -- ls /sys/class/net

## Break it
# Without this primitive, the container's network is yours:
#needs stage add-net
readlink /proc/self/ns/net
boxwright add-net -q -- readlink /proc/self/ns/net
boxwright add-net -q --without add-net -- readlink /proc/self/ns/net

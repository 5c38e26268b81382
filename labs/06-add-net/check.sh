# Is there a network around the learner's sleep, and is it its own?

ping=$(command -v ping || command -v busybox) || skip 'there is neither ping nor busybox here'
[ "${ping##*/}" = ping ] || ping="$ping ping"

here=$(namespace_of $$ net)
baseline 'a process of ours is in the network namespace of this shell' test "$(readlink /proc/self/ns/net)" = "$here"

begin
payload sleep 600

answers() {
	# shellcheck disable=SC2086 # two words, where busybox is ping
	[ -n "$1" ] && within 3 inside "$pid" --net $ping -c 1 -W 1 "$1"
}
links() {
	inside "$pid" --net ip -brief address show up scope global | grep -c '[0-9]/[0-9]'
}
expect 'it is in a network namespace of its own' test "$(namespace_of "$pid" net)" != "$here"
expect 'there, 127.0.0.1 answers' answers 127.0.0.1
expect 'it has a link with an address of its own' test "$(links)" -ge 1
router=$(inside "$pid" --net ip route show default | sed -n 's/^default via \([^ ]*\).*/\1/p')
expect 'it has a default route' test -n "$router"
expect 'and the router answers' answers "$router"
# One's own address answers always, and would be no neighbour.
elsewhere() {
	inside "$pid" --net ip route get "$1" | grep -q '^[0-9]'
}
expect 'which is somebody else' elsewhere "$router"

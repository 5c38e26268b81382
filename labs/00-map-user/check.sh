# Is the learner's sleep root in a user namespace, and not root for us?

baseline 'a process of ours is in the user namespace of this shell' \
	test "$(readlink /proc/self/ns/user)" = "$(namespace_of $$ user)"

begin
payload sleep 600

expect 'it is in a user namespace of its own' test "$(namespace_of "$pid" user)" != "$(namespace_of $$ user)"

# Uid has the real, effective, saved and file system's id, as seen from here.
user=$(status_of "$pid" Uid | awk '{ print $2 }')
expect 'for the host it is not user 0' test "${user:-0}" != 0

# Each line of the map: from this id inside, from that id outside, so many.
inside=$(awk -v u="$user" '$2 <= u && u < $2 + $3 { print $1 + u - $2 }' "/proc/$pid/uid_map")
expect 'and yet in there it is user 0' test "$inside" = 0

expect 'with capabilities' test "$(status_of "$pid" CapEff)" != 0000000000000000

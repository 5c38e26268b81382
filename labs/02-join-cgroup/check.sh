# Is the learner's sleep alone in a cgroup, and is that cgroup the top of its cgroup namespace?

needs_stage join-cgroup

baseline 'a process of ours is in the cgroups of this shell' test -z "$(groups_of $$)"
baseline 'and in its cgroup namespace' \
	test "$(readlink /proc/self/ns/cgroup)" = "$(namespace_of $$ cgroup)"

alone_in_one_of() {
	for group in "$@"; do
		if [ "$(cat "$group/cgroup.procs")" = "$pid" ]; then return 0; fi
	done
	return 1
}

# As the process itself sees it. (Its user namespace first, where it has one: that gives the right to enter the other.)
seen_from_inside() {
	user=
	[ "$(namespace_of "$pid" user)" = "$(namespace_of $$ user)" ] || user='--user --preserve-credentials'
	# shellcheck disable=SC2086
	nsenter --target "$pid" $user --cgroup cat "/proc/$pid/cgroup"
}

# Its own groups are at the top, and not one below or above it.
at_the_top() {
	own=$(grep -vxFf /proc/$$/cgroup "/proc/$pid/cgroup" | cut -d: -f1)
	[ -n "$own" ] || return 1
	for tree in $own; do
		seen_from_inside | grep -qx "$tree:[^:]*:/" || return 1
	done
}

begin
payload sleep 600

# shellcheck disable=SC2046
expect 'it is alone in a cgroup' alone_in_one_of $(groups_of "$pid")
expect 'it has a cgroup namespace of its own' test "$(namespace_of "$pid" cgroup)" != "$(namespace_of $$ cgroup)"
expect 'and that begins at its cgroup' at_the_top

end_exercise

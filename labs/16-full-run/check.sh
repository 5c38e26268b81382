# Is the learner's sleep in a cell, as the kernel sees it?

TOKEN=hunter2
export TOKEN
limits=
boxwright limit-pids -q -- true > /dev/null 2>&1 < /dev/null && limits=yes

same() {
	test "$(namespace_of "$1" "$2")" = "$(namespace_of $$ "$2")"
}
baseline 'a process of ours is in the PID namespace of this shell' same self pid
# (Files in /proc have no size: only reading tells whether one may.)
has_variable() {
	cat "/proc/$1/environ" > environ && tr '\0' '\n' < environ | grep -q "^$2="
}
baseline 'and has the TOKEN in its environment' has_variable self TOKEN

begin
payload sleep 600

options() {
	awk -v at="$1" '$5 == at { options = $6 } END { print options }' "/proc/$pid/mountinfo"
}
links() {
	inside "$pid" --net ip -brief link show up | grep -vc '^lo '
}
files() {
	awk '/^Max open files/ { print $4 "," $5 }' "/proc/$pid/limits"
}

expect 'it is process 1 of a PID namespace of its own' \
	test "$(status_of "$pid" NSpid | awk 'NF > 1 { print $NF }')" = 1
expect 'its name is cell' test "$(inside "$pid" --uts uname -n)" = cell
expect 'its network is its own' ! same "$pid" net
expect 'and has no link but lo' test "$(links)" = 0
expect 'its root is not ours' test ! "/proc/$pid/root" -ef /
expect 'and cannot be written' sh -c "case '$(options /)' in ro*) ;; *) false ;; esac"
expect '/tmp can, and is in memory' \
	sh -c "case '$(options /tmp)' in rw*) test \$(stat -f -c %T /proc/$pid/root/tmp) = tmpfs ;; *) false ;; esac"
# What is mounted for writing, but for the kernel's own file systems and what is in memory.
writable() {
	awk '{ for (i = 7; $i != "-"; i++); if ($6 ~ /^rw/ && $(i + 1) !~ /^((dev)?tmpfs|proc|sysfs|devpts|mqueue|cgroup2?)$/) print $5 }' \
		"/proc/$pid/mountinfo"
}
expect 'and nothing else that is on a disk' test -z "$(writable)"
expect 'it has no capabilities' test "$(status_of "$pid" CapPrm)" = 0000000000000000
expect 'nor any that it could get' test "$(status_of "$pid" CapBnd)" = 0000000000000000
expect 'not by a setuid program either' test "$(status_of "$pid" NoNewPrivs)" = 1
expect 'a filter is on its system calls' test "$(status_of "$pid" Seccomp)" = 2
expect 'it may hold 64 files open' test "$(files)" = 64,64
# An empty one is right, too.
expect 'its environment can be read' cat "/proc/$pid/environ"
expect 'and there is no TOKEN in it' ! has_variable "$pid" TOKEN
if [ -n "$limits" ]; then
	expect 'its cgroup has room for 20 processes' test "$(cat "$(cgroup_of "$pid" pids)/pids.max")" = 20
else
	echo '# not looked at: its cgroup. Nobody has given you one in which you may limit'
fi

end_exercise

# What the checks of the exercises begin with. A check looks at what the kernel did, never at what the learner typed. It
# first proves its baseline (that things are not so by themselves), then begins the exercise and looks.
#
#   baseline TEXT COMMAND…    must succeed, or the check cannot judge: it ends
#   expect TEXT COMMAND…      one thing that must be so; "! COMMAND" must not be so
#   skip REASON               this cannot be checked here: the check ends and does not count
#   begin [ARG…]              starts the learner's script in the background
#   begin_in_world FLAG…      the same in namespaces that play the host's (flags of unshare), as root of a user namespace:
#                             what leaks reaches $exercise, a process that stays in them, and not the real host
#   finish_exercise           runs it to its end; sets $status, and its output is in $OUT
#   payload NAME              waits for its process of that name; sets $pid (as seen from here)
#   within SECONDS COMMAND…   tries until it succeeds
#   status_of PID FIELD       a field of /proc/PID/status
#   namespace_of PID TYPE     pid:[4026531836]
#   inside PID --TYPE COMMAND… in its namespace of that type (--net, --mount), and in its user namespace
#   cgroup_of PID CONTROLLER  the directory of its group, on cgroup v1 or v2
#   groups_of PID             the directories of all its groups that this shell is not in
#   limit_of PID FILE         a limit of its group's, by v2's file and in v2's units, on v1 too: cpu.max, memory.max,
#                             memory.swap.max ("none" where the kernel does not count swap), pids.max, io.max
#   counter_of PID NAME       a counter of its group's, on both: nr_throttled, oom_kill, pids_max (forks refused)
#   needs_stage STAGE         skips, with boxwright's reason, where this stage cannot be had
#   end_exercise              ends the process that payload has found and all in its groups, and removes these
#
# Given: EXERCISE (the learner's script), LAB_PID (from which all processes of this lab descend), an empty working
# directory, and boxwright in PATH.

OUT=$PWD/exercise.out
: > "$OUT"

# "!" is a reserved word of the shell's and no command, so it is looked for.
try() {
	if [ "$1" = ! ]; then
		shift
		if "$@" > /dev/null 2>&1; then return 1; else return 0; fi
	fi
	"$@" > /dev/null 2>&1
}

baseline() {
	text=$1
	shift
	if try "$@"; then echo "baseline ok $text"; return; fi
	echo "baseline not ok $text"
	exit 1
}

expect() {
	text=$1
	shift
	if try "$@"; then echo "ok $text"; return; fi
	echo "not ok $text"
	failed=1
}

skip() {
	echo "skip $*"
	exit 0
}

begin() {
	sh "$EXERCISE" "$@" > "$OUT" 2>&1 < /dev/null &
	exercise=$!
}

# With the user namespace also for root: mounts that are shared with the host's become its slaves on the way there.
begin_in_world() {
	# Two commands, so that the shell stays while the script runs.
	unshare --map-root-user "$@" sh -c 'sh "$0" > "$1" 2>&1 < /dev/null; exit $?' "$EXERCISE" "$OUT" &
	exercise=$!
}

finish_exercise() {
	timeout 100 sh "$EXERCISE" "$@" > "$OUT" 2>&1 < /dev/null
	status=$?
}

within() {
	left=$(($1 * 10))
	shift
	until try "$@"; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || return 1
		sleep 0.1
	done
}

payload() {
	if within 40 descendant_or_end "$1" && [ -n "$pid" ]; then echo "ok your script runs $1"; return; fi
	echo "not ok your script runs $1"
	if ! try has_ended "$exercise"; then
		echo "# after 40 seconds, no process of that name came from your script"
	else
		echo "# your script has ended without it"
	fi
	exit 1
}

descendant_or_end() {
	if descendant "$1"; then return 0; fi
	pid=
	has_ended "$exercise"
}

# The newest process of that name that descends from this lab; sets $pid.
descendant() {
	for pid in $(pgrep -x "$1" | sort -rn); do
		if is_ours "$pid" && ! try has_ended "$pid"; then return 0; fi
	done
	return 1
}

is_ours() {
	parent=$1
	while [ "${parent:-0}" -gt 1 ]; do
		[ "$parent" != "$LAB_PID" ] || return 0
		parent=$(status_of "$parent" PPid 2> /dev/null)
	done
	return 1
}

status_of() {
	sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"
}

namespace_of() {
	readlink "/proc/$1/ns/$2"
}

inside() {
	target=$1 type=$2
	shift 2
	# Into the namespace where it is already, nobody can go.
	if [ "$(namespace_of "$target" user)" = "$(namespace_of $$ user)" ]; then
		nsenter --target "$target" "$type" "$@"
	else
		nsenter --target "$target" --user --preserve-credentials "$type" "$@"
	fi
}

# /proc/PID/cgroup says "7:memory:/path" on v1 and "0::/path" on v2; mountinfo says where such a tree is mounted.
cgroup_of() {
	below=$(sed -n "s/^[0-9]*:\(.*,\)\{0,1\}$2\(,.*\)\{0,1\}:\//\//p" "/proc/$1/cgroup")
	if [ -n "$below" ]; then
		top=$(awk -v c="$2" '$(NF - 2) == "cgroup" && ("," $NF ",") ~ ("," c ",") { print $5; exit }' /proc/self/mountinfo)
	else
		below=$(sed -n 's/^0:://p' "/proc/$1/cgroup")
		top=$(awk '$(NF - 2) == "cgroup2" { print $5; exit }' /proc/self/mountinfo)
	fi
	echo "${top%/}$below"
}

groups_of() {
	grep -vxFf /proc/$$/cgroup "/proc/$1/cgroup" | while IFS=: read -r _ names _; do
		cgroup_of "$1" "${names:-(version 2)}"
	done
}

# The first line of a file of its group's; nothing where there is no such file.
file_of() {
	cat "$(cgroup_of "$1" "$2")/$3" 2> /dev/null
}

limit_of() {
	if [ -e "$(cgroup_of "$1" "${2%%.*}")/$2" ]; then file_of "$1" "${2%%.*}" "$2"; return; fi
	case $2 in
	cpu.max)
		quota=$(file_of "$1" cpu cpu.cfs_quota_us)
		[ "$quota" != -1 ] || quota=max
		echo "$quota $(file_of "$1" cpu cpu.cfs_period_us)"
		;;
	memory.max)
		limit=$(file_of "$1" memory memory.limit_in_bytes)
		# v1 says "unlimited" with the largest number of pages that it can count.
		[ "${limit:-0}" -lt 4611686018427387904 ] || limit=max
		echo "$limit"
		;;
	memory.swap.max)
		both=$(file_of "$1" memory memory.memsw.limit_in_bytes)
		# v1 limits the sum, v2 the swap alone.
		if [ -z "$both" ]; then echo none
		elif [ "$both" -ge 4611686018427387904 ]; then echo max
		else echo $((both - $(file_of "$1" memory memory.limit_in_bytes)))
		fi
		;;
	io.max)
		for pair in read_bps:rbps write_bps:wbps read_iops:riops write_iops:wiops; do
			file_of "$1" blkio "blkio.throttle.${pair%:*}_device" | sed "s/ / ${pair#*:}=/"
		done
		;;
	esac
}

counter_of() {
	case $2 in
	nr_throttled) file_of "$1" cpu cpu.stat ;;
	oom_kill) file_of "$1" memory memory.events || file_of "$1" memory memory.oom_control ;;
	pids_max) file_of "$1" pids pids.events | sed 's/^/pids_/' ;;
	esac | sed -n "s/^$2 //p"
}

needs_stage() {
	said=$(boxwright "$1" -q -- true 2>&1) && return
	why=$(printf '%s\n' "$said" | sed -n 's/^  why: //p' | head -n 1)
	skip "${why:-$said}"
}

end_exercise() {
	# What is said from here on ("Killed") is not the learner's doing.
	cp "$OUT" "$OUT.before" && OUT=$OUT.before
	groups=$(groups_of "$pid")
	kill -9 "$pid"
	# A boxwright that waits for its container now removes it.
	within 10 has_ended "$exercise" || kill "$exercise"
	for group in $groups; do within 10 removed "$group"; done
}

has_ended() {
	! kill -0 "$1" || status_of "$1" State | grep Z
}

# Also without those in it that are ours. (Never others: a learner may have chosen a group that is not theirs.)
removed() {
	[ -d "$1" ] || return 0
	while read -r member; do if is_ours "$member"; then kill -9 "$member"; fi; done < "$1/cgroup.procs"
	rmdir "$1"
}

# What the exercise printed, for a learner whose check is red; and the exit code for those who run this file by hand.
trap '[ -z "$failed" ] || [ ! -s "$OUT" ] || sed "s/^/# your script printed: /" "$OUT" | tail -n 12' EXIT

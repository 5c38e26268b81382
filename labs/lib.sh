# What the checks of the exercises begin with. A check looks at what the kernel did, never at what the learner typed. It
# first proves its baseline (that things are not so by themselves), then begins the exercise and looks.
#
#   baseline TEXT COMMAND…    must succeed, or the check cannot judge: it ends
#   expect TEXT COMMAND…      one thing that must be so; "! COMMAND" must not be so
#   skip REASON               this cannot be checked here: the check ends and does not count
#   begin [ARG…]              starts the learner's script in the background
#   finish_exercise           runs it to its end; sets $status, and its output is in $OUT
#   payload NAME              waits for its process of that name; sets $pid (as seen from here)
#   within SECONDS COMMAND…   tries until it succeeds
#   status_of PID FIELD       a field of /proc/PID/status
#   namespace_of PID TYPE     pid:[4026531836]
#   inside PID --TYPE COMMAND… in its namespace of that type (--net, --mount), and in its user namespace
#   cgroup_of PID CONTROLLER  the directory of its group, on cgroup v1 or v2
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
	if within 40 descendant "$1"; then echo "ok your script runs $1"; descendant "$1"; return; fi
	echo "not ok your script runs $1"
	if kill -0 "$exercise" 2> /dev/null; then
		echo "# after 40 seconds, no process of that name came from your script"
	else
		echo "# your script has ended without it"
	fi
	exit 1
}

# The newest process of that name that descends from this lab; sets $pid.
descendant() {
	for pid in $(pgrep -x "$1" | sort -rn); do
		parent=$pid
		while [ "${parent:-0}" -gt 1 ]; do
			[ "$parent" != "$LAB_PID" ] || return 0
			parent=$(status_of "$parent" PPid 2> /dev/null)
		done
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

# What the exercise printed, for a learner whose check is red; and the exit code for those who run this file by hand.
trap '[ -z "$failed" ] || [ ! -s "$OUT" ] || sed "s/^/# your script printed: /" "$OUT" | tail -n 12' EXIT

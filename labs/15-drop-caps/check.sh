# What is left of the learner's root?

# Bit 5 is CAP_KILL, bit 10 is CAP_NET_BIND_SERVICE.
two=0000000000000420

# Is the process user 0 in its own user namespace? uid_map says which of our numbers that is.
is_root_there() {
	user=$(status_of "$1" Uid | awk '{ print $2 }')
	awk -v user="$user" '$1 == 0 && $2 == user { found = 1 } END { exit !found }' "/proc/$1/uid_map"
}

open_files() {
	awk '/^Max open files/ { print $4 ":" $5 }' "/proc/$1/limits"
}

baseline 'here a process may have other capabilities' test "$(status_of $$ CapBnd)" != $two
baseline 'and gain some by a setuid program' test "$(status_of $$ NoNewPrivs)" = 0
baseline 'and have more than 64 files open' test "$(open_files $$)" != 64:64

begin
payload sleep 600

expect 'it is root there' is_root_there "$pid"
expect 'CAP_KILL and CAP_NET_BIND_SERVICE are in force, and no others' test "$(status_of "$pid" CapEff)" = $two
expect 'no program that it executes can have others' test "$(status_of "$pid" CapBnd)" = $two
expect 'no program that it executes gains anything' test "$(status_of "$pid" NoNewPrivs)" = 1
expect 'it may have 64 files open, and not raise that' test "$(open_files "$pid")" = 64:64

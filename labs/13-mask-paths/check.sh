# What does the learner's sleep see at three paths, and may it ever unmount?

# The last mount at a path is the one that is seen; its sixth field begins with ro or rw.
read_only() {
	awk -v path="$2" '$5 == path { options = $6 } END { exit options !~ /^ro/ }' "/proc/$1/mountinfo"
}

empty_file() {
	test -r "/proc/$1/root$2" && test "$(wc -c < "/proc/$1/root$2")" -eq 0
}

empty_directory() {
	test -d "/proc/$1/root$2" && test -z "$(ls -A "/proc/$1/root$2")"
}

# CAP_SYS_ADMIN is bit 21: in the last six digits of a set, the first one has it. What it has it may use (permitted,
# effective); and root has, after the next execve, what is in the bounding or in the inheritable set.
has_no_way_to_mount() {
	sets=$(grep -c '^Cap[A-Z][a-z]*:' "/proc/$1/status")
	test "$sets" = 5 && ! grep -q '^Cap[A-Z][a-z]*:.*[2367abef].....$' "/proc/$1/status"
}

baseline 'here /proc/cmdline says something' ! empty_file $$ /proc/cmdline
baseline 'here /proc/irq has entries' ! empty_directory $$ /proc/irq
baseline 'here /proc/sys is not read-only' ! read_only $$ /proc/sys

begin
payload sleep 600

expect 'it is in a mount namespace of its own' test "$(namespace_of "$pid" mnt)" != "$(namespace_of $$ mnt)"
expect '/proc/cmdline is an empty file there' empty_file "$pid" /proc/cmdline
expect '/proc/irq is an empty directory there' empty_directory "$pid" /proc/irq
expect '/proc/sys is read-only there' read_only "$pid" /proc/sys
expect '/proc/sys can be read there' test -r "/proc/$pid/root/proc/sys/kernel/ostype"
expect 'CAP_SYS_ADMIN is in none of its five sets' has_no_way_to_mount "$pid"

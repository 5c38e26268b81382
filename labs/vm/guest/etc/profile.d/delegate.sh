# A login's cgroup (session-N.scope) belongs to root. This moves the login's shell to a scope below the learner's own
# systemd, which is delegated to them, so that boxwright can make cgroups in it. It is what
# "systemd-run --user --scope -p Delegate=yes" does, without another shell in between.
if [ "$(id -u)" != 0 ] && [ -S "${XDG_RUNTIME_DIR:-}/bus" ] && ! grep -q "user@$(id -u).service" /proc/self/cgroup; then
	busctl --user --quiet call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager \
		StartTransientUnit 'ssa(sv)a(sa(sv))' "shell-$$.scope" fail 2 PIDs au 1 $$ Delegate b true 0
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		grep -q "shell-$$.scope" /proc/self/cgroup && break
		sleep 0.1
	done
fi

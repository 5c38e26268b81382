#!/bin/sh
#without SCMP_ACT_ERRNO => SCMP_ACT_ALLOW
# mkdir is an old name for mkdirat: where both exist, both must be refused.
# SCMP_ACT_ERRNO lets the program hear of it and go on; killing it is for calls that only an attacker would make.
cat > profile.json <<'END'
{
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO" }]
}
END
exec boxwright filter-syscalls -q --security-opt seccomp=profile.json -- "$@"

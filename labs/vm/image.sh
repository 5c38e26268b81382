#!/bin/sh
# The last step of the image: mmdebstrap(1) runs this on the host when the packages are installed in $1, as root or as
# root of its user namespace (so it can read nothing of an ordinary user's home). It gives the root filesystem its
# users and services, unpacks a kernel, and leaves in $1/out what the VM boots from:
#   root.qcow2   the disk       vmlinuz   the kernel       version   its name
#
# The environment has KERNELS (packages, the first that exists is taken) and SCRATCH (a folder anyone can write to).
set -eu
root=$1
out=$(mktemp -d "$SCRATCH/boxwright-vm.XXXXXX")
trap 'rm -rf "$out"' EXIT

users() {
	chroot "$root" useradd --create-home --uid 1000 --user-group --shell /bin/bash learner
	for ids in subuid subgid; do echo learner:100000:65536 > "$root/etc/$ids"; done
	# Lingering: the learner's own systemd, which has the delegated cgroup, runs from boot on.
	mkdir -p "$root/var/lib/systemd/linger"
	touch "$root/var/lib/systemd/linger/learner"
	chmod 440 "$root/etc/sudoers.d/learner"
}

services() {
	# Host keys come with each VM; the package's would be the same in all of them.
	rm -f "$root"/etc/ssh/ssh_host_*
	chroot "$root" systemctl --quiet set-default multi-user.target
	chroot "$root" systemctl --quiet enable workshop.service
	# Upkeep that a machine for one day does not need. Without it the boot is shorter under emulation.
	chroot "$root" systemctl --quiet mask getty@tty1.service serial-getty@ttyS0.service apt-daily.timer \
		apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer man-db.timer \
		systemd-timesyncd.service systemd-networkd.service systemd-random-seed.service systemd-update-utmp.service \
		systemd-update-utmp-runlevel.service systemd-journal-catalog-update.service systemd-journal-flush.service \
		systemd-hwdb-update.service systemd-pcrphase.service systemd-pcrphase-sysinit.service \
		systemd-machine-id-commit.service systemd-boot-update.service systemd-pstore.service ldconfig.service
	# An automount that goes off while a stage is being observed would show among what the stage changed.
	chroot "$root" systemctl --quiet mask proc-sys-fs-binfmt_misc.automount proc-sys-fs-binfmt_misc.mount
}

tidy() {
	: > "$root/etc/fstab"
	echo 6f4b0f6ad3c14bb4a5c1d2f29bd8a9f1 > "$root/etc/machine-id" # none: systemd takes it for the first boot
	rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/*.log "$root"/var/log/apt
}

# The kernel package is unpacked, not installed: its postinst wants an initramfs, which a kernel that has its disk and
# file system built in does not need.
kernel() {
	export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
	for package in $KERNELS; do
		apt-cache show --no-all-versions "$package" > /dev/null 2>&1 || continue
		# a metapackage depends on the kernel of the day
		real=$(apt-cache depends --important "$package" | sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\).*/\1/p' | head -n 1)
		break
	done
	mkdir "$out/deb"
	(cd "$out/deb" && apt-get --quiet --quiet --option APT::Sandbox::User=root download "${real:-$package}")
	dpkg --extract "$out"/deb/*.deb "$out/deb/tree"
	version=$(basename "$out"/deb/tree/boot/vmlinuz-*)
	version=${version#vmlinuz-}
	for option in BLK_DEV_NVME EXT4_FS SERIAL_8250_CONSOLE; do
		grep -q "^CONFIG_$option=y" "$out/deb/tree/boot/config-$version" || {
			echo "the kernel $version has no CONFIG_$option=y, and there is no initramfs to load it from" >&2
			return 1
		}
	done
	for modules in "$out"/deb/tree/lib/modules "$out"/deb/tree/usr/lib/modules; do
		[ ! -d "$modules" ] || { mkdir -p "$root/usr/lib/modules" && cp -a "$modules/$version" "$root/usr/lib/modules/"; }
	done
	# Uncompressed modules load several times faster where the processor is emulated.
	find "$root/usr/lib/modules" -name '*.ko.xz' -print0 | xargs -0 --no-run-if-empty -n 64 -P "$(nproc)" xz --decompress
	chroot "$root" depmod "$version"
	mv "$out/deb/tree/boot/vmlinuz-$version" "$out/vmlinuz"
	echo "$version" > "$out/version"
	rm -rf "$out/deb"
}

# The mounts of the build (/proc, /sys, /dev) are left out by a bind that is not recursive. /tmp is hidden, not emptied:
# mmdebstrap still needs its apt.conf there, and without it would tidy up the host's package lists.
disk() {
	mkdir "$out/root"
	# shellcheck disable=SC2016 # its own $1 and $2
	unshare --mount sh -euc '
		mount --bind "$1" "$2/root"
		mount -t tmpfs -o mode=1777 tmpfs "$2/root/tmp"
		truncate -s 6G "$2/raw"
		mkfs.ext4 -q -F -m 0 -J size=16 -E root_owner=0:0,lazy_itable_init=1,nodiscard -d "$2/root" "$2/raw"
	' sh "$root" "$out"
	rmdir "$out/root"
	qemu-img convert -f raw -O qcow2 "$out/raw" "$out/root.qcow2"
	rm "$out/raw"
}

users
services
kernel
tidy
disk
mv "$out" "$root/out"

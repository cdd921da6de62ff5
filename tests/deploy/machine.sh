#!/bin/sh
# Makes a machine that is thrown away, and becomes the command given there: a layer in memory over this machine's files, and namespaces
# of mounts, processes and control groups. All that happens there is gone with its first process; the network is this machine's.
# Usage: machine.sh FOLDER PYTHON PACKAGES COMMAND…: an empty folder, whose name is that of the control group; the prefix of a
# Python, and a folder of packages: there they are /opt/python, and /opt/packages without our own.
set -eu
folder=$1 python=$2 packages=$3
groups=/sys/fs/cgroup
if [ -z "${MACHINE_STARTS:-}" ]; then
    for hierarchy in "$groups/systemd" "$groups/unified" "$groups"; do
        [ -e "$hierarchy/cgroup.procs" ] || continue
        mkdir -p "$hierarchy/${folder##*/}"
        echo $$ >"$hierarchy/${folder##*/}/cgroup.procs"
    done
    MACHINE_STARTS=1 exec unshare --fork --kill-child --pid --mount --uts --cgroup sh "$0" "$@"
fi
unset MACHINE_STARTS
shift 3
mount --make-rprivate /
mount -t tmpfs tmpfs "$folder"
cd "$folder"
mkdir changes work root package-changes package-work
mount -t overlay overlay -o lowerdir=/,upperdir=changes,workdir=work root
mkdir -p root/opt/python root/opt/packages
mount --bind "$python" root/opt/python
mount -o remount,bind,ro root/opt/python
mount -t overlay overlay -o "lowerdir=$packages,upperdir=package-changes,workdir=package-work" root/opt/packages
cd root
rm -rf opt/packages/notifhist* opt/packages/__editable__*
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount --rbind /sys sys
mount --rbind /dev dev
for place in dev/shm run tmp; do mount -t tmpfs -o mode=1777 tmpfs $place; done
if [ -d "$groups/systemd" ]; then
    umount -l sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
fi
if [ -d "$groups/unified" ]; then
    umount -l sys/fs/cgroup/unified
    mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
elif [ ! -d "$groups/systemd" ]; then
    umount -l sys/fs/cgroup
    mount -t cgroup2 cgroup2 sys/fs/cgroup
fi
chmod 755 run
pivot_root . .
umount -l .
cd /
# A Python that is linked with its library may name a path that only its owner may enter.
echo /opt/python/lib >/etc/ld.so.conf.d/00-python.conf
ldconfig
exec "$@"

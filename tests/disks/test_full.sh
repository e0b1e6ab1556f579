#!/bin/bash
# test_full.sh - writing where the host's disk is full: what was flushed stays, qemu-img check finds no damage, and once there is room
# all goes on. With a limit of file sizes, and as root also on a small file system that is really full.
#
# A short run by default. A long one: DISKS_SEEDS=30 bash tests/disks/test_full.sh build/tick86 build .
set -uo pipefail
script=$(cd "$(dirname "$0")" && pwd)/kill_image.sh
# shellcheck source=tests/disks/common.sh
. "$(dirname "$0")/common.sh"
seeds=${DISKS_SEEDS:-1}
small=$work/small
mkdir "$small"
has_small=no
cd "$small" || exit 1
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=8M tick86-disks "$small" 2>/dev/null; then
    has_small=yes
    trap 'cd /; umount "$small"; rm -rf "$work"' EXIT
    cd "$small" || exit 1
fi
export KILL_SMALL=$small

for ((seed = 1; seed <= seeds; seed++)); do
    for row in raw: qcow2: qcow2:cluster_size=512 vdi: vhd:force_size=on vhdx: vmdk:; do
        format=${row%%:*}
        export KILL_OPTIONS=${row#*:}
        KILL_QEMU=$(qemu_name "$format")
        export KILL_QEMU
        rm -f kill.image
        if [ $has_small = yes ]; then
            mount -o remount,size=$((8 + seed % 4))M "$small"
            "$stress" full kill.image $((seed * 7)) 0 "bash $script" || fail "$row on a full file system, seed $((seed * 7))"
            mount -o remount,size=100M "$small"
        fi
        [ "$format" != raw ] || continue # has its length from the start
        "$stress" full kill.image $((seed * 7 + 1)) $((9007104 + seed * 4096 * 5)) "bash $script" || fail "$row at its limit, seed $((seed * 7 + 1))"
    done
done
echo "survived"

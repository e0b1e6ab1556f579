#!/bin/bash
# test_kill.sh - writers killed at random points: what was flushed is there, and qemu-img check finds no damage.
#
# A short run by default. The long one of the issue: DISKS_KILLS=300 bash tests/disks/test_kill.sh build/tick86 build .
set -uo pipefail
script=$(cd "$(dirname "$0")" && pwd)/kill_image.sh
# shellcheck source=tests/disks/common.sh
. "$(dirname "$0")/common.sh"
kills=${DISKS_KILLS:-5}
seed=1

for row in ${DISKS_ROWS:-raw: qcow2: qcow2:cluster_size=4K vdi: vhd:force_size=on vhdx: vmdk:}; do
    format=${row%%:*}
    "$img" --help | grep -q "Formats.* $format\b" || continue
    export KILL_OPTIONS=${row#*:}
    KILL_QEMU=$(qemu_name "$format")
    export KILL_QEMU
    bash "$script" create
    "$stress" kill kill.image $seed "$kills" "bash $script" || fail "$row"
    seed=$((seed + 1000))
done
echo "survived"

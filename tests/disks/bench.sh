#!/bin/bash
# bench.sh - throughput of the block layer as ratio to qemu-img bench (larger is better) for each format: allocating writes, then
# sequential and random reads of what was written. Medians of five runs, turn about; images in memory, so that the code is what is
# timed. The second ratio is of processor time (user and system), which other programs on the machine disturb less.
#
#   bash tests/disks/bench.sh build/tick86 build . [FORMAT...]
set -uo pipefail
# shellcheck source=tests/disks/common.sh
. "$(dirname "$0")/common.sh"
shift 3
TIMEFORMAT='%U %S'

# once PROGRAM FORMAT ARGUMENTS...: prints seconds of the run and of the processor.
once() {
    local run used
    { time run=$("$1" bench -f "$2" "${@:3}" | sed -n 's/Run completed in \([0-9.]*\) .*/\1/p'); } 2>time.log
    used=$(awk '{ print $1 + $2 }' time.log)
    echo "$run $used"
}

median() { # COLUMN FILE
    cut -d ' ' -f "$1" "$2" | sort -g | sed -n 3p
}

row() { # NAME FORMAT FRESH ARGUMENTS...
    local name=$1 format=$2 fresh=$3 n
    shift 3
    : >ours
    : >theirs
    for n in 1 2 3 4 5; do
        [ "$fresh" = no ] || { rm -f one; qemu_create "$format" one 256M; }
        once "$img" "$format" "$@" one >>ours
        [ "$fresh" = no ] || { rm -f one; qemu_create "$format" one 256M; }
        once qemu-img "$(qemu_name "$format")" "$@" one >>theirs
    done
    awk -v a="$(median 1 ours)" -v b="$(median 1 theirs)" -v c="$(median 2 ours)" -v d="$(median 2 theirs)" -v f="$format" -v n="$name" 'BEGIN {
        printf "{\"format\": \"%s\", \"work\": \"%s\", \"tick86_s\": %s, \"qemu_s\": %s, \"ratio\": %.2f, \"cpu_ratio\": %.2f}\n",
            f, n, a, b, b / a, d / (c > 0 ? c : 0.001) }'
}

for format in ${*:-raw qcow2 vdi vhd vhdx vmdk}; do
    row "allocating writes 64K" "$format" yes -w -c 4000 -s 65536 -S 65536
    row "allocating writes 4K scattered" "$format" yes -w -c 2000 -s 4096 -S 131072
    rm -f one
    qemu_create "$format" one 256M
    "$img" bench -f "$format" -w -c 4096 -s 65536 -S 65536 one >/dev/null
    row "sequential read 64K" "$format" no -c 8192 -s 65536 -S 65536
    row "random read 4K" "$format" no -c 40000 -s 4096 -S 40988672
done

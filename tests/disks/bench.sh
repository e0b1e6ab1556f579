#!/bin/bash
# bench.sh - throughput of the block layer as ratio to qemu-img bench (larger is better): sequential read, random read,
# allocating writes, for each format. Median of five runs, turn about; images in memory, so that the code is what is timed.
#
#   bash tests/disks/bench.sh build/tick86 build .
set -uo pipefail
# shellcheck source=tests/disks/common.sh
. "$(dirname "$0")/common.sh"

seconds() { # PROGRAM FORMAT ARGUMENTS...
    "$1" bench -f "$2" "${@:3}" | sed -n 's/Run completed in \([0-9.]*\) .*/\1/p'
}

median() {
    sort -n | sed -n 3p
}

row() { # NAME FORMAT FRESH ARGUMENTS...
    local name=$1 format=$2 fresh=$3 n ours=() theirs=()
    shift 3
    for n in 1 2 3 4 5; do
        [ "$fresh" = no ] || { rm -f one; qemu_create "$format" one 1G; }
        ours+=("$(seconds "$img" "$format" "$@" one)")
        [ "$fresh" = no ] || { rm -f one; qemu_create "$format" one 1G; }
        theirs+=("$(seconds qemu-img "$(qemu_name "$format")" "$@" one)")
    done
    awk -v a="$(printf '%s\n' "${ours[@]}" | median)" -v b="$(printf '%s\n' "${theirs[@]}" | median)" -v f="$format" -v n="$name" \
        'BEGIN { printf "{\"format\": \"%s\", \"work\": \"%s\", \"tick86_s\": %s, \"qemu_s\": %s, \"ratio\": %.2f}\n", f, n, a, b, b / a }'
}

for format in raw qcow2 vdi vhd vhdx vmdk; do
    row "allocating writes 64K" $format yes -w -c 4000 -s 65536 -S 65536
    row "allocating writes 4K scattered" $format yes -w -c 4000 -s 4096 -S 262144
    rm -f one
    qemu_create $format one 1G
    "$img" bench -f $format -w -c 4000 -s 65536 -S 65536 one >/dev/null
    row "sequential read 64K" $format no -c 20000 -s 65536 -S 65536
    row "random read 4K" $format no -c 40000 -s 4096 -S 40009728
done

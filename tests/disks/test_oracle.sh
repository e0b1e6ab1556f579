#!/bin/bash
# test_oracle.sh - images of every format that is written, against qemu-img and qemu-io as oracle, both ways.
#
# A short run by default. The long one of the issue: DISKS_OPERATIONS=10000 bash tests/disks/test_oracle.sh build/tick86 build .
set -uo pipefail
# shellcheck source=tests/disks/common.sh
. "$(dirname "$0")/common.sh"
operations=${DISKS_OPERATIONS:-250}

# Ours on qemu-img's image and on our own: contents equal a raw model, qemu-img finds no damage.
write_here() { # FORMAT OPTIONS SEED
    local maker
    for maker in qemu own; do
        rm -f image model
        if [ $maker = qemu ]; then
            qemu_create "$1" image 24M "$2" || fail "qemu-img create $1 $2"
        else
            "$img" create -q -f "$1" ${2:+-o "$2"} image 24M || fail "create $1 $2"
        fi
        truncate -s 24M model
        "$stress" run image model "$3" "$operations" || fail "$1 $2, made by $maker"
        qemu_check "$1" image || fail "qemu-img check of $1 $2, made by $maker"
        same "$1" image model || fail "$1 $2, made by $maker, differs"
        [ "$1" = vhd ] || [ "$1" = raw ] || "$img" check -q image || fail "check of $1 $2, made by $maker"
    done
}

# qemu-io's random writes, zeros and discards on one of our images; ours reads the same as qemu-img does.
write_there() { # FORMAT OPTIONS SEED
    local n commands=()
    RANDOM=$3
    rm -f image model
    "$img" create -q -f "$1" ${2:+-o "$2"} image 24M || fail "create $1 $2"
    for ((n = 0; n < operations / 8; n++)); do
        local at=$(((RANDOM * 32768 + RANDOM) % 47000 * 512)) size=$(((RANDOM % 180 + 1) * 512))
        case $((RANDOM % 5)) in
        0) commands+=(-c "write -z $at $size") ;;
        1) commands+=(-c "discard $at $size") ;;
        *) commands+=(-c "write -P $((RANDOM % 255 + 1)) $at $size") ;;
        esac
    done
    qemu-io -f "$(qemu_name "$1")" "${commands[@]}" image >io.log 2>&1 || true
    grep -q "failed" io.log && grep -v "discard failed: Operation not supported\|^wrote\|ops;" io.log | grep failed | head -3
    qemu-img convert -f "$(qemu_name "$1")" -O raw image model || fail "qemu-img convert $1"
    "$img" compare -q -F raw image model || fail "$1 $2, written by qemu-io, reads differently"
    [ "$1" = vhd ] || [ "$1" = raw ] || "$img" check -q image || fail "check of $1 $2, written by qemu-io"
}

seed=1
for row in raw: qcow2: qcow2:cluster_size=512 qcow2:cluster_size=4K,compat=0.10 qcow2:cluster_size=4K,refcount_bits=1 \
    qcow2:cluster_size=2M,refcount_bits=64 vdi: vhd: vhdx: vmdk:; do
    format=${row%%:*}
    "$img" --help | grep -q "Formats.* $format\b" || continue
    write_here "$format" "${row#*:}" $((seed++))
    write_there "$format" "${row#*:}" $((seed++))
done

# Compressed both ways, zlib and zstd, then written to.
qemu-img convert -f raw -O qcow2 model plain.qcow2
for type in zlib zstd; do
    "$img" convert -c -O qcow2 -o compression_type=$type plain.qcow2 packed.qcow2 || fail "convert -c $type"
    qemu-img convert -c -O qcow2 -o compression_type=$type plain.qcow2 theirs.qcow2
    qemu_check qcow2 packed.qcow2 && same qcow2 packed.qcow2 model || fail "compressed $type"
    "$img" compare -q -F raw theirs.qcow2 model || fail "compressed $type by qemu-img"
    cp model changed
    "$stress" run theirs.qcow2 changed 90 300 || fail "writing to compressed $type"
    qemu_check qcow2 theirs.qcow2 && same qcow2 theirs.qcow2 changed || fail "compressed $type, written"
done

# In a circle through every format: the same bytes at the end.
from=plain.qcow2
for format in raw vdi vhd vhdx vmdk qcow2; do
    "$img" --help | grep -q "Formats.* $format\b" || continue
    "$img" convert -O $format $from circle.$format || fail "convert to $format"
    same $format circle.$format model || fail "circle at $format"
    from=circle.$format
done
echo "identical"

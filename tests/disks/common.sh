# common.sh - for the disk tests: programs, a scratch folder in memory, qemu-img's names of formats.
# shellcheck shell=bash disable=SC2034
build=$(cd "$2" && pwd) || exit 1
tick86=$build/tick86
source_dir=$(cd "$3" && pwd) || exit 1
img=$build/tick86-img
stress=$build/blockstress
command -v qemu-img >/dev/null || { echo "qemu-img is not installed (package qemu-utils)"; exit 77; }
work=$(mktemp -d "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)/tick86-disks-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# qemu_name FORMAT: what qemu-img calls it.
qemu_name() {
    case $1 in vhd) echo vpc ;; *) echo "$1" ;; esac
}

# qemu_create FORMAT FILE SIZE [OPTIONS]: an image made by qemu-img, of exactly that size.
qemu_create() {
    local options=${4-}
    [ "$1" != vhd ] || options=${options:+$options,}force_size=on
    qemu-img create -q -f "$(qemu_name "$1")" ${options:+-o "$options"} "$2" "$3"
}

# qemu_check FORMAT FILE: 0 also for leaks, which are allowed.
qemu_check() {
    local status=0
    case $1 in raw | vhd) return 0 ;; esac
    qemu-img check -f "$(qemu_name "$1")" "$2" >check.log 2>&1 || status=$?
    [ $status = 0 ] || [ $status = 3 ] || { head -n 20 check.log >&2; return 1; }
}

# same FORMAT FILE MODEL: qemu-img and tick86-img both find FILE identical to the raw MODEL.
same() {
    qemu-img compare -q -f "$(qemu_name "$1")" -F raw "$2" "$3" && "$img" compare -q -F raw "$2" "$3"
}

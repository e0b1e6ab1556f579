#!/bin/bash
# run.sh [--quick] [ARCHITECTURE...] - builds tick86 for other hosts with Debian's cross compilers, runs its unit, device and
# instruction tests under qemu-user, and boots a guest there: every hash on the way must be the one that this host computes.
#
# Architectures: aarch64 armhf riscv64 ppc64el s390x i386 (default: all).
# --quick  libtick86 alone, without the tests that take minutes under qemu-user, and a shorter boot
# Needs a build for this host in build/ (./test makes it). Exit status 77: not one architecture could be tested.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/support/packages.sh
. "$root/tests/support/packages.sh"

quick=no
if [ "${1:-}" = --quick ]; then
    quick=yes
    shift
fi
[ $# -gt 0 ] || set -- aarch64 armhf riscv64 ppc64el s390x i386

# name: cross compiler's triplet, Debian's name of the architecture, qemu's
triplet_of() {
    case $1 in
    aarch64) echo aarch64-linux-gnu arm64 aarch64 ;;
    armhf) echo arm-linux-gnueabihf armhf arm ;;
    riscv64) echo riscv64-linux-gnu riscv64 riscv64 ;;
    ppc64el) echo powerpc64le-linux-gnu ppc64el ppc64le ;;
    s390x) echo s390x-linux-gnu s390x s390x ;;
    i386) echo i686-linux-gnu i386 i386 ;;
    *) echo "run.sh: unknown architecture '$1'" >&2 && return 1 ;;
    esac
}

launcher=()
if command -v ccache >/dev/null; then
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# boots NAME COMMAND...: the golden runs; prints hashes, counts and what the guest wrote, without the host's time.
boots() {
    local name=$1 insns=150000000 bios=/usr/share/seabios/bios-256k.bin vga=/usr/share/seabios/vgabios-stdvga.bin
    local installer=/usr/lib/debian-installer/images/12/i386/text/debian-installer/i386
    shift
    [ $quick = no ] || insns=60000000
    {
        echo "SeaBIOS without a disk"
        BOOT_LOG=0 BOOT_HASH_EVERY=2000000 BOOT_RAM_MB=32 "$@" $bios $vga 20000000
        if [ -e $installer/linux ]; then
            echo "Debian's kernel"
            BOOT_LOG=0 BOOT_HASH_EVERY=20000000 BOOT_RAM_MB=128 BOOT_KERNEL=$installer/linux \
                BOOT_LOADER=$root/build/roms/loader.bin BOOT_APPEND="console=ttyS0 earlyprintk=serial,ttyS0" \
                "$@" $bios $vga $insns
        fi
        if [ -e "$work/grub.iso" ] && [ $quick = no ]; then
            echo "GRUB from a CD"
            BOOT_LOG=0 BOOT_HASH_EVERY=20000000 BOOT_RAM_MB=64 BOOT_CD=$work/grub.iso "$@" $bios $vga 120000000
        fi
    } >"$work/$name.raw" 2>&1
    sed 's/, [0-9.]* s, [0-9.]* MIPS$//' "$work/$name.raw" >"$work/$name"
}

make_cd() {
    command -v grub-mkrescue >/dev/null && command -v xorriso >/dev/null && command -v mformat >/dev/null || return 0
    mkdir -p "$work/cd/boot/grub"
    printf 'set timeout=-1\nmenuentry "tick86 cross" { true }\n' >"$work/cd/boot/grub/grub.cfg"
    grub-mkrescue -o "$work/grub.iso" "$work/cd" >/dev/null 2>&1 || rm -f "$work/grub.iso"
}

# test_one NAME: 0 when all passed, 77 when it cannot be built here.
test_one() {
    local name=$1 triplet debian qemu build=$root/build-cross/$1 sysroot=$root/build-cross/$1-sysroot options=() skip
    read -r triplet debian qemu <<<"$(triplet_of "$name")"
    need_packages qemu-user-static "gcc-${triplet//_/-}" "libc6-dev-$debian-cross" || return 77
    mkdir -p "$root/build-cross"
    if [ "$name" = riscv64 ]; then
        # Debian 12 has no packages for it.
        "$root/tests/cross/libraries.sh" "$sysroot" cmake --toolchain "$root/cmake/toolchains/$name.cmake" || return 77
        options=(-DFRONTENDS=OFF)
    else
        "$root/tests/cross/sysroot.sh" "$debian" "$sysroot" || return 77
    fi
    skip='^(golden|fuzz|bench|oracle|lint_layers)'
    if [ $quick = yes ]; then
        build=$build-quick
        options=(-DFRONTENDS=OFF)
        skip='^(golden|fuzz|bench|oracle|lint_layers|dev_vga|dev_ide|unit_machine|unit_system)'
    fi
    build_tick86 "$build" all --toolchain "$root/cmake/toolchains/$name.cmake" -DTICK86_SYSROOT="$sysroot" -DWERROR=ON \
        "${launcher[@]}" "${options[@]}" || return 1
    # qemu-user is slow; Check's limits of some seconds a test are for hung tests.
    CK_TIMEOUT_MULTIPLIER=50 ctest --test-dir "$build" -j "$(nproc)" --output-on-failure -E "$skip" || return 1
    # The emulator is known to the toolchain file; the tests were just run through it.
    local library_path=$sysroot/usr/lib/$triplet
    [ "$name" != i386 ] || library_path=$sysroot/usr/lib/i386-linux-gnu
    boots "$name" "qemu-$qemu-static" -L "/usr/$triplet" -E "LD_LIBRARY_PATH=$library_path" "$build/tests/boot" || {
        cat "$work/$name.raw"
        return 1
    }
    diff "$work/host" "$work/$name" >"$work/diff" || {
        echo "$name: the guest's run differs from this host's:"
        head -n 20 "$work/diff"
        return 1
    }
    echo "$name: $(grep -c -e '---- hash' "$work/$name") hashes equal those of this host"
}

[ -x "$root/build/tests/boot" ] || build_tick86 "$root/build" all -DWERROR=ON
make_cd
boots host "$root/build/tests/boot" || { cat "$work/host.raw"; exit 1; }
failed=() skipped=() passed=()
for name in "$@"; do
    triplet_of "$name" >/dev/null
    status=0
    test_one "$name" || status=$?
    case $status in
    0) passed+=("$name") ;;
    77)
        skipped+=("$name")
        echo "SKIPPED: $name: its compiler or libraries cannot be installed here"
        ;;
    *) failed+=("$name") ;;
    esac
done
echo "cross: passed: ${passed[*]:-none}; failed: ${failed[*]:-none}; skipped: ${skipped[*]:-none}"
[ ${#failed[@]} -eq 0 ] || exit 1
[ ${#passed[@]} -gt 0 ] || exit 77

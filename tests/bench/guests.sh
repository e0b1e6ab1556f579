#!/bin/bash
# guests.sh ARCH DIRECTORY SCALE [qemu] [bochs] - builds what build/bench boots: CD images with Debian's own netboot kernel, busybox and
# guest/guest-bench.c, booted by isolinux. ARCH is i386 or amd64.
#
#   DIRECTORY/ARCH-bench-SCALE.iso   boots, runs the benchmark items at SCALE and powers off
#   DIRECTORY/ARCH-sh.iso            boots to a shell on the serial port
#   DIRECTORY/ARCH-installer.iso     Debian's installer on the serial port
#
# Installs what is missing with apt, and the peers that are named. The host's dpkg stays as it is: packages of the guest's architecture are downloaded with
# package lists of their own and unpacked here. What is there already is kept.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
arch=$1 out=$2 scale=$3
shift 3
# shellcheck source=tests/support/packages.sh
. "$here/../support/packages.sh"

case $arch in
i386) packages=(gcc-i686-linux-gnu libc6-dev-i386-cross) cc=i686-linux-gnu-gcc flags=-march=i686 ;;
amd64) packages=(gcc libc6-dev) cc=gcc flags= ;;
*)
    echo "guests.sh: '$arch' is not an architecture of these guests: i386 or amd64" >&2
    exit 1
    ;;
esac
if [ "$arch" = amd64 ] && [ "$(uname -m)" != x86_64 ]; then
    packages=(gcc-x86-64-linux-gnu) cc=x86_64-linux-gnu-gcc
fi
need_packages isolinux syslinux-common xorriso cpio "debian-installer-12-netboot-$arch" "${packages[@]}" || exit 1
for peer in "$@"; do
    case $peer in
    qemu) need_packages qemu-system-x86 ;;
    bochs) need_packages bochs bochs-term bochsbios vgabios ;;
    esac
done
boot=/usr/lib/debian-installer/images/12/$arch/text/debian-installer/$arch
mkdir -p "$out"
out=$(realpath "$out")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# fetch_busybox: $out/ARCH-busybox, from Debian's package for the guest's architecture.
fetch_busybox() {
    local options=(-qq -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o Dir::State::lists="$work/lists"
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Dir::Cache::archives="$work/archives"
        -o APT::Sandbox::User=root -o Acquire::Languages=none)
    [ ! -x "$out/$arch-busybox" ] || return 0
    mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/busybox"
    apt-get "${options[@]}" update >/dev/null 2>&1 || true # the download tells what matters
    (cd "$work/busybox" && apt-get "${options[@]}" download "busybox-static:$arch" && dpkg -x busybox-static_*.deb .)
    cp "$work/busybox/bin/busybox" "$out/$arch-busybox"
}

# make_iso NAME INITRD APPEND
make_iso() {
    local iso=$work/iso
    rm -rf "$iso"
    mkdir -p "$iso/isolinux"
    cp "$boot/linux" "$iso/vmlinuz"
    cp "$2" "$iso/initrd.gz"
    cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$iso/isolinux/"
    cat >"$iso/isolinux/isolinux.cfg" <<C
SERIAL 0 115200
DEFAULT run
PROMPT 0
TIMEOUT 0
LABEL run
 KERNEL /vmlinuz
 APPEND initrd=/initrd.gz $3
C
    xorriso -as mkisofs -quiet -o "$1.new" -b isolinux/isolinux.bin -c isolinux/boot.cat -no-emul-boot -boot-load-size 4 \
        -boot-info-table "$iso" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
    mv "$1.new" "$1"
}

make_initrd() {
    local root=$work/root name
    fetch_busybox
    mkdir -p "$root"/{bin,sbin,proc,sys,dev,tmp}
    cp "$out/$arch-busybox" "$root/bin/busybox"
    for name in sh mount uname grep cat setsid cttyhack poweroff sleep ls ps top; do
        ln -sf busybox "$root/bin/$name"
    done
    # shellcheck disable=SC2086
    $cc -O2 -static $flags -o "$root/bin/bench" "$here/guest/guest-bench.c" -lm
    install -m755 "$here/guest/init" "$root/init"
    (cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc --quiet --reproducible | gzip -9n) >"$work/initrd.gz"
}

console="console=tty0 console=ttyS0,115200"
if [ ! -e "$out/$arch-bench-$scale.iso" ] || [ ! -e "$out/$arch-sh.iso" ]; then
    make_initrd
    make_iso "$out/$arch-bench-$scale.iso" "$work/initrd.gz" "$console job=bench:$scale"
    make_iso "$out/$arch-sh.iso" "$work/initrd.gz" "$console job=sh"
fi
[ -e "$out/$arch-installer.iso" ] || make_iso "$out/$arch-installer.iso" "$boot/initrd.gz" "console=ttyS0,115200"

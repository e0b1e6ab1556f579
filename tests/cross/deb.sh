#!/bin/bash
# deb.sh ARCHITECTURE [ROOT] - builds the Debian package of tick86 for another architecture (aarch64, armhf, ppc64el, s390x, i386)
# and checks it: files, owner, ELF machine, that every library the program loads is among the dependencies, and that no path of
# the build machine is in it. With ROOT, a directory, also makes a Debian 12 system of that architecture there (debootstrap),
# installs the package with its dependencies, and boots SeaBIOS in it under qemu-user to the hash that this host computes.
set -euo pipefail
name=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/support/packages.sh
. "$root/tests/support/packages.sh"
fail() {
    echo "deb.sh: $*" >&2
    exit 1
}

case $name in
aarch64) debian=arm64 machine=AArch64 compiler=gcc-aarch64-linux-gnu ;;
armhf) debian=armhf machine=ARM compiler=gcc-arm-linux-gnueabihf ;;
ppc64el) debian=ppc64el machine=PowerPC64 compiler=gcc-powerpc64le-linux-gnu ;;
s390x) debian=s390x machine='IBM S/390' compiler=gcc-s390x-linux-gnu ;;
i386) debian=i386 machine='Intel 80386' compiler=gcc-i686-linux-gnu ;;
*) fail "no package for '$name'" ;;
esac
need_packages "$compiler" "libc6-dev-$debian-cross" qemu-user-static dpkg-dev binutils || exit 77
sysroot=$root/build-cross/$name-sysroot
build=$root/build-cross/$name-package
mkdir -p "$root/build-cross"
"$root/tests/cross/sysroot.sh" "$debian" "$sysroot" || exit 77
build_tick86 "$build" all --toolchain "$root/cmake/toolchains/$name.cmake" -DTICK86_SYSROOT="$sysroot" -DWERROR=ON \
    -DPACKAGE=ON -DBUILD_TESTING=OFF -DCMAKE_INSTALL_PREFIX=/usr
rm -f "$build"/*.deb "$build"/*.tar.gz
(cd "$build" && cpack >cpack.log 2>&1) || { tail -n 20 "$build/cpack.log"; exit 1; }
deb=$(echo "$build"/tick86_*_"$debian".deb)
[ -e "$deb" ] || fail "no package was made"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ "$(dpkg-deb -f "$deb" Architecture)" = "$debian" ] || fail "wrong architecture in the package"
dpkg-deb -c "$deb" >"$work/list"
for file in bin/tick86 bin/tick86-img share/tick86/loader.bin share/man/man1/tick86.1 share/doc/tick86/copyright; do
    grep -q " \./usr/$file\$" "$work/list" || fail "the package lacks usr/$file"
done
if grep -v ' root/root ' "$work/list"; then
    fail "files that are not root's"
fi
dpkg-deb -x "$deb" "$work/root"
depends=$(dpkg-deb -f "$deb" Depends)
for program in tick86 tick86-img; do
    readelf -h "$work/root/usr/bin/$program" | grep -q "Machine: *$machine" || fail "$program is not for $machine"
    if grep -qaF "$root" "$work/root/usr/bin/$program"; then
        fail "$program has a path of the build machine in it"
    fi
    # Each NEEDED library belongs to a package named in Depends; the name comes from the library's own name, as Debian's policy
    # forms it (policy manual, 8.1: libfoo.so.2 is in libfoo2), and from the C library's exceptions.
    while read -r library; do
        case $library in
        libc.so.6 | libm.so.6 | ld-linux* | ld64*) package=libc6 ;;
        libz.so.1) package=zlib1g ;;
        libpng16.so.16) package=libpng16-16 ;;
        *) package=${library%%.so*}${library##*.so.} ;;
        esac
        echo ", $depends" | grep -q ", $package\\b" || fail "$program loads $library, but Depends lacks $package: $depends"
    done < <(readelf -d "$work/root/usr/bin/$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
    newest=$(readelf -V "$work/root/usr/bin/$program" | grep -o 'GLIBC_2[.0-9]*' | sort -Vu | tail -n 1)
    declared=$(echo "$depends" | sed -n 's/.*libc6 (>= \([0-9.]*\)).*/\1/p')
    [ "$(printf '%s\n%s\n' "${newest#GLIBC_}" "$declared" | sort -V | tail -n 1)" = "$declared" ] ||
        fail "$program needs $newest, Depends says libc6 (>= $declared)"
done
echo "$(basename "$deb"): $(wc -l <"$work/list") entries, $(stat -c %s "$deb") bytes, Depends: $depends"

[ $# -gt 1 ] || exit 0
target=$2
need_packages debootstrap || exit 77
# Programs of the target run by themselves once the kernel knows their interpreter. What was not known before is forgotten again.
binfmt=$(sed -n 's/^set(TICK86_QEMU \(qemu-.*\)-static)/\1/p' "$root/cmake/toolchains/$name.cmake")
if [ "$name" != i386 ] && [ ! -e "/proc/sys/fs/binfmt_misc/$binfmt" ]; then
    [ -e /proc/sys/fs/binfmt_misc/register ] || mount -t binfmt_misc none /proc/sys/fs/binfmt_misc || exit 77
    trap 'rm -rf "$work"; echo -1 >"/proc/sys/fs/binfmt_misc/$binfmt"' EXIT
    cat "/usr/lib/binfmt.d/$binfmt.conf" >/proc/sys/fs/binfmt_misc/register
fi
if [ ! -e "$target/usr/bin/dpkg" ]; then
    mirror=$(sed -n 's/^URIs: *\(.*\/debian\) *$/\1/p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
    [ -n "$mirror" ] || mirror=$(awk '$1 == "deb" && /bookworm/ { for (i = 2; i <= NF; i++) if ($i ~ /^http/) { print $i; exit } }' \
        /etc/apt/sources.list)
    debootstrap --arch="$debian" --variant=minbase \
        --include=seabios,libpng16-16,libncursesw6,libtinfo6,zlib1g,libzstd1,libcapstone4 bookworm "$target" "$mirror" \
        >"$work/debootstrap" 2>&1 || { tail -n 5 "$work/debootstrap"; exit 1; }
fi
cp "$deb" "$target/tick86.deb"
chroot "$target" dpkg -i /tick86.deb || fail "dpkg refuses the package"
host=$("$root/build/tick86" -display none -time virtual -m 32 -print-hash -stop-at insns=7000000 2>&1 | grep hash=)
there=$(chroot "$target" /usr/bin/tick86 -display none -time virtual -m 32 -print-hash -stop-at insns=7000000 2>&1 | grep hash=)
[ "$host" = "$there" ] || fail "the guest's run differs: here $host, there $there"
echo "installed in a Debian $debian root it boots SeaBIOS to $there"

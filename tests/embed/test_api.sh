#!/bin/bash
# test_api.sh TICK86 BUILD SOURCE - builds libtick86 as a shared library, installs it, and builds and runs embed.c against what
# was installed: with this host's compiler, and with clang for aarch64 under qemu-user where these are here (as for phones).
# Both must end with the same hash.
set -euo pipefail
build=$2 source=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bios=/usr/share/seabios/bios-256k.bin
vga=/usr/share/seabios/vgabios-stdvga.bin

# library NAME [CMAKE OPTION]...: builds and installs into $work/NAME.
library() {
    local name=$1
    shift
    { cmake -S "$source" -B "$build/embed-$name" -G Ninja -DWERROR=ON -DSHARED=ON -DFRONTENDS=OFF -DBUILD_TESTING=OFF \
        -DCMAKE_INSTALL_PREFIX=/usr -DCMAKE_INSTALL_LIBDIR=lib "$@" && ninja -C "$build/embed-$name" &&
        DESTDIR=$work/$name cmake --install "$build/embed-$name"; } >"$work/log" 2>&1 || { tail -n 30 "$work/log"; exit 1; }
}
# flags NAME: what pkg-config says of the installed library.
flags() {
    PKG_CONFIG_LIBDIR=$work/$1/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$work/$1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 \
        pkg-config --cflags --libs tick86
}

library host
# Nothing but the documented interface is visible: functions of tick86.h and of the four headers it includes.
visible=$(nm -D --defined-only "$work/host/usr/lib/libtick86.so" | awk '{ print $3 }')
bad=$(echo "$visible" | grep -vE '^(tick86_|error_|log_|key_|bug$)' || true)
[ -z "$bad" ] || { echo "the shared library exports $bad"; exit 1; }
while read -r name; do
    echo "$visible" | grep -qx "$name" || { echo "the shared library lacks $name"; exit 1; }
done < <(grep -oE '\btick86_[a-z0-9_]+\(' "$source/machine/tick86.h" | tr -d "(" | grep -v _fn | sort -u)

# shellcheck disable=SC2046
cc -std=c17 -Wall -Wextra -Werror "$source/tests/embed/embed.c" -o "$work/embed" $(flags host)
LD_LIBRARY_PATH=$work/host/usr/lib "$work/embed" $bios $vga >"$work/host.text"
grep -q 'SeaBIOS (version' "$work/host.text"
grep -q 'hash [0-9a-f]\{16\}$' "$work/host.text"
# Two machines in one process share nothing: tests/unit/test_machine.c. Here: the same run twice.
LD_LIBRARY_PATH=$work/host/usr/lib "$work/embed" $bios $vga | diff "$work/host.text" -

if command -v clang aarch64-linux-gnu-gcc qemu-aarch64-static >/dev/null && [ -e /usr/aarch64-linux-gnu/include/stdio.h ]; then
    library aarch64 --toolchain "$source/cmake/toolchains/aarch64.cmake" -DTICK86_CLANG=clang
    # shellcheck disable=SC2046
    clang --target=aarch64-linux-gnu -isystem /usr/aarch64-linux-gnu/include -std=c17 -Wall -Wextra -Werror \
        "$source/tests/embed/embed.c" -o "$work/embed-aarch64" $(flags aarch64)
    "$source/tests/lint/check_tailcalls.sh" "$work/aarch64/usr/lib/libtick86.so" aarch64-linux-gnu-objdump
    qemu-aarch64-static -L /usr/aarch64-linux-gnu -E "LD_LIBRARY_PATH=$work/aarch64/usr/lib" "$work/embed-aarch64" \
        $bios $vga | diff "$work/host.text" -
    echo "the aarch64 library by clang runs embed.c to the same hash"
else
    echo "SKIPPED the aarch64 half: clang, gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user-static are not all here"
fi
tail -n 1 "$work/host.text"

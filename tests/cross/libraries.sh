#!/bin/bash
# libraries.sh DIRECTORY COMMAND... - builds Check from Debian's source package into DIRECTORY, for hosts that Debian 12 has no
# packages for. COMMAND... is how CMake is called (cmake --toolchain FILE, or emcmake cmake). Does nothing when done before.
set -euo pipefail
directory=$1
shift
[ ! -e "$directory/.complete" ] || exit 0
rm -rf "$directory"
mkdir -p "$directory/src/lists/partial" "$directory/src/cache/archives/partial"
directory=$(cd "$directory" && pwd)
cd "$directory/src"
: >status
# The sources of this machine's packages, as far as they are Debian's own.
sed 's/^Types:.*/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >source.sources 2>/dev/null || true
sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >source.list 2>/dev/null || true
list=source.sources
[ -s "$list" ] || list=source.list
options=(-q -o "Dir::Etc::sourcelist=$PWD/$list" -o Dir::Etc::sourceparts=/nonexistent -o "Dir::State::Lists=$PWD/lists"
    -o "Dir::Cache=$PWD/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none)
{ apt-get "${options[@]}" update && apt-get "${options[@]}" --download-only source check; } >log 2>&1 || {
    tail -n 3 log >&2
    echo "libraries: cannot download the source package check" >&2
    exit 1
}
mkdir check
tar -xf check_*.orig.tar.* -C check --strip-components=1
# Check's own tests and its script are of no use here; subunit is another library.
{ "$@" -S check -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$directory/usr" \
    -DCMAKE_INSTALL_LIBDIR=lib -DBUILD_SHARED_LIBS=OFF -DBUILD_TESTING=OFF -DCHECK_ENABLE_TESTS=OFF \
    -DCHECK_ENABLE_SUBUNIT=OFF -DCHECK_ENABLE_TIMEOUT_TESTS=OFF && ninja -C build install; } >log 2>&1 ||
    { tail -n 30 log >&2; exit 1; }
find "$directory/usr/lib" -name '*.so*' -delete
sed -i 's/-lcheck$/-lcheck -lm/' "$directory/usr/lib/pkgconfig/check.pc" # it calls floor()
# The prefix is left to PKG_CONFIG_SYSROOT_DIR.
sed -i "s|$directory/usr|/usr|g" "$directory"/usr/lib/pkgconfig/*.pc
cd /
rm -rf "$directory/src"
touch "$directory/.complete"

#!/bin/bash
# sysroot.sh DEBIAN-ARCH DIRECTORY [PACKAGE...] - downloads the target's libraries that tick86 and its tests link with, and
# unpacks them into DIRECTORY. apt gets a configuration of its own: no foreign architecture is registered in dpkg and nothing
# is installed. The sources are those of this machine. Does nothing when DIRECTORY is already there.
set -euo pipefail
arch=$1 directory=$2
shift 2
[ $# -gt 0 ] || set -- check libsubunit-dev libsubunit0 libpng-dev libpng16-16 zlib1g zlib1g-dev libncurses-dev libncursesw6 \
    libncurses6 libtinfo6 libzstd-dev libzstd1 libcapstone-dev libcapstone4
[ ! -e "$directory/.complete" ] || exit 0
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
rm -rf "$directory"
mkdir -p "$directory/.apt/lists/partial" "$directory/.apt/cache/archives/partial"
: >"$directory/.apt/status"
options=(-q -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o "Dir::State::Lists=$directory/.apt/lists"
    -o "Dir::Cache=$directory/.apt/cache" -o "Dir::State::status=$directory/.apt/status" -o Acquire::Languages=none
    -o APT::Sandbox::User=root -o "Dir::Cache::srcpkgcache=" -o "Dir::Cache::pkgcache=")
apt-get "${options[@]}" update >"$directory/.apt/log" 2>&1 || true # a source without this architecture is no loss
(cd "$directory/.apt" && apt-get "${options[@]}" download "$@" >>log 2>&1) || {
    tail -n 3 "$directory/.apt/log" >&2
    echo "sysroot: cannot download the $arch packages $*" >&2
    exit 1
}
for package in "$directory"/.apt/*.deb; do
    dpkg-deb -x "$package" "$directory"
done
rm -rf "$directory/.apt"
# As on a merged /usr, and with links that lead into this tree.
if [ -d "$directory/lib" ]; then
    cp -a "$directory/lib/." "$directory/usr/lib/"
    rm -rf "$directory/lib"
fi
ln -s usr/lib "$directory/lib"
find "$directory/usr/lib" -type l -lname '/*' | while read -r link; do
    ln -sf "$directory$(readlink "$link")" "$link"
done
touch "$directory/.complete"

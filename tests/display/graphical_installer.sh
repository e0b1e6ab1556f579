#!/bin/bash
# graphical_installer.sh TICK86 BUILD SOURCE - not one of ./test's: Debian 12's graphical installer (i386, gtk) on an 800x600 frame buffer, driven by the
# mouse from its first page to its second, which must be the golden picture. A minute of processor time, 1 GiB of memory:
#   bash tests/display/graphical_installer.sh build/tick86 build .
set -euo pipefail
tick86=$(realpath "$1")
source_dir=$(realpath "$3")
# shellcheck source=tests/support/golden.sh
. "$source_dir/tests/support/golden.sh"
images=/usr/lib/debian-installer/images/12/i386/gtk/debian-installer/i386
[ -r $images/linux ] || skip "package debian-installer-12-netboot-i386 is not installed"
first=$(awk '$2 == "installer-first" { print $1 }' "$source_dir/tests/display/pictures.sha256")
second=$(awk '$2 == "installer-second" { print $1 }' "$source_dir/tests/display/pictures.sha256")
{
    echo "timeout 200s"
    if [ -n "${GOLDEN_ACTUAL:-}" ]; then
        printf 'sleep 130s\nwait-still 5s\nscreendump %s/installer-first.ppm\n' "$GOLDEN_ACTUAL"
    else
        echo "wait-screen $first 200s"
    fi
    for _ in $(seq 12); do echo "mouse 200 200"; done # the corner at the lower right
    for _ in $(seq 32); do echo "mouse -2 0"; done    # and from there to the button "Continue", too slow to be accelerated
    for _ in $(seq 12); do echo "mouse 0 -2"; done
    echo "click"
    if [ -n "${GOLDEN_ACTUAL:-}" ]; then
        printf 'sleep 10s\nwait-still 3s\nscreendump %s/installer-second.ppm\n' "$GOLDEN_ACTUAL"
    else
        echo "wait-screen $second 60s"
    fi
} >"$scratch/script"
# bochs.ko would change to the resolution that the monitor prefers.
timeout 900 "$tick86" -m 1024 -kernel $images/linux -initrd $images/initrd.gz -append "vga=788 modprobe.blacklist=bochs quiet" -display none \
    -serial none -time virtual,ratio=8 --script "$scratch/script" || fail "status $?"
exit $failed

#!/bin/bash
# test_installer.sh TICK86 BUILD SOURCE - Debian's untouched installer (kernel 6.1 i386) boots by -kernel and -initrd to its first menu
# on the serial console.
set -euo pipefail
tick86=$1
boot=/usr/lib/debian-installer/images/12/i386/text/debian-installer/i386
[ -r $boot/linux ] || { echo "SKIPPED: package debian-installer-12-netboot-i386 is not installed"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$tick86" -m 512 -kernel $boot/linux -initrd $boot/initrd.gz -append "console=ttyS0,115200" -display none -monitor none \
    -serial file:"$work/serial" -time virtual,ratio=8 -stop-at time=150 -print-hash
grep -aq 'Select a language' "$work/serial" || { tail -c 2000 "$work/serial"; exit 1; }
echo "menu reached"

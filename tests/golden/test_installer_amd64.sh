#!/bin/bash
# test_installer_amd64.sh TICK86 BUILD SOURCE - Debian's untouched amd64 installer on the serial console, to its language menu: long mode, the
# default processor, its system calls and its paging; twice to the same moment, with equal counts and
# hashes.
set -euo pipefail
tick86=$1
source_dir=$3
# shellcheck source=tests/support/golden.sh
. "$source_dir/tests/support/golden.sh"
installer=/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64
[ -r $installer/linux ] || skip "package debian-installer-12-netboot-amd64 is not installed"

# boot NAME SECONDS OPTION...: to the given guest time; leaves NAME.serial and NAME.hash.
boot() {
    local name=$1 seconds=$2 status=0
    shift 2
    "$tick86" -m 1024 -kernel $installer/linux -initrd $installer/initrd.gz -display none -monitor none \
        -serial "file:$scratch/$name.serial" -time virtual,ratio=8 -stop-at "time=$seconds" -print-hash "$@" \
        >"$scratch/$name.hash" 2>"$scratch/$name.errors" || status=$?
    [ $status = 0 ] || fail "$name: status $status: $(cat "$scratch/$name.errors")"
}

boot menu 110 -append "console=ttyS0,115200"
wants menu 'Select a language' "$scratch/menu.serial"
wants menu 'Linux version 6\.1\..*-amd64' "$scratch/menu.serial"

# Twice to the middle of the boot.
boot first 20 -append "console=ttyS0,115200"
boot second 20 -append "console=ttyS0,115200"
diff "$scratch/first.hash" "$scratch/second.hash" || fail "equal runs differ"

exit $failed

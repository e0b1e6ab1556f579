#!/bin/bash
# test_installer_serial.sh TICK86 BUILD SOURCE - Debian's untouched installer on the serial console: to its language menu at 115200 baud
# and at the 9600 that the kernel takes when none are given; keys that come over the line move the menu and choose.
set -euo pipefail
tick86=$1
source_dir=$3
# shellcheck source=tests/support/golden.sh
. "$source_dir/tests/support/golden.sh"
need_installer

# start CONSOLE: in the background, with COM1 from the fifo `typed` to the file `serial`; sets pid.
start() {
    rm -f "$scratch/typed" "$scratch/serial"
    mkfifo "$scratch/typed"
    "$tick86" -m 512 -kernel $installer/linux -initrd $installer/initrd.gz -append "console=$1" -display none \
        -monitor none -serial stdio -time virtual,ratio=8 <"$scratch/typed" >"$scratch/serial" &
    pid=$!
    background+=("$pid")
    exec 3>"$scratch/typed"
}

# await TEXT: until the line has said it; the rest of the test would make no sense without.
await() {
    local tries
    for ((tries = 0; tries < 1500; tries++)); do
        ! grep -aq "$1" "$scratch/serial" || return 0
        kill -0 "$pid" 2>/dev/null || break
        sleep 1
    done
    tail -c 3000 "$scratch/serial"
    echo "FAILED: '$1' did not appear on the serial console"
    exit 1
}

finish() {
    local status=0
    kill -TERM "$pid"
    wait "$pid" || status=$?
    exec 3>&-
    [ $status = 0 ] || fail "SIGTERM: status $status"
}

start ttyS0,115200
await 'Select a language'
await 'Go Back'
# Two languages go through a serial line, C and, highlighted in white on red, English.
await $'\033\\[37m\033\\[41mEnglish'
printf '\033[A' >&3 # up
await $'\033\\[37m\033\\[41mC'
printf '\r' >&3
await 'Continent or region'
finish
grep -aq '\[    0.000000\] Linux version 6\.1\.' "$scratch/serial" || fail "no kernel version on the line"

start ttyS0
await 'Select a language'
await 'Go Back'
finish
exit $failed

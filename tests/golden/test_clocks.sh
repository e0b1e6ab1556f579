#!/bin/bash
# test_clocks.sh TICK86 BUILD SOURCE - a guest measures its clocks against each other, polling and halting: they agree within
# 0.1 % under -time virtual and -time wall, two virtual runs are the same, and wall time is kept.
set -euo pipefail
tick86=$1
source_dir=$3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
nasm -Wall -Werror -f bin -o clocks.rom "$source_dir/tests/golden/clocks.asm"

{
    clocks=(tsc pit pm rtc periodic)
    for phase in poll halt; do
        echo "$phase begins"
        echo "$phase ends"
        for ((a = 0; a < 5; a++)); do
            for ((b = a + 1; b < 5; b++)); do
                echo "$phase ${clocks[a]} ${clocks[b]} agree"
            done
        done
    done
    echo "cpuid 15h 16h agree"
    echo "CLOCKS-END"
} >expected

# start OPTION...: the guest's lines with the host's time in front of each to the file `stamped`.
start() {
    local status=0
    "$tick86" -display none -m 4 -bios clocks.rom -device isa-debug-exit -stop-at time=60 "$@" -serial stdio </dev/null 2>errors |
        while IFS= read -r line; do
            printf '%s %s\n' "$(date +%s%N)" "${line%$'\r'}"
        done >stamped || status=$?
    if [ $status != 41 ]; then # (20 << 1) | 1
        echo "$*: status $status"
        cat errors stamped
        exit 1
    fi
    cut -d' ' -f2- stamped | grep -v '^icount=' >serial
    if ! diff -u expected serial; then
        echo "$*: the clocks do not agree"
        exit 1
    fi
}

# 50 and 333.5 ns an instruction: the ratio must not matter. The same run twice ends at the same count, time and hash.
start -time virtual,ratio=333.5
for n in 1 2; do
    start -time virtual,ratio=50 -print-hash
    grep -o 'icount=.*' stamped >ended.$n
done
cmp ended.1 ended.2 || { echo "two equal runs differ"; exit 1; }

# Guest time never runs ahead of the wall clock, and keeps up with it unless the host is too busy, which a second and third
# try may find otherwise. (Within a run it may be faster for a while, to catch up.)
for try in 1 2 3; do
    before=$(date +%s%N)
    start -time wall -print-hash
    took_ms=$((($(date +%s%N) - before) / 1000000))
    guest_ms=$(($(grep -o 'time_ns=[0-9]*' stamped | cut -d= -f2) / 1000000))
    echo "try $try: $guest_ms ms of guest time took $took_ms ms"
    if [ $took_ms -lt $((guest_ms - 20)) ]; then
        echo "the guest's time ran ahead of the wall clock"
        exit 1
    fi
    [ $took_ms -gt $((guest_ms + 1000)) ] || exit 0
done
echo "the guest fell behind the wall clock each time"
exit 1

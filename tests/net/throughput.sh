#!/bin/bash
# throughput.sh TICK86 BUILD SOURCE [CARD...] - not a test: how fast Linux receives from and sends to a server on this host, in MiB for each
# second of processor time, by tick86 and by QEMU's TCG with the same card. Processor time, as others may use the machine.
set -euo pipefail
tick86=$1
build_dir=$2
source_dir=$3
shift 3
. "$source_dir/tests/support/golden.sh"
. "$source_dir/tests/support/guest.sh"
. "$source_dir/tests/net/common.sh"
need_installer
command -v qemu-system-i386 >/dev/null || skip "qemu-system-i386 is not installed"
net_initrd "$scratch/initrd.gz"
start_server "$scratch/www"
size=${SIZE:-64}
head -c $((size << 20)) /dev/zero >"$scratch/www/zeros"

# seconds EMULATOR CARD TASK: user and system time of a whole run.
seconds() {
    local emulator=$1 card=$2 task=$3 network="user,model=$2,ipv6=off" begin end
    local options=(-m 128 -kernel "$installer/linux" -initrd "$scratch/initrd.gz" -display none -serial "file:$scratch/serial" -no-reboot
        -append "console=ttyS0 quiet driver=$(driver_of "$card") do=$task")
    if [ "$emulator" = tick86 ]; then
        emulator=$tick86 network+=,hostloopback=on
    else
        emulator="qemu-system-i386 -accel tcg -cpu pentium2 -monitor none"
    fi
    # shellcheck disable=SC2086
    /usr/bin/env bash -c 'TIMEFORMAT="%U %S"; time "$@"' time $emulator "${options[@]}" -nic "$network" \
        </dev/null 2>"$scratch/time" >/dev/null
    grep -q 'guest: done' "$scratch/serial" || { echo "$emulator $card $task failed" >&2; tail -n 5 "$scratch/serial" >&2; }
    tail -n 1 "$scratch/time" | awk '{ print $1 + $2 }'
}

echo "card direction emulator seconds-idle seconds-busy MiB/s"
for card in "${@:-e1000}"; do
    for emulator in tick86 qemu; do
        idle=$(seconds $emulator "$card" lease)
        for direction in fetch "upload size=$size"; do
            busy=$(seconds $emulator "$card" "$direction url=10.0.2.2:$port/zeros")
            echo "$card ${direction%% *} $emulator $idle $busy $(awk -v i="$idle" -v b="$busy" -v s="$size" 'BEGIN { print s / (b - i) }')"
        done
    done
done

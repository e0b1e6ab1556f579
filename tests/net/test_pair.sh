#!/bin/bash
# test_pair.sh TICK86 BUILD SOURCE - two machines on one wire ping each other: joined by a TCP stream with different cards, and by datagrams
# between local sockets.
set -euo pipefail
tick86=$1
build_dir=$2
source_dir=$3
. "$source_dir/tests/support/golden.sh"
. "$source_dir/tests/support/guest.sh"
. "$source_dir/tests/net/common.sh"
need_installer
net_initrd "$scratch/initrd.gz"

# linux NAME CARD ADDRESS PEER NETWORK
linux() {
    "$tick86" -m 96 -kernel "$installer/linux" -initrd "$scratch/initrd.gz" -display none -serial "file:$scratch/$1" \
        -append "console=ttyS0 quiet driver=$(driver_of "$2") do=static address=$3 peer=$4" -no-reboot -netdev "$5" \
        -device "$2,netdev=n0,mac=52:54:00:00:00:0${3##*.}" >"$scratch/$1.out" 2>&1 </dev/null &
    background+=($!)
}

both() {
    for name in "$@"; do
        wait_for "$scratch/$name" 'guest: done' 600 || fail "$name does not end"
        wants "$name" 'guest: .* [1-5] packets received' "$scratch/$name"
        wants "$name" 'guest: large ones too' "$scratch/$name"
    done
}

port=$(free_port)
linux stream1 e1000 192.168.7.1 192.168.7.2 "stream,id=n0,server=on,addr.type=inet,addr.host=127.0.0.1,addr.port=$port"
sleep 1
linux stream2 rtl8139 192.168.7.2 192.168.7.1 "stream,id=n0,reconnect=1,addr.type=inet,addr.host=127.0.0.1,addr.port=$port"
both stream1 stream2
linux dgram1 ne2k_pci 192.168.7.1 192.168.7.2 \
    "dgram,id=n0,local.type=unix,local.path=$scratch/a,remote.type=unix,remote.path=$scratch/b"
linux dgram2 e1000 192.168.7.2 192.168.7.1 \
    "dgram,id=n0,local.type=unix,local.path=$scratch/b,remote.type=unix,remote.path=$scratch/a"
both dgram1 dgram2
exit $failed
